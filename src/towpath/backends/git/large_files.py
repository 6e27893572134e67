"""Git LFS: where a pointer stands for a file, the file is what its pointer says, or nothing is.

A pointer is text, and a small .csv or .json is text too: read as data it would be taken for data.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from towpath.backends.git.repository import Repository
from towpath.errors import StoreError

PULL = "git lfs pull (and git lfs install, once on each machine)"
_BEGINNINGS = (
    b"version https://git-lfs.github.com/spec/",
    b"version https://hawser.github.com/spec/",
)
_POINTER = re.compile(rb"(?:[a-z0-9.-]+ [^\n]*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?\Z")
_LARGEST = 1024  # bytes, by the specification of the format


def is_pointer(content: bytes) -> bool:
    """Whether these bytes are LFS's word about a file, and not the file."""
    return len(content) < _LARGEST and content.startswith(_BEGINNINGS)


def pointers_in(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in sorted(names):
                yield from pointers_in(Path(folder, name))
    elif is_pointer_file(path):
        yield path


def is_pointer_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size < _LARGEST and is_pointer(path.read_bytes())


def pointed_size(content: bytes) -> int | None:
    """How large the file is that a pointer stands for; None for what is no pointer."""
    pointer = _POINTER.match(content) if is_pointer(content) else None
    return int(pointer[2]) if pointer else None


def resolve_pointer(repository: Repository, content: bytes, name: str) -> bytes:
    """The bytes that a blob of Git called ``name`` stands for: its own, or a pointer's object.
    Raises ``StoreError`` where that is not in this clone, or is not what the pointer says."""
    if not is_pointer(content):
        return content
    pointer = _POINTER.match(content)
    if pointer is None:
        raise StoreError(f"{name} is a pointer of Git LFS that says no digest")
    digest, size = pointer[1].decode(), int(pointer[2])
    # As LFS has it (git-lfs-config(5)): a relative `lfs.storage` is taken from the Git folder.
    storage = repository.common / (repository.read_setting("lfs.storage") or "lfs")
    place = storage / "objects" / digest[:2] / digest[2:4] / digest
    try:
        kept = place.read_bytes()
    except OSError:
        what = f"{name} is a pointer of Git LFS, and its bytes are not in this clone"
        raise StoreError(what, hint=PULL) from None
    if len(kept) != size or hashlib.sha256(kept).hexdigest() != digest:
        what = f"the bytes of {name} in Git LFS are not those that its pointer says"
        raise StoreError(what, hint=f"delete {place}, then {PULL}")
    return kept
