"""The door to skops: models in and out of files that run no code when they are read."""

from __future__ import annotations

import functools
import importlib
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from towpath.errors import Fault, Refused, StepFailed
from towpath.steps import repeatable, trees

_SCHEMA = "schema.json"
_CLASS = re.compile(r'"__class__": "([^"\\]+)",\s*"__module__": "([^"\\]+)"')
_FUNCTION = re.compile(r'"module_path": "([^"\\]+)",\s*"function": "([^"\\]+)"')

_HARMLESS_PACKAGES = (
    "sklearn.",
    "scipy.sparse.",
    "scipy.interpolate.",
    "scipy.stats.",
    "pandas.core.dtypes.",
)
_WITH_SIDE_EFFECTS = (
    "sklearn.datasets.",
    "sklearn.externals.",
    "sklearn.utils._testing",
    "sklearn.conftest",
)


def dump(model: object, path: Path) -> None:
    """Write a model; the same model gives the same bytes.

    :raises StepFailed: where skops cannot keep it.
    """
    from towpath.steps.skops_library import skops_io

    try:
        data = skops_io.dumps(model)
    except Exception as error:  # skops raises what the object's own code raises
        hint = f"{{path: {path.name}, format: joblib}} keeps any object, and runs code when read"
        raise StepFailed(
            Fault(f"skops cannot keep this {type(model).__name__}: {error}", hint=hint)
        ) from error
    path.write_bytes(repeatable.normal(data))


def load(path: Path, name: str, trust: Iterable[str] = ()) -> Any:
    """The model in a file, if it holds nothing but types that are known or trusted by the project.

    :raises Refused: where it holds others, or trees that point outside themselves.
    :raises StepFailed: where it is no skops file.
    """
    from towpath.steps.skops_library import skops_io

    found = types_in(path, name)
    strange = untrusted(found, trust)
    if strange:
        raise Refused(_refusal(name, strange))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            model = skops_io.load(path, trusted=sorted(found))
    except Exception as error:
        raise StepFailed(Fault(f"{name} cannot be read: {error}")) from error
    if reason := trees.unsafe(model):
        raise Refused(Fault(f"{name} is not safe to use: {reason}"))
    return model


def inspect(path: Path, name: str, trust: Iterable[str] = ()) -> tuple[str, ...]:
    """The types in a model's file that are neither known nor trusted; nothing of it is loaded."""
    return untrusted(types_in(path, name), trust)


def types_in(path: Path, name: str) -> frozenset[str]:
    """The full names of all classes and functions that a model's file refers to."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(_SCHEMA).decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise StepFailed(Fault(f"{name} is no skops file: {error}")) from error
    return frozenset(_names(text))


def _names(text: str) -> Iterator[str]:
    for match in _CLASS.finditer(text):
        yield f"{match[2]}.{match[1]}"
    for match in _FUNCTION.finditer(text):
        yield f"{match[1]}.{match[2]}"


def untrusted(names: Iterable[str], trust: Iterable[str] = ()) -> tuple[str, ...]:
    """Those of ``names`` that skops does not know, scientific libraries do not define, and the
    project does not trust. ``trust`` holds full names."""
    allowed = _known_to_skops() | frozenset(trust)
    return tuple(
        sorted(name for name in set(names) if name not in allowed and not _is_harmless(name))
    )


@functools.cache
def _known_to_skops() -> frozenset[str]:
    from towpath.steps.skops_library import trusted_types

    lists = [names for key, names in vars(trusted_types).items() if key.endswith("_TYPE_NAMES")]
    return frozenset(name for names in lists for name in names) | _PLAIN


_PLAIN_NAMES = (
    "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple"
)
_PLAIN = frozenset(f"builtins.{name}" for name in _PLAIN_NAMES.split()) | {
    "collections.OrderedDict",
    "datetime.datetime",
    "numpy.dtype",
    "numpy.ndarray",
}


def _is_harmless(name: str) -> bool:
    """Whether an installed scientific library defines this as a class: to make one and fill in its
    attributes runs nothing of the file's. Functions are never let in by where they live."""
    if not name.startswith(_HARMLESS_PACKAGES) or name.startswith(_WITH_SIDE_EFFECTS):
        return False
    module, _, attribute = name.rpartition(".")
    if "tests" in module.split("."):
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__.startswith(_HARMLESS_PACKAGES)


def _refusal(name: str, strange: tuple[str, ...]) -> Fault:
    listed = ", ".join(strange)
    return Fault(
        f"{name} is not safe to load: it holds {listed}",
        hint=f"if you know where the file comes from, list them in towpath.yaml: trust: [{listed}]",
    )
