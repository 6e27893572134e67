"""Which types a model's file may hold: those that can do no harm by being made and filled in."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

_PACKAGES = ("sklearn.", "scipy.sparse.", "scipy.interpolate.", "scipy.stats.")
_WITH_EFFECTS = ("sklearn.datasets.", "sklearn.externals.", "sklearn.utils._testing.")

_COMPILED = (
    "sklearn.tree._tree.Tree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.metrics._dist_metrics.",
    "sklearn._loss._loss.Cy",
    "sklearn.linear_model._sgd_fast.",
)
"""Compiled classes that hold numbers only, or whose indices are looked at after loading."""

_NAMED = frozenset(
    {
        "functools.partial",  # what it wraps must be trusted too
        "numpy.ma.MaskedArray",
        "sklearn.utils.validation.check_array",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
    }
)
"""What scikit-learn's own estimators hold besides classes."""


def strange(names: Iterable[str], trust: Iterable[str] = ()) -> tuple[str, ...]:
    """Those of ``names`` that are neither harmless nor trusted by the project, sorted.

    :param names: full names that skops does not trust by itself.
    """
    allowed = frozenset(trust) | _NAMED
    return tuple(sorted(name for name in names if name not in allowed and not is_harmless(name)))


def is_harmless(name: str) -> bool:
    """Whether an installed scientific library defines this as a class.

    To make an object of it and to fill in its attributes runs nothing of the file's. A function
    is never let in by where it lives, nor a compiled class, whose code follows what it is given
    without looking.
    """
    if name.startswith(_COMPILED):
        return True
    if not name.startswith(_PACKAGES) or name.startswith(_WITH_EFFECTS) or ".tests." in name:
        return False
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module and _is_python(module)


def _is_python(module: str) -> bool:
    file = importlib.import_module(module).__file__
    return bool(file and file.endswith(".py"))
