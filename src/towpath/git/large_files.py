"""Git LFS: what stands in the place of a large file where its bytes were not fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PULL = "git lfs pull (and git lfs install, once on each machine)"
_BEGINNINGS = (
    b"version https://git-lfs.github.com/spec/",
    b"version https://hawser.github.com/spec/",
)
_LEAST, _LARGEST = 100, 1024  # bytes, by the specification of the format


def is_pointer(content: bytes) -> bool:
    """Whether these bytes are LFS's word about a file, and not the file."""
    return _LEAST <= len(content) < _LARGEST and content.startswith(_BEGINNINGS)


def pointers_in(path: Path) -> Iterator[Path]:
    """The pointers among a file, or the files of a folder; only files of their size are opened."""
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in sorted(names):
                yield from pointers_in(Path(folder, name))
    elif path.is_file() and _has_size_of_pointer(path) and is_pointer(path.read_bytes()):
        yield path


def _has_size_of_pointer(path: Path) -> bool:
    return _LEAST <= path.stat().st_size < _LARGEST
