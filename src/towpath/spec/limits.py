"""Bounds within which numbers, dates and documents of strangers are believed."""

from __future__ import annotations

LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z in seconds since 1970: the last that a calendar has."""
MOST_BYTES = (1 << 63) - 1
"""The largest file that any file system knows."""
DEEPEST = 100
"""How deep a document may nest: less than what would exhaust the stack of who walks it."""
LARGEST = 10**300
"""Beyond it a whole number is no floating one any more, and cannot be shown as one."""


def is_finite(value: int | float) -> bool:
    """Whether a number can be shown: no NaN, no infinity, no integer without end."""
    return -LARGEST < value < LARGEST


def is_same(one: object, other: object) -> bool:
    """Whether two values of documents say the same: a NaN says what another NaN says."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other or (one != one and other != other)


def clamp_second(text: str) -> int:
    """A second since 1970 as Git prints it; one that no calendar has becomes its end, none is 0.

    Whoever pushes a tag or a commit chooses its date freely.
    """
    return min(int(text), LAST_SECOND) if text.isascii() and text.isdigit() else 0
