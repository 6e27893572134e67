"""A stage's store in an S3 bucket."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from towpath.call_log import log_store_call
from towpath.credentials import remember_secrets
from towpath.errors import UserError
from towpath.storage.storage_backend import object_path

_CHUNK = 1 << 22
_JOBS = 8
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


class Bucket(Struct, frozen=True):
    shown: str
    home: str  # The bucket, a slash, and the prefix.
    _files: Any  # The s3fs file system, with one identity's credentials.
    jobs: int = _JOBS

    @classmethod
    def open_with(
        cls, url: str, endpoint: str | None, region: str | None, keys: Mapping[str, str]
    ) -> Bucket:
        """A bucket by its URL; ``keys`` are a ``profile``, or ``key``, ``secret`` and ``token``."""
        try:
            import s3fs
        except ImportError as missing:
            hint = "pip install 'towpath[s3]'"
            raise UserError(f"{url} needs a package that is not here", hint=hint) from missing
        remember_secrets(keys)
        client = {"endpoint_url": endpoint, "region_name": region}
        files = s3fs.S3FileSystem(
            client_kwargs={key: value for key, value in client.items() if value},
            cache_regions=region is None,  # else each request for a bucket elsewhere is redirected
            skip_instance_cache=True,  # s3fs would share one whose credentials have changed since
            **keys,
        )
        return cls(url, url.partition("://")[2].rstrip("/"), files)

    def open_object(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        return self.open(object_path(digest))

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """An object as a stream, in large pieces, never from a cache."""
        self._files.invalidate_cache()
        stream: AbstractContextManager[IO[bytes]] = self._files.open(
            self._bucket_path(path), "rb", block_size=_CHUNK
        )
        return stream

    @log_store_call("shown")
    def names(self, folder: str) -> list[str]:
        try:
            rows = self._files.ls(self._bucket_path(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(row["name"].rsplit("/", 1)[-1] for row in rows if row["type"] == "file")

    @log_store_call("shown")
    def add_file(self, local: Path, path: str) -> None:
        """Upload a file; S3 shows it whole or not at all."""
        self._files.put_file(os.fspath(local), self._bucket_path(path))

    @log_store_call("shown")
    def remove_file(self, path: str) -> None:
        self._files.call_s3("delete_object", **self._named_object(path))

    @log_store_call("shown")
    def read(self, path: str) -> tuple[bytes, str] | None:
        """A small object's bytes and ETag, of one and the same answer."""
        from fsspec.asyn import sync

        try:
            answer: tuple[bytes, str] = sync(self._files.loop, self._read_object, path)
        except FileNotFoundError:
            return None
        return answer

    async def _read_object(self, path: str) -> tuple[bytes, str]:
        answer = await self._files._call_s3("get_object", **self._named_object(path))
        async with answer["Body"] as body:
            return await body.read(), answer["ETag"]

    @log_store_call("shown")
    def write(self, path: str, content: bytes, if_match: str | None) -> str | None:
        """Write on S3's own condition. An answer that got lost on the way is asked for again."""
        condition = {"IfMatch": if_match} if if_match else {"IfNoneMatch": "*"}
        named = self._named_object(path)
        try:
            answer = self._files.call_s3("put_object", **named, Body=content, **condition)
        except Exception as refusal:  # s3fs translates some of S3's refusals, and leaves others
            if not _is_taken(refusal):
                raise
            standing = self.read(path)
            return standing[1] if standing and standing[0] == content else None
        return str(answer["ETag"])

    def _bucket_path(self, path: str) -> str:
        return f"{self.home}/{path}"

    def _named_object(self, path: str) -> dict[str, str]:
        bucket, _, key = self._bucket_path(path).partition("/")
        return {"Bucket": bucket, "Key": key}


def _is_taken(refusal: BaseException) -> bool:
    cause = refusal if hasattr(refusal, "response") else refusal.__cause__
    answer: Mapping[str, Any] = getattr(cause, "response", {}) or {}
    return answer.get("Error", {}).get("Code") in _TAKEN
