"""The system's refusals to write, in words: which file system is full, or may not be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from towpath.errors import StoreError
from towpath.store.copying import FULL, mount_of, standing_folder

_ROOM = 1 << 16
"""Bytes free (for who is not root) below which a file system is called full: a block may be left
that is too small for what was to be written."""
_READ_ONLY = "read-only file system"


def explain_refusal(refusal: OSError, *folders: Path) -> StoreError | None:
    """The error for a disk that is full or may not be written; None for any other refusal.

    A refusal names a file only where it was opened, not where it was written to: then the one of
    ``folders`` is named whose file system has no room.
    """
    number = refusal.errno or 0
    if number == errno.EROFS:
        where = refusal.filename or _first(folders)
        hint = "a project is written to: copy it, or mount it so that you may write"
        return StoreError(f"{where}: {_READ_ONLY} ({mount_of(Path(where))})", hint=hint)
    if number not in FULL:
        return None
    named = [Path(os.fsdecode(refusal.filename))] if refusal.filename else []
    full = next((f for f in (*named, *folders) if number == errno.ENOSPC and _is_full(f)), None)
    where = full or next(iter((*named, *folders)), Path())
    hint = f"make room there (`df -h {where}`) and run again; nothing half-written counts"
    return StoreError(
        f"{FULL[number]}: no room on {mount_of(where)}, where {where} lies", hint=hint
    )


def _is_full(path: Path) -> bool:
    found = os.statvfs(standing_folder(path))
    return found.f_bavail * found.f_frsize < _ROOM or (found.f_files > 0 and found.f_favail == 0)


def _first(folders: tuple[Path, ...]) -> Path:
    return next(iter(folders), Path())
