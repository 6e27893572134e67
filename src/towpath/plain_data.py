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
    fields: dict[str, Any] = to_builtins(value, enc_hook=_write_text)
    return fields


def _write_text(value: object) -> str:
    # msgspec takes nothing for a string but `str` itself; a digest that was checked is one as well.
    if isinstance(value, (str, PurePath)):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no place in JSON")
