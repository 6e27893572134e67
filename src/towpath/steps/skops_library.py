"""skops, imported without its survey of scikit-learn where that was made before.

When it is imported, skops asks scikit-learn for all of its estimators to learn their names, and
that imports every module of scikit-learn, pytest and Dask: a second, in each run. The names do
not change while the two packages stay the same, so they are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import platformdirs
import sklearn.utils


@contextmanager
def _remembered_survey() -> Iterator[None]:
    survey = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = lambda: _estimators(survey)
    try:
        yield
    finally:
        sklearn.utils.all_estimators = survey


def _estimators(survey: Any) -> list[tuple[str, Any]]:
    """What the survey gives: pairs of which skops reads the second's name and module."""
    names = _kept()
    if names is None:
        names = [(each.__module__, each.__name__) for _, each in survey()]
        _keep(names)
    return [(name, SimpleNamespace(__module__=module, __name__=name)) for module, name in names]


def _file() -> Path:
    versions = f"scikit-learn-{version('scikit-learn')}-skops-{version('skops')}"
    return Path(platformdirs.user_cache_dir("towpath")) / f"estimators-{versions}.json"


def _kept() -> list[tuple[str, str]] | None:
    with suppress(OSError, ValueError):
        return [(module, name) for module, name in json.loads(_file().read_text(encoding="utf-8"))]
    return None


def _keep(names: list[tuple[str, str]]) -> None:
    with suppress(OSError):  # a home that cannot be written to costs a second, not the run
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(names), encoding="utf-8")
        scratch.replace(file)


with _remembered_survey():
    from skops import io as skops_io
    from skops.io import _trusted_types as trusted_types

__all__ = ["skops_io", "trusted_types"]
