"""The door to DVC: its configuration, credentials and file systems, in this process."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from towpath.call_log import log_store_call
from towpath.credentials import remember_secrets
from towpath.errors import StoreError, TowpathError, UsageError, did_you_mean
from towpath.spec.digests import require_md5
from towpath.store.copying import FULL
from towpath.store.layout import Layout

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Remote:
    """A remote of the project, whatever speaks to it: a folder, S3, SSH, ..."""

    name: str
    url: str
    _objects: Any
    """DVC's database of objects there."""

    @property
    def _files(self) -> Any:
        return self._objects.fs

    @property
    def jobs(self) -> int:
        """How many transfers the remote takes at once."""
        return int(self._files.jobs)

    def path(self, digest: str) -> str:
        """Where an object stands there, or would; ``Malformed`` for no digest."""
        return str(self._objects.oid_to_path(require_md5(digest)))

    def side_path(self, *parts: str) -> str:
        """A path beside the objects: what DVC knows nothing of."""
        home = self._files.parent(self._files.parent(self._objects.path))
        return str(self._files.join(home, *parts))

    def shown(self, digest: str) -> str:
        """Where an object stands, as a person would write it."""
        return f"{self.url.rstrip('/')}/files/md5/{digest[:2]}/{digest[2:]}"

    @log_store_call("url")
    def sizes(self, paths: Sequence[str]) -> list[int | None]:
        """The size of each file, None for one that is not there."""
        if not paths:
            return []
        answers = self._files.info(list(paths), return_exceptions=True, batch_size=self.jobs)
        return [self._size(answer) for answer in answers]

    def _size(self, answer: Any) -> int | None:
        if isinstance(answer, FileNotFoundError | NotADirectoryError):
            return None
        if isinstance(answer, BaseException):
            raise answer
        return int(answer["size"]) if answer.get("size") is not None else -1

    @log_store_call("url")
    def digests(self, paths: Sequence[str]) -> list[str | None]:
        """The MD5 of each file, read there from beginning to end; None for one that is gone."""
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(self._digest, paths))

    def _digest(self, path: str) -> str | None:
        hasher = hashlib.md5(usedforsecurity=False)
        try:
            with self._files.open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    hasher.update(chunk)
        except FileNotFoundError:
            return None
        return hasher.hexdigest()

    def open(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """An object as a stream."""
        found: AbstractContextManager[IO[bytes]] = self._files.open(self.path(digest), "rb")
        return found

    @log_store_call("url")
    def read(self, path: str) -> bytes | None:
        """The bytes of a small file; None where it is not there."""
        try:
            with self._files.open(path, "rb") as file:
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    @log_store_call("url")
    def read_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """The bytes of small files, many at once."""
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(self.read, paths))

    @log_store_call("url")
    def list(self, path: str) -> list[str]:
        """The paths of all files under a folder; none where it is not there."""
        try:
            return sorted(self._files.find(path))
        except FileNotFoundError:
            return []

    @log_store_call("url")
    def put(self, sources: Mapping[str, str], source: Remote | None = None) -> None:
        """Upload objects: paths by digest, on this machine or on another remote."""
        from dvc_objects.fs import generic
        from dvc_objects.fs.local import localfs

        files = localfs if source is None else source._files
        paths = [self.path(digest) for digest in sources]
        for folder in {self._files.parent(path) for path in paths}:
            self._files.makedirs(folder)
        # Not DVC's own `add`, which tries a reflink first: that stands in its place empty for a
        # moment, and a kill leaves a torn object. A copy is written beside its place and renamed.
        generic.transfer(
            files, list(sources.values()), self._files, paths, links=["copy"], batch_size=self.jobs
        )
        for path in paths:
            self._objects.protect(path)

    @log_store_call("url")
    def put_file(self, local: str, path: str) -> None:
        """Upload a small file; what stands there is replaced."""
        self._files.makedirs(self._files.parent(path))
        self._files.put_file(local, path)

    @log_store_call("url")
    def get(self, wanted: Mapping[str, str]) -> None:
        """Download files: local paths by path there. Each must be there."""
        from dvc_objects.fs import generic
        from dvc_objects.fs.local import localfs

        generic.transfer(
            self._files, list(wanted), localfs, list(wanted.values()), batch_size=self.jobs
        )

    @log_store_call("url")
    def remove(self, digest: str) -> None:
        """Remove an object."""
        with suppress(FileNotFoundError):
            self._files.remove(self.path(digest))


def names(layout: Layout) -> tuple[str, ...]:
    """The remotes that the configuration names."""
    return tuple(_repository(layout).config["remote"])


def default(layout: Layout) -> str | None:
    """The remote that is meant when none is named: `core.remote`, or the only one."""
    config = _repository(layout).config
    remotes = tuple(config["remote"])
    named = config["core"].get("remote")
    return named or (remotes[0] if len(remotes) == 1 else None)


def remote(layout: Layout, name: str | None = None) -> Remote:
    """A remote by name, or the default one. Raises UsageError for one that is not configured."""
    repository = _repository(layout)
    known = tuple(repository.config["remote"])
    name = name or default(layout)
    if name is None:
        raise UsageError(
            "no remote is configured" if not known else "none of the remotes is the default",
            hint="`dvc remote add -d NAME URL`" if not known else "`dvc remote default NAME`",
        )
    if name not in known:
        raise UsageError(f"there is no remote `{name}`", hint=did_you_mean(name, known))
    url = str(repository.config["remote"][name]["url"])
    with speaking(name, url):
        return Remote(name, url, repository.cloud.get_remote_odb(name))


def _repository(layout: Layout) -> Any:
    """DVC's own view of the project: a new one each time, for it remembers what others change."""
    os.environ["DVC_NO_ANALYTICS"] = "1"
    os.environ.setdefault("DVC_STUDIO_OFFLINE", "1")
    for noisy in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    from dvc.config import ConfigError
    from dvc.repo import Repo

    try:
        repository = Repo(os.fspath(layout.home))
        for settings in repository.config["remote"].values():
            remember_secrets(settings)
        return repository
    except ConfigError as fault:
        raise StoreError(f".dvc/config cannot be read: {fault}") from fault


@contextmanager
def speaking(name: str, url: str) -> Iterator[None]:
    """Whatever a remote's library raises becomes a StoreError that names the remote."""
    try:
        yield
    except TowpathError:
        raise
    except Exception as fault:  # each file system of DVC's raises errors of its own
        number = fault.errno if isinstance(fault, OSError) else None
        said = FULL.get(number or 0) or str(fault) or type(fault).__name__
        raise StoreError(
            f"remote `{name}` ({url}): {said}",
            hint="look at its address in .dvc/config, at your credentials and at the network",
        ) from fault
