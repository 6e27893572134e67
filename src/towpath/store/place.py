"""Where a stage keeps its bytes: a folder or a bucket, seen through the same few questions."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from towpath.spec.digests import require_md5

OBJECTS = "files/md5"


class Place(Protocol):
    """Files by their path from the top, with ``/`` between its parts.

    Each question raises what the system or the library beneath raises; ``StageStore`` turns it
    into words.
    """

    @property
    def shown(self) -> str:
        """It as a person wrote it, without credentials."""
        ...

    @property
    def jobs(self) -> int:
        """How many questions it takes at once."""
        ...

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file to read; FileNotFoundError where it is not there."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the files directly in a folder, sorted; none where it is not there."""
        ...

    def add(self, local: Path, path: str) -> None:
        """Put a file of this machine there, whole or not at all; what stands there is replaced."""
        ...

    def remove(self, path: str) -> None:
        """Take a file away; it may be gone."""
        ...

    def read(self, path: str) -> tuple[bytes, str] | None:
        """A small file's bytes and the mark by which its next writer says what it saw."""
        ...

    def write(self, path: str, content: bytes, if_match: str | None) -> str | None:
        """Write a small file if it still has this mark (None: if it is not there yet).

        The new mark; None where another wrote meanwhile.
        """
        ...


class Source(Protocol):
    """Where bytes may be copied from: another stage's store, the project's, a remote."""

    @property
    def shown(self) -> str:
        """It as a person calls it."""
        ...

    def open(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """An object's bytes, unverified; FileNotFoundError where it has none."""
        ...


def object_path(digest: str) -> str:
    """Where DVC 3 keeps an object: two digits, then the rest; ``Malformed`` for no digest."""
    require_md5(digest)
    return f"{OBJECTS}/{digest[:2]}/{digest[2:]}"
