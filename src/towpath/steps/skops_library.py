"""skops, imported without its survey of scientific Python where that was made before.

When it is imported, skops asks scikit-learn for all of its estimators, and SciPy and NumPy for
their functions, to learn their names. That imports all of scikit-learn, pytest and Dask, and takes
a second of every run. The names do not change while the packages stay the same, so they are kept.

Towpath's own reading of a model's file does not rest on them: what a file may hold says
``allowed_types``. They serve a step's own code that uses skops. In a sandbox, where no such file
can be kept, they are empty.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace

import platformdirs

from towpath.steps import confinement

_SURVEY = "skops.io._trusted_types"
_SURVEYED = ("skops", "scikit-learn", "scipy", "numpy")
_HOMES = ("numpy.", "scipy.", "sklearn.")
_PLAIN = {
    f"builtins.{name}" for name in ("bool", "float", "int", "list", "map", "set", "str", "tuple")
}

_LISTS = (
    "CONTAINER_TYPE_NAMES",
    "NUMPY_DTYPE_TYPE_NAMES",
    "NUMPY_UFUNC_TYPE_NAMES",
    "PRIMITIVE_TYPE_NAMES",
    "SCIPY_UFUNC_TYPE_NAMES",
    "SKLEARN_ESTIMATOR_TYPE_NAMES",
    "SKLEARN_INTERNAL_TYPE_NAMES",
)
_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
"""NumPy's generators of bits: skops looks for these in its own list alone."""

_Names = Mapping[str, list[str]]


def _file() -> Path:
    versions = "-".join(version(package) for package in _SURVEYED)
    return Path(platformdirs.user_cache_dir("towpath")) / f"skops-names-{versions}.json"


def _kept() -> _Names | None:
    """The lists of names by their variable; None where they are not kept, or not ours."""
    with suppress(OSError, ValueError, AttributeError):
        names: _Names = json.loads(_file().read_text(encoding="utf-8"))
        if all(n.startswith(_HOMES) or n in _PLAIN for each in names.values() for n in each):
            return names
    return None


def _keep(survey: ModuleType) -> None:
    names = {key: each for key, each in vars(survey).items() if key.endswith("_TYPE_NAMES")}
    with suppress(OSError):  # a home that cannot be written to costs a second, not the run
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(names), encoding="utf-8")
        scratch.replace(file)


def _compact(state: object, **_: object) -> str:
    """Without skops' indentation: nobody reads it, and Python's quick encoder cannot indent."""
    return json.dumps(state)


def _names() -> _Names | None:
    if not confinement.is_confined():
        return _kept()
    generators = [f"numpy.random.{name}" for name in _GENERATORS]
    return {**{name: [] for name in _LISTS}, "NUMPY_RANDOM_BIT_GENERATOR_TYPE_NAMES": generators}


def _import() -> ModuleType:
    names = None if _SURVEY in sys.modules else _names()
    if names is not None:
        sys.modules[_SURVEY] = ModuleType(_SURVEY)
        vars(sys.modules[_SURVEY]).update(names)
    from skops.io import _persist

    if names is None:
        _keep(sys.modules[_SURVEY])
    _persist.json = SimpleNamespace(loads=json.loads, dumps=_compact)
    return sys.modules[_SURVEY]


trusted_types = _import()

from skops import io as skops_io  # noqa: E402

__all__ = ["skops_io", "trusted_types"]
