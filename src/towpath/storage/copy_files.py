"""Copies of files: cloned where the file system can, else read once and hashed on the way."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from towpath.errors import StoreError
from towpath.regular_files import open_regular_file

# Bytes at a time. For a buffer of a megabyte, of which a small file fills a page, the system is
# asked anew for each file, and that takes longer than to copy it.
_CHUNK = 1 << 17
# The ioctl that shares the blocks of a whole file on Linux (btrfs, XFS, bcachefs).
_FICLONE = 0x40049409

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the limit that is set for files (`ulimit -f`)",
}
# Bytes free (for who is not root) below which a file system is called full: a block may be left
# that is too small for what was to be written.
_ROOM = 1 << 16
_FORBIDDEN = {
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
    errno.EROFS: "it is on a read-only file system",
}


def hash_bytes(data: bytes) -> str:
    """DVC's digest of bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def md5_of(descriptor: int) -> str:
    """The digest of an open file, from where it stands to its end."""
    hasher = hashlib.md5(usedforsecurity=False)
    for chunk in _read_chunks(descriptor):
        hasher.update(chunk)
    return hasher.hexdigest()


def copy_hashing(source: int, target: int) -> str:
    """Copy between open files in one pass; the digest is that of the bytes that were written."""
    hasher = hashlib.md5(usedforsecurity=False)
    for chunk in _read_chunks(source):
        hasher.update(chunk)
        write_all(target, chunk)
    return hasher.hexdigest()


def write_all(target: int, data: bytes | memoryview) -> None:
    """Write to an open file, however many calls the kernel wants for it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


def clone_blocks(source: int, target: int) -> bool:
    """Share a whole file's blocks with an empty file; False where that cannot be."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy_plain(source: Path, target: Path) -> None:
    """Copy or clone a file's bytes (not its mode) to a new file."""
    with open_regular_file(source, 0) as reader, target.open("xb", buffering=0) as writer:
        if not clone_blocks(reader.fileno(), writer.fileno()):
            while content := os.read(reader.fileno(), _CHUNK):
                write_all(writer.fileno(), content)


def mount_of(path: Path) -> Path:
    """Where the file system of a path is mounted; of one that is not there, that of its folder."""
    folder = standing_folder(path)
    while not folder.is_mount() and folder != folder.parent:
        folder = folder.parent
    return folder


def standing_folder(path: Path) -> Path:
    """A path, or the nearest folder above it that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


@contextmanager
def explain_write_errors(what: str, where: Path) -> Iterator[None]:
    """Turn the system's refusal to write into a StoreError that says what to do."""
    try:
        yield
    except OSError as refusal:
        number = refusal.errno or 0
        if number in FULL:
            room = f"make room in {where}, on {mount_of(where)}, and run again"
            raise StoreError(
                f"{what} could not be stored: {FULL[number]}",
                hint=f"nothing half-written was left behind; {room}",
            ) from refusal
        if number in _FORBIDDEN:
            raise StoreError(
                f"{what} could not be stored in {where}: {_FORBIDDEN[number]}",
                hint="give yourself write access, or set another `cache.dir` in .dvc/config.local",
            ) from refusal
        raise


def explain_refusal(refusal: OSError, *folders: Path) -> StoreError | None:
    """The error for a disk that is full or may not be written; None for any other refusal. Where a
    refusal names no file, as in writing, the one of ``folders`` is named that has no room."""
    number = refusal.errno or 0
    if number == errno.EROFS:
        where = refusal.filename or next(iter(folders), Path())
        hint = "a project is written to: copy it, or mount it so that you may write"
        return StoreError(f"{where}: read-only file system ({mount_of(Path(where))})", hint=hint)
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
    statistics = os.statvfs(standing_folder(path))
    return statistics.f_bavail * statistics.f_frsize < _ROOM or (
        statistics.f_files > 0 and statistics.f_favail == 0
    )


def _read_chunks(descriptor: int) -> Iterator[memoryview]:
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    while count := os.readv(descriptor, [buffer]):
        yield view[:count]
