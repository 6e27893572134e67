"""References (a parameter's or an input's name, ``step.output[.key]``) and the values they name."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from towpath.errors import Fault, StepFailed, did_you_mean

Key: TypeAlias = str | int


@dataclass(frozen=True)
class Reference:
    """One reference as it is written; only the pipeline knows what ``name`` names.

    ``raw`` is ``Reference("raw")``; ``evaluate.metrics.mse`` is ``Reference("evaluate",
    "metrics", ("mse",))``.
    """

    name: str
    output: str | None = None
    keys: tuple[Key, ...] = ()

    @property
    def base(self) -> str:
        """What holds the value, without the keys: ``max_mse`` or ``evaluate.metrics``."""
        return self.name if self.output is None else f"{self.name}.{self.output}"

    @property
    def last_name(self) -> str:
        """The name that an item of a list takes: the last one."""
        words = [key for key in self.keys if isinstance(key, str) and key.isidentifier()]
        return words[-1] if words else self.output or self.name

    def __str__(self) -> str:
        return self.base + "".join(_shown_key(key) for key in self.keys)


def parse_value_reference(text: str) -> Reference:
    """A reference; raises ValueError, whose words say what is wrong."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        reference = of_node(node)
    except (SyntaxError, RecursionError, MemoryError):
        reference = None
    if reference is None:
        raise ValueError(f"`{text}` is no reference: write `name` or `step.output`")
    return reference


def parse_alternatives(text: str) -> tuple[Reference, ...]:
    """The references of ``a.x or b.y``, one where there is no ``or``; raises as for one."""
    return tuple(parse_value_reference(part) for part in text.split(" or "))


def of_node(node: ast.expr) -> Reference | None:
    """The reference that a piece of Python's syntax spells, or None."""
    keys: list[Key] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        key = _node_key(node)
        if key is None:
            return None
        keys.append(key)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    keys.reverse()
    if keys and isinstance(keys[0], str):
        return Reference(node.id, keys[0], tuple(keys[1:]))
    return Reference(node.id, None, tuple(keys))


def _node_key(node: ast.Attribute | ast.Subscript) -> Key | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    match node.slice:
        case ast.Constant(value=str() | int() as key) if not isinstance(key, bool):
            return key
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            return -number
    return None


def _shown_key(key: Key) -> str:
    if isinstance(key, str) and key.isidentifier():
        return f".{key}"
    return f"[{json.dumps(key)}]"


Lookup: TypeAlias = Callable[[str], Any]
"""Gives the data behind a base: for ``max_mse`` a value, for ``evaluate.metrics`` a document."""


def find_value(reference: Reference, lookup: Lookup) -> Any:
    """The value of a reference; raises StepFailed, naming the near key, where it is not there."""
    return pick_value(lookup(reference.base), reference.keys, reference.base)


def pick_value(data: Any, keys: tuple[Key, ...], base: str) -> Any:
    """What stands under keys in a JSON document that ``base`` calls by name."""
    shown_path = base
    for key in keys:
        data = _enter_key(data, key, shown_path)
        shown_path = f"{shown_path}.{key}" if isinstance(key, str) else f"{shown_path}[{key}]"
    return data


def _enter_key(data: Any, key: Key, shown_path: str) -> Any:
    if isinstance(data, Mapping):
        if str(key) in data:
            return data[str(key)]
        raise StepFailed(
            Fault(f"`{shown_path}` has no key `{key}`", hint=_key_hint(str(key), data))
        )
    if isinstance(data, Sequence) and not isinstance(data, str):
        if isinstance(key, int) and -len(data) <= key < len(data):
            return data[key]
        raise StepFailed(f"`{shown_path}` is a list of {len(data)} and has no item `{key}`")
    raise StepFailed(f"`{shown_path}` is {data!r} and has no key `{key}`")


def _key_hint(key: str, data: Mapping[str, Any]) -> str | None:
    return did_you_mean(key, data) or (
        f"it has {', '.join(map(str, data))[:200]}" if data else None
    )
