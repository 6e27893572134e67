"""What a function's annotations ask for, as plain names: ``pandas.DataFrame``, ``pathlib.Path``."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping

_OPTIONAL = re.compile(r"(?:typing\.)?Optional\[(.*)\]")
_USUAL = {"pd": "pandas", "pl": "polars", "pa": "pyarrow", "np": "numpy", "Path": "pathlib.Path"}


def wanted(function: Callable[..., object]) -> Mapping[str, str]:
    """The plain name of each annotated argument's type; what is no single type is left out."""
    source = inspect.unwrap(function)
    scope: dict[str, object] = getattr(source, "__globals__", {})
    hints = getattr(source, "__annotations__", {})
    names = {argument: _name(hint, scope) for argument, hint in hints.items()}
    return {argument: name for argument, name in names.items() if name}


def _name(hint: object, scope: dict[str, object]) -> str:
    if isinstance(hint, str):
        try:
            hint = eval(hint, dict(scope))
        except Exception:  # a name that exists for type checkers only
            return _written(str(hint), scope)
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        members = [arm for arm in typing.get_args(hint) if arm is not type(None)]
        return _name(members[0], scope) if len(members) == 1 else ""
    return _of_class(typing.get_origin(hint) or hint)


def _of_class(found: object) -> str:
    if not isinstance(found, type):
        return ""
    package = found.__module__.partition(".")[0]
    return found.__qualname__ if package == "builtins" else f"{package}.{found.__qualname__}"


def _written(text: str, scope: dict[str, object]) -> str:
    """The name that an annotation spells, with the module's own words for what it imports."""
    optional = _OPTIONAL.fullmatch(text.strip())
    text = optional[1] if optional else text
    arms = [arm.strip() for arm in text.split("|") if arm.strip() != "None"]
    if len(arms) != 1:
        return ""
    first, *rest = arms[0].partition("[")[0].strip().split(".")
    found = scope.get(first)
    for attribute in rest:
        found = getattr(found, attribute, None)
    return _of_class(found) or ".".join([_USUAL.get(first, first), *rest])
