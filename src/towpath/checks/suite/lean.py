"""Imports Great Expectations without what a check of a table never uses.

Its import takes 3.5 s of CPU, the most of any step's. Half of it goes into three things that a
suite over a table rarely meets: ``scipy.stats`` and ``altair``, which a single expectation needs
and which are imported when that one is used; and the optional extras for SQL and S3, which are
left out as if they were not installed (measured: 1.7 s remain).
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_LATER = ("altair", "scipy.stats")
_EXTRAS = ("sqlalchemy", "boto3", "botocore")


def great_expectations() -> Any:
    """The module; imported once in a process."""
    known = sys.modules.get("great_expectations")
    if known is not None:
        return known
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with _standing_in():
        module = importlib.import_module("great_expectations")
    logging.getLogger("great_expectations").propagate = False  # only its warnings are news
    return module


@contextlib.contextmanager
def _standing_in() -> Iterator[None]:
    """Stand-ins while it is imported; whoever imports these names afterwards gets the real ones."""
    names = [name for name in (*_LATER, *_EXTRAS) if name not in sys.modules]
    for name in names:
        sys.modules[name] = _Later(name) if name in _LATER else None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in names:
            if sys.modules.get(name) is None or isinstance(sys.modules.get(name), _Later):
                sys.modules.pop(name, None)


class _Later(ModuleType):
    """A module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)
