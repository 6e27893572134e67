"""The project's remotes through DVC: its configuration, credentials and file systems."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from towpath.backends.dvc.dvc_config import load_config, locate_store
from towpath.call_log import log_store_call
from towpath.credentials import remember_secrets
from towpath.errors import StoreError, UsageError, did_you_mean
from towpath.storage.objects import StoreLayout
from towpath.storage.storage_backend import name_faults, object_path

_LOOK = "look at its address in .dvc/config, at your credentials and at the network"


class Remote(Struct, frozen=True):
    """A remote of the project: a folder, S3, SSH. Files are named from its top, with ``/``."""

    name: str
    url: str
    _objects: Any  # DVC's database of objects there

    @property
    def _file_system(self) -> Any:
        return self._objects.fs

    @property
    def shown(self) -> str:
        return f"remote `{self.name}` ({self.url})"

    @property
    def jobs(self) -> int:
        return int(self._file_system.jobs)

    def object_address(self, digest: str) -> str:
        return f"{self.url.rstrip('/')}/{object_path(digest)}"

    def _remote_path(self, path: str) -> str:
        # DVC's database lies at <remote>/files/md5: what is ours stands beside that.
        home = self._file_system.parent(self._file_system.parent(self._objects.path))
        return str(self._file_system.join(home, *path.split("/")))

    @log_store_call("url")
    def file_sizes(self, paths: Sequence[str]) -> list[int | None]:
        """The size of each file, None for one that is not there, -1 where it is not told."""
        if not paths:
            return []
        full_paths = [self._remote_path(path) for path in paths]
        # In one call, which asks many at once; an exception is the answer for its own path alone.
        answers = self._file_system.info(full_paths, return_exceptions=True, batch_size=self.jobs)
        return [_told_size(answer) for answer in answers]

    def absent_files(self, paths: Sequence[str]) -> list[str]:
        sizes = self.file_sizes(paths)
        return [path for path, size in zip(paths, sizes, strict=True) if size is None]

    def absent_objects(self, digests: Sequence[str]) -> list[str]:
        sizes = self.file_sizes([object_path(digest) for digest in digests])
        return [digest for digest, size in zip(digests, sizes, strict=True) if size is None]

    def open_object(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        stream: AbstractContextManager[IO[bytes]] = self._file_system.open(
            self._remote_path(object_path(digest)), "rb"
        )
        return stream

    @log_store_call("url")
    def read(self, path: str) -> bytes | None:
        try:
            with self._file_system.open(self._remote_path(path), "rb") as file:
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    @log_store_call("url")
    def files_under(self, folder: str) -> list[str]:
        """The paths of all files under a folder; none where it is not there."""
        top = self._remote_path(folder)
        try:
            below = sorted(self._file_system.find(top))
        except FileNotFoundError:
            return []
        return [f"{folder}/{'/'.join(self._file_system.relparts(path, top))}" for path in below]

    @log_store_call("url")
    def upload_file(self, local: Path, path: str) -> None:
        target = self._remote_path(path)
        # Not DVC's own `add`, which tries a reflink first: that stands in its place empty for a
        # moment, and a kill leaves a torn object. This one is written beside its place and renamed.
        self._file_system.makedirs(self._file_system.parent(target))
        self._file_system.put_file(os.fspath(local), target)

    def protect_object(self, digest: str) -> None:
        """Make an object read-only, where the remote knows modes: DVC's sign of a whole one."""
        self._objects.protect(self._remote_path(object_path(digest)))

    @log_store_call("url")
    def download_file(self, path: str, local: Path) -> None:
        self._file_system.get_file(self._remote_path(path), os.fspath(local))

    @log_store_call("url")
    def remove_file(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._file_system.remove(self._remote_path(path))

    def name_faults(self) -> AbstractContextManager[None]:
        """Whatever its library raises becomes a StoreError that names the remote."""
        return name_faults(self.shown, _LOOK)


def open_remote(layout: StoreLayout, name: str | None = None) -> Remote:
    """A remote by name, or the default one. Raises UsageError for one that is not configured."""
    repository = open_repository(layout)
    remote_names = tuple(repository.config["remote"])
    name = name or load_config(layout.dvc).default_name()
    if name is None:
        if not remote_names:
            raise UsageError("no remote is configured", hint="`dvc remote add -d NAME URL`")
        what = "none of the remotes is the default"
        raise UsageError(what, hint="`dvc remote default NAME`")
    if name not in remote_names:
        raise UsageError(f"there is no remote `{name}`", hint=did_you_mean(name, remote_names))
    url = str(repository.config["remote"][name]["url"])
    with name_faults(f"remote `{name}` ({url})", _LOOK):
        return Remote(name, url, repository.cloud.get_remote_odb(name))


def default_remote(root: Path) -> Remote | None:
    layout = locate_store(root)
    return open_remote(layout) if load_config(layout.dvc).default_name() else None


def open_repository(layout: StoreLayout) -> Any:
    """DVC's own view of the project."""
    # A new one each time: a `Repo` that lives on caches which folders of objects there are, and
    # transfers fail once another process has removed them.
    # DVC starts a daemon that speaks to the network, even outside of a repository.
    os.environ["DVC_NO_ANALYTICS"] = "1"
    os.environ.setdefault("DVC_STUDIO_OFFLINE", "1")
    # What they log is raised as well: a person would read it twice.
    for noisy in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    # Importing DVC takes a second: only who speaks to a remote pays for it.
    from dvc.config import ConfigError
    from dvc.repo import Repo

    try:
        repository = Repo(os.fspath(layout.home_folder))
        for settings in repository.config["remote"].values():
            remember_secrets(settings)
        return repository
    except ConfigError as fault:
        raise StoreError(f".dvc/config cannot be read: {fault}") from fault


@contextmanager
def name_source_faults(address: str) -> Iterator[None]:
    """Whatever DVC or its file systems raise of an address becomes a StoreError that names it."""
    from dvc.fs import RemoteMissingDepsError

    with name_faults(f"`{address}`", "look at the address, your credentials and the network"):
        try:
            yield
        except RemoteMissingDepsError as missing:
            scheme = address.partition("://")[0]
            extra = "'towpath[s3]'" if scheme == "s3" else f"dvc-{scheme}"
            what = f"`{address}`: nothing that is installed speaks to {scheme}://"
            raise StoreError(what, hint=f"pip install {extra}") from missing


def _told_size(answer: Any) -> int | None:
    if isinstance(answer, FileNotFoundError | NotADirectoryError):
        return None
    if isinstance(answer, BaseException):
        raise answer
    return int(answer["size"]) if answer.get("size") is not None else -1
