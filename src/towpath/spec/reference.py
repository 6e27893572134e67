"""References: bare names of a parameter, an input, or ``step.output[.key]``."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import TypeAlias

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
    def last(self) -> str:
        """The name that an item of a list takes: the last one."""
        words = [key for key in self.keys if isinstance(key, str) and key.isidentifier()]
        return words[-1] if words else self.output or self.name

    def __str__(self) -> str:
        return self.base + "".join(_shown(key) for key in self.keys)


def parse(text: str) -> Reference:
    """A reference; raises ValueError, whose words say what is wrong."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        reference = of_node(node)
    except (SyntaxError, RecursionError, MemoryError):
        reference = None
    if reference is None:
        raise ValueError(f"`{text}` is no reference: write `name` or `step.output`")
    return reference


def alternatives(text: str) -> tuple[Reference, ...]:
    """The references of ``a.x or b.y``, one where there is no ``or``; raises as ``parse`` does."""
    return tuple(parse(part) for part in text.split(" or "))


def of_node(node: ast.expr) -> Reference | None:
    """The reference that a piece of Python's syntax spells, or None."""
    keys: list[Key] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        key = _key(node)
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


def _key(node: ast.Attribute | ast.Subscript) -> Key | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    match node.slice:
        case ast.Constant(value=str() | int() as key) if not isinstance(key, bool):
            return key
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            return -number
    return None


def _shown(key: Key) -> str:
    if isinstance(key, str) and key.isidentifier():
        return f".{key}"
    return f"[{json.dumps(key)}]"
