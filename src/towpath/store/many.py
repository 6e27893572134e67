"""The same small work on many things, in threads where threads bring something."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_SAMPLE = 8
_LONG = 0.001
"""Seconds: work as long as this is the kernel's or a hash's, and other threads need not wait."""


def each(work: Callable[[In], Out], things: Sequence[In]) -> list[Out]:
    """The answers in the order of the things; the first error ends it.

    The first few are done here. Small files on a quick disk are Python's own time, of which
    threads only make more; where the few waited for the disk, or took long, they help.
    """
    busy, waits = time.thread_time(), _waits()
    done = [work(thing) for thing in things[:_SAMPLE]]
    busy, waits = time.thread_time() - busy, _waits() - waits
    rest = things[_SAMPLE:]
    if not rest or (busy < _LONG * len(done) and waits < len(done)):
        return done + [work(thing) for thing in rest]
    return done + _in_threads(work, rest)


def _waits() -> int:
    """How often this thread gave its core away to wait for something."""
    which = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    return resource.getrusage(which).ru_nvcsw


def _in_threads(work: Callable[[In], Out], things: Sequence[In]) -> list[Out]:
    from concurrent.futures import ThreadPoolExecutor

    workers = min(8, 2 * (os.cpu_count() or 1))
    size = -(-len(things) // (4 * workers))
    slices = [things[start : start + size] for start in range(0, len(things), size)]
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(lambda part: [work(thing) for thing in part], slices)
        return [answer for part in parts for answer in part]
