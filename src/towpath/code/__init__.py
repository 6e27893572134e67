"""User code, read without importing it: where it is, what it takes, what it reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from towpath.code.code_reader import Reader
from towpath.code.signature import Argument, Signature
from towpath.code.step_function import Located

__all__ = [
    "Argument",
    "Located",
    "Reader",
    "Signature",
    "digests",
    "locate",
    "packages",
    "signature",
]


def signature(root: Path, folder: str, run: str) -> Signature:
    """The arguments of a step's function; see ``Reader``, which does this for many steps."""
    return Reader(root).signature(folder, run)


def digests(root: Path, folder: str, run: str, extra: Sequence[str] = ()) -> Mapping[str, str]:
    """A digest for each name that a step's function reaches, by label."""
    return Reader(root).digests(folder, run, extra)


def packages(root: Path, folder: str, run: str) -> Mapping[str, str]:
    """The distributions that a step's code imports, with what they require, by version."""
    return Reader(root).packages(folder, run)


def locate(root: Path, folder: str, run: str) -> Located:
    """Where a step's function is, and how its process imports it."""
    return Reader(root).locate(folder, run)
