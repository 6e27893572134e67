"""Frozen values as JSON's own types, and values by their keys."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, TypeVar

from msgspec import to_builtins

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def group_by_key(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, list[_Value]]:
    """The values of each key, in their order."""
    groups: dict[_Key, list[_Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def list_fields(value: object) -> dict[str, Any]:
    """The fields of a Struct or data class by name, and of each inside of it. TypeError for what
    has no place in JSON."""
    fields: dict[str, Any] = to_builtins(value, enc_hook=_make_plain)
    return fields


def _make_plain(value: object) -> str | int | float:
    # msgspec takes nothing for a string or a number but these types themselves; a digest that was
    # checked is a string as well, and a number of NumPy one of Python's.
    if isinstance(value, (str, PurePath)):
        return str(value)
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    raise TypeError(f"a {type(value).__name__} has no place in JSON")
