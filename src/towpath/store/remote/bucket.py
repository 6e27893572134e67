"""A stage's store in an S3 bucket, through DVC's own file system; and a remote as a source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from towpath.call_log import log_store_call
from towpath.credentials import remember_secrets
from towpath.errors import StoreError, UserError
from towpath.store.layout import locate
from towpath.store.remote import door

_CHUNK = 1 << 22
_JOBS = 8
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


@dataclass(frozen=True)
class Bucket:
    """A prefix of a bucket as a ``Place``."""

    shown: str
    home: str
    """The bucket, a slash, and the prefix."""
    _files: Any
    """The s3fs file system, with one identity's credentials."""
    jobs: int = _JOBS

    @classmethod
    def open_with(cls, url: str, settings: Mapping[str, str]) -> Bucket:
        """A bucket by its URL, with DVC's own settings (``endpointurl``, ``profile``, ...)."""
        os.environ["DVC_NO_ANALYTICS"] = "1"
        remember_secrets(settings)
        from dvc.fs import get_cloud_fs
        from dvc_objects.fs.base import RemoteMissingDepsError

        try:
            kind, config, home = get_cloud_fs({}, url=url, **settings)
            files = kind(**config).fs
        except RemoteMissingDepsError as missing:
            hint = "pip install 'towpath[s3]'"
            raise UserError(f"{url} needs a package that is not here", hint=hint) from missing
        except Exception as fault:  # DVC judges the settings, botocore the profile
            raise StoreError(f"{url} cannot be opened: {fault}") from fault
        return cls(url, home.rstrip("/"), files)

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """An object as a stream, in large pieces, never from a cache."""
        self._files.invalidate_cache()
        found: AbstractContextManager[IO[bytes]] = self._files.open(
            self._path(path), "rb", block_size=_CHUNK
        )
        return found

    @log_store_call("shown")
    def names(self, folder: str) -> list[str]:
        """The names of the objects directly under a prefix."""
        try:
            rows = self._files.ls(self._path(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(row["name"].rsplit("/", 1)[-1] for row in rows if row["type"] == "file")

    @log_store_call("shown")
    def add(self, local: Path, path: str) -> None:
        """Upload a file; S3 shows it whole or not at all."""
        self._files.put_file(os.fspath(local), self._path(path))

    @log_store_call("shown")
    def remove(self, path: str) -> None:
        """Delete an object; S3 does not mind one that is gone."""
        self._call(self._files._call_s3, "delete_object", **self._named(path))

    @log_store_call("shown")
    def read(self, path: str) -> tuple[bytes, str] | None:
        """A small object's bytes and ETag, of one and the same answer."""
        try:
            found: tuple[bytes, str] = self._call(self._read, path)
        except FileNotFoundError:
            return None
        return found

    async def _read(self, path: str) -> tuple[bytes, str]:
        answer = await self._files._call_s3("get_object", **self._named(path))
        async with answer["Body"] as body:
            return await body.read(), answer["ETag"]

    @log_store_call("shown")
    def write(self, path: str, content: bytes, if_match: str | None) -> str | None:
        """Write on S3's own condition. An answer that got lost on the way is asked for again."""
        condition = {"IfMatch": if_match} if if_match else {"IfNoneMatch": "*"}
        named = self._named(path)
        try:
            answer = self._call(
                self._files._call_s3, "put_object", **named, Body=content, **condition
            )
        except Exception as refusal:  # s3fs translates some of S3's refusals, and leaves others
            if not _is_taken(refusal):
                raise
            found = self.read(path)
            return found[1] if found and found[0] == content else None
        return str(answer["ETag"])

    def _path(self, path: str) -> str:
        return f"{self.home}/{path}"

    def _named(self, path: str) -> dict[str, str]:
        bucket, _, key = self._path(path).partition("/")
        return {"Bucket": bucket, "Key": key}

    def _call(self, asked: Any, *words: Any, **more: Any) -> Any:
        from fsspec.asyn import sync  # type: ignore[import-untyped]

        return sync(self._files.loop, asked, *words, **more)


def _is_taken(refusal: BaseException) -> bool:
    cause = refusal if hasattr(refusal, "response") else refusal.__cause__
    answer: Mapping[str, Any] = getattr(cause, "response", {}) or {}
    return answer.get("Error", {}).get("Code") in _TAKEN


@dataclass(frozen=True)
class DefaultRemote:
    """The project's default remote as a ``Source``."""

    remote: door.Remote

    @property
    def shown(self) -> str:
        """Its name and address."""
        return f"remote `{self.remote.name}` ({self.remote.url})"

    def open(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """An object's bytes as they are there."""
        return self.remote.open(digest)


def default_remote(root: Path) -> DefaultRemote | None:
    """The remote that the project's configuration means when none is named, if there is one."""
    layout = locate(root)
    name = door.default(layout)
    return None if name is None else DefaultRemote(door.remote(layout, name))
