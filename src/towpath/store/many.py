"""The same small work on many things, in a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_FEW = 64
"""Below this many, threads cost more than they bring."""


def each(work: Callable[[In], Out], things: Sequence[In]) -> list[Out]:
    """The answers in the order of the things; the first error ends it."""
    workers = min(8, 2 * (os.cpu_count() or 1))
    if len(things) < _FEW:
        return [work(thing) for thing in things]
    from concurrent.futures import ThreadPoolExecutor

    size = -(-len(things) // (4 * workers))
    slices = [things[start : start + size] for start in range(0, len(things), size)]
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(lambda part: [work(thing) for thing in part], slices)
        return [answer for part in parts for answer in part]
