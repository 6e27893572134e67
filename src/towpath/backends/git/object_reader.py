"""The bytes of objects from one Git process that stays: a question costs no start of another.

The process is ``git cat-file --batch``: a name a line, and for each a header with the size, then
the bytes (git-cat-file(1), "BATCH OUTPUT"). It looks at refs and at new objects as each call of Git
does.
"""

from __future__ import annotations

import os
import subprocess
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO

from towpath.call_log import log_call

_SHOWN = 9  # names in the diagnostic log
_AT_ONCE = 4096  # bytes of names: with more in the pipe, each might wait for the other
# What Git reads once, as it begins: the place itself, where other objects lie, and settings.
_READ_ONCE = ("", "objects/info/alternates", "config", "shallow")


class ObjectReader:
    """Answers the questions of one repository, from any thread, and ends its Git with itself."""

    def __init__(self) -> None:
        self._lock, self._owner = Lock(), os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_at: tuple[object, ...] = ()
        self._end: Callable[[], object] | None = None

    def __reduce__(self) -> tuple[type[ObjectReader], tuple[()]]:
        """Nothing of it goes to another process."""
        return ObjectReader, ()

    def read_objects(
        self, common: Path, begin: Callable[[], subprocess.Popen[bytes]], names: Sequence[str]
    ) -> dict[str, bytes] | None:
        """The bytes by name, without those that are not there. ``begin`` starts Git in the
        repository whose folder is ``common``. None where Git ended: a broken object is its end, and
        what it complains of is told to who asks anew."""
        if self._owner != os.getpid():  # a thread of the parent's may have held the lock
            self._lock, self._owner = Lock(), os.getpid()
        shown = names[:_SHOWN]
        with self._lock, log_call("git", "git", "cat-file", "--batch", *shown) as logged:
            process = self._take_process(common, begin)
            try:
                contents = dict(_ask(process, names))
            except (BrokenPipeError, EOFError):
                self.close()
                logged.answer(process.returncode)
                return None
            except BaseException:
                self.close()
                raise
            self._process = process
            logged.answer(0)
            return contents

    def close(self) -> None:
        """End Git; the next question begins another."""
        end, self._process, self._end = self._end, None, None
        if end:
            end()

    def _take_process(
        self, common: Path, begin: Callable[[], subprocess.Popen[bytes]]
    ) -> subprocess.Popen[bytes]:
        """The process, out of the way of others until its answer is read whole: whoever was
        interrupted, by Ctrl-C say, leaves what would be taken for the next answer."""
        # A forked child must not read the answers of its parent.
        place = (os.getpid(), *(_stamp_file(common / name) for name in _READ_ONCE))
        if self._process is None or place != self._begun_at:
            self.close()
            self._process, self._begun_at = begin(), place
            self._end = weakref.finalize(self, _end_process, self._process, os.getpid())
        process, self._process = self._process, None
        return process


def _stamp_file(path: Path) -> tuple[int, ...]:
    try:
        facts = path.stat()
    except OSError:
        return ()
    # A folder's time is that of any change in it.
    return (facts.st_dev, facts.st_ino, *(() if path.is_dir() else (facts.st_mtime_ns,)))


def _end_process(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        return
    # It only reads; and at its stdin's end it would not stop while a fork of ours holds that open.
    process.kill()
    with suppress(BrokenPipeError), process:
        pass


def _ask(process: subprocess.Popen[bytes], names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    assert process.stdin and process.stdout
    for part in _split_names(names):
        process.stdin.write(b"".join(part.values()))
        process.stdin.flush()
        for name in part:
            content = _read_answer(process.stdout)
            if content is not None:
                yield name, content


def _split_names(names: Iterable[str]) -> Iterator[dict[str, bytes]]:
    """The lines by name, in parts that the smallest pipe holds."""
    part: dict[str, bytes] = {}
    size = 0
    for name in names:
        line = f"{name}\n".encode("utf-8", "surrogateescape")
        size += len(line)
        if part and size > _AT_ONCE:
            yield part
            part, size = {}, len(line)
        part[name] = line
    if part:
        yield part


def _read_answer(stream: IO[bytes]) -> bytes | None:
    """A header with the size, that many bytes, a line's end; None where there is no object."""
    header = stream.readline()
    if not header.endswith(b"\n"):
        raise EOFError
    fields = header[:-1].split(b" ")
    if len(fields) != 3 or not fields[2].isdigit():
        return None
    size = int(fields[2])
    content = stream.read(size + 1)
    if len(content) != size + 1:
        raise EOFError
    return content[:-1]
