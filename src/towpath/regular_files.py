"""Files opened to be read, and nothing else: who opens a pipe waits for a writer that may never
come."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

# A directory is told by the system itself, which opens none.
_KINDS = {
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


def open_regular_file(path: str | os.PathLike[str], buffering: int = -1) -> BinaryIO:
    """A file, or what a link leads to, opened to be read. ``OSError`` where it cannot be, and where
    it is a pipe, a socket or a device, whose ``strerror`` says so."""
    _refuse_other_kind(os.stat(path), path)  # noqa: PTH116 - for each of ten thousand files
    # It may have become a pipe since it was looked at: `O_NONBLOCK` waits for nobody.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_other_kind(os.fstat(descriptor), path)
        file: BinaryIO = os.fdopen(descriptor, "rb", buffering)
        return file
    except OSError:
        os.close(descriptor)
        raise


def _refuse_other_kind(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if kind := _KINDS.get(stat.S_IFMT(status.st_mode)):
        raise OSError(errno.EINVAL, kind, os.fspath(path))


def read_regular_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file; raises as ``open_regular_file`` does."""
    with open_regular_file(path) as file:
        return file.read()
