"""Where bytes are kept: a folder, a bucket or a remote, seen through the same few questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol, TypeVar

from towpath.config.foreign_values import require_md5
from towpath.errors import StoreError, TowpathError
from towpath.storage.copy_files import FULL

OBJECTS = "files/md5"

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class ObjectSource(Protocol):
    """Where bytes may be copied from: a stage's store, the project's cache, a remote."""

    @property
    def shown(self) -> str:
        """It as a person calls it, without credentials."""

    def open_object(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """An object's bytes, unverified; FileNotFoundError where it has none."""


class StorageBackend(ObjectSource, Protocol):
    """Files by their path from the top, with ``/`` between its parts. What the system or the
    library beneath raises is put into words by who asks (``StageStore``, ``dvc_remotes``)."""

    @property
    def jobs(self) -> int:
        """How many questions it takes at once."""

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file to read; FileNotFoundError where it is not there."""

    def names(self, folder: str) -> list[str]:
        """The names of the files directly in a folder, sorted; none where it is not there."""

    def add_file(self, local: Path, path: str) -> None:
        """Put a file of this machine there, whole or not at all; what stands there is replaced."""

    def remove_file(self, path: str) -> None:
        """Take a file away; it may be gone."""

    def read(self, path: str) -> tuple[bytes, str] | None:
        """A small file's bytes and the mark by which its next writer says what it saw."""

    def write(self, path: str, content: bytes, if_match: str | None) -> str | None:
        """Write a small file if it still has this mark (None: if it is not there yet). The new
        mark; None where another wrote meanwhile."""


def object_path(digest: str) -> str:
    """Where an object is kept: two digits, then the rest; ``Malformed`` for no digest."""
    require_md5(digest)  # anything else is a path of its writer's choice
    return f"{OBJECTS}/{digest[:2]}/{digest[2:]}"


@contextmanager
def name_faults(shown: str, hint: str, *meant: type[Exception]) -> Iterator[None]:
    """What a system or library raises, but what is ``meant``, becomes a named StoreError."""
    try:
        yield
    except TowpathError:
        raise
    except Exception as fault:  # each file system raises errors of its own
        if isinstance(fault, meant):
            raise
        number = fault.errno if isinstance(fault, OSError) else None
        words = FULL.get(number or 0) or str(fault) or type(fault).__name__
        raise StoreError(f"{shown}: {words}", hint=hint) from fault


def map_in_threads(work: Callable[[_In], _Out], things: Sequence[_In], jobs: int) -> list[_Out]:
    """The answers in the order of the things; the first error ends it."""
    if jobs < 2 or len(things) < 2:
        return [work(thing) for thing in things]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(work, things))
