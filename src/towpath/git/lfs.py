"""Git LFS: where a pointer stands for a file, the file is what its pointer says, or nothing is.

A pointer is text, and a small .csv or .json is text too: read as data it would be taken for data.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from towpath.errors import StoreError
from towpath.git.repository import Repository

_VERSION = re.compile(rb"version https://(git-lfs\.github\.com|hawser\.github\.com)/spec/v")
_POINTER = re.compile(rb"(?:[a-z0-9.-]+ [^\n]*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?\Z")
_LONGEST = 1024
"""A pointer is shorter, says its specification."""

PULL = "git lfs pull, where git-lfs is installed"


def is_pointer(content: bytes) -> bool:
    """Whether the content of a file, or its beginning, is that of a pointer."""
    return _VERSION.match(content) is not None


def stands_for_another(path: Path) -> bool:
    """Whether a file on disk is a pointer."""
    if not path.is_file() or path.stat().st_size > _LONGEST:
        return False
    with path.open("rb") as file:
        return is_pointer(file.read(_LONGEST))


def resolve(repository: Repository, content: bytes, name: str) -> bytes:
    """The bytes that a blob of Git called ``name`` stands for: its own, or a pointer's object.

    Raises ``StoreError`` where that is not in this clone, or is not what the pointer says.
    """
    if len(content) > _LONGEST or not is_pointer(content):
        return content
    pointer = _POINTER.match(content)
    if pointer is None:
        raise StoreError(f"{name} is a pointer of Git LFS that says no digest")
    digest, size = pointer[1].decode(), int(pointer[2])
    place = _objects(repository) / digest[:2] / digest[2:4] / digest
    try:
        found = place.read_bytes()
    except OSError:
        what = f"{name} is a pointer of Git LFS, and its bytes are not in this clone"
        raise StoreError(what, hint=PULL) from None
    if len(found) != size or hashlib.sha256(found).hexdigest() != digest:
        what = f"the bytes of {name} in Git LFS are not those that its pointer says"
        raise StoreError(what, hint=f"delete {place}, then {PULL}")
    return found


def _objects(repository: Repository) -> Path:
    storage = repository.setting("lfs.storage") or "lfs"
    return repository.common / storage / "objects"
