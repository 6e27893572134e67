"""Models in and out of skops files, which run no code when they are read."""

from __future__ import annotations

import ast
import re
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from towpath.errors import Fault, Refused, StepFailed
from towpath.steps import bounds, repeatable, trusting

_SCHEMA = "schema.json"
_CLASS = re.compile(r'"__class__": "([^"\\]+)",\s*"__module__": "([^"\\]+)"')
_FUNCTION = re.compile(r'"module_path": "([^"\\]+)",\s*"function": "([^"\\]+)"')
_REFUSED = re.compile(r"Untrusted types found in the file: (\[.*?\])\.")


def dump(model: object, path: Path) -> None:
    """Write a model; the same model gives the same bytes.

    :raises StepFailed: where skops cannot keep it.
    """
    from towpath.steps.skops_library import skops_io

    try:
        data = skops_io.dumps(model)
    except Exception as error:  # skops raises what the object's own code raises
        hint = f"{{path: {path.name}, format: joblib}} keeps any object, and runs code when read"
        what = f"skops cannot keep this {type(model).__name__}: {error}"
        raise StepFailed(Fault(what, hint=hint)) from error
    path.write_bytes(repeatable.normal(data))


def load(path: Path, name: str, trust: Iterable[str] = ()) -> Any:
    """The model in a file called ``name``, if all that it holds is known or trusted.

    :param trust: full names of types that the project lets in besides the known ones.
    :raises Refused: where it holds others, or indices that point outside of what they index.
    :raises StepFailed: where it is no skops file.
    """
    from towpath.steps.skops_library import skops_io

    mentioned = _types_in(path, name)
    trusted = sorted(mentioned.difference(trusting.strange(mentioned, trust)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            model = skops_io.load(path, trusted=trusted)
    except Exception as error:
        if found := _REFUSED.search(str(error)):
            raise Refused(_refusal(name, ast.literal_eval(found[1]))) from None
        raise StepFailed(Fault(f"{name} cannot be read: {error}")) from error
    if reason := bounds.fault(model):
        raise Refused(Fault(f"{name} is not safe to use: {reason}"))
    return model


def inspect(path: Path, name: str, trust: Iterable[str] = ()) -> tuple[str, ...]:
    """What :func:`load` would refuse a file for: full names, sorted. Nothing of it is loaded."""
    from towpath.steps.skops_library import skops_io

    _types_in(path, name)
    return trusting.strange(skops_io.get_untrusted_types(file=path), trust)


def _types_in(path: Path, name: str) -> frozenset[str]:
    """The full names of all classes and functions that a model's file mentions."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(_SCHEMA).decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise StepFailed(Fault(f"{name} is no skops file: {error}")) from error
    classes = (f"{match[2]}.{match[1]}" for match in _CLASS.finditer(text))
    functions = (f"{match[1]}.{match[2]}" for match in _FUNCTION.finditer(text))
    return frozenset((*classes, *functions))


def _refusal(name: str, strange: list[str]) -> Fault:
    listed = ", ".join(sorted(strange))
    return Fault(
        f"{name} is not safe to load: it holds {listed}",
        hint=f"if you know where the file comes from, add to towpath.yaml: trust: [{listed}]",
    )
