"""Storing bytes, over reading them with `md5sum` and copying them with `cp`."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Row
from towpath.backends.dvc import Store, initialise_store

RUNS = 5
_MIB = 1 << 20


def rows() -> Iterator[Row]:
    """One large file, many small ones. What is measured is not removed until the end.

    ext4 walks past the inodes that were freed a moment ago, one by one, for each new file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        yield from large(Path(scratch))
        yield from small(Path(scratch))


def large(folder: Path, size: int = 1024) -> Iterator[Row]:
    """A file of ``size`` MiB."""
    path = folder / "large.bin"
    with path.open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(_MIB))
    base, put = _in_turn(folder, path, 3)
    yield _row(f"store a file of {size} MiB", base, put, 1.4)


def small(folder: Path, count: int = 10_000) -> Iterator[Row]:
    """A folder of ``count`` files of 4 KiB."""
    path = folder / "small"
    path.mkdir()
    for number in range(count):
        (path / str(number)).write_bytes(os.urandom(4096))
    base, put = _in_turn(folder, path, RUNS)
    yield _row(f"store {count:,} files of 4 KiB", base, put, 2.0)


def _row(name: str, base: float, put: float, bound: float) -> Row:
    return Row(name, put / base, bound, "x floor", f"wall; md5sum + cp {base:.2f} s")


def _in_turn(folder: Path, path: Path, runs: int) -> tuple[float, float]:
    """The medians of the floor and of ours, in seconds, measured in turn on a quiet disk."""
    floor, ours = [], []
    for number in range(runs):
        copy = folder / f"copy of {path.name} {number}"
        floor.append(_seconds(partial(_floor, path, copy)))
        store = _fresh_store(folder / f"store of {path.name} {number}")
        ours.append(_seconds(partial(store.put, path)))
    return statistics.median(floor), statistics.median(ours)


def _seconds(work: Callable[[], object]) -> float:
    os.sync()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _floor(path: Path, copy: Path) -> None:
    read = 'find "$1" -type f -print0 | xargs -0 md5sum >/dev/null && cp -r "$1" "$2"'
    subprocess.run(["sh", "-c", read, "sh", path, copy], check=True)


def _fresh_store(root: Path) -> Store:
    root.mkdir()
    initialise_store(root)
    return Store(root)
