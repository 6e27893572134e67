"""The normal form of code: what it says, without comments, docstrings and formatting."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable

_UNSAID = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def digest(nodes: Iterable[ast.AST], *notes: str, docstrings: bool = False) -> str:
    """32 hexadecimal digits over the normal form of these nodes, and over the notes."""
    words: list[str] = []
    for node in nodes:
        _write(node, words.append, docstrings)
    return of_text("".join((*words, *(f"\n{note}" for note in notes))))


def of_text(text: str) -> str:
    """32 hexadecimal digits of a text."""
    return of_bytes(text.encode("utf-8", "surrogatepass"))


def of_bytes(content: bytes) -> str:
    """32 hexadecimal digits of bytes."""
    return hashlib.sha256(content).hexdigest()[:32]


def _write(node: ast.AST, say: Callable[[str], None], docstrings: bool) -> None:
    """Names of fields stand in the text, since empty ones are left out in every Python."""
    if node.__class__ is ast.Name:
        say(f"Name({node.id})")
        return
    say(node.__class__.__name__)
    say("(")
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None and not isinstance(node, ast.Constant):
            continue
        if value == [] or name in _UNSAID:
            continue
        say(f" {name}=")
        if isinstance(value, list):
            _write_list(value, say, docstrings)
        elif isinstance(value, ast.AST):
            _write(value, say, docstrings)
        else:
            say(repr(value))
    say(")")


def _write_list(items: list[object], say: Callable[[str], None], docstrings: bool) -> None:
    say("[")
    for place, item in enumerate(items):
        if isinstance(item, ast.AST):
            if _is_idle(item) and not (docstrings and place == 0):
                continue
            _write(item, say, docstrings)
        else:
            say(repr(item))
        say(",")
    say("]")


def _is_idle(node: ast.AST) -> bool:
    """A docstring, a bare constant or a ``pass``: says something, does nothing."""
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
