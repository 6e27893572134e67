"""What only one room knows: the words of a tool stand in the room that holds it, and nowhere else.

A contract over imports cannot see that a module writes another tool's file by hand. So this one
reads the string constants of the code: a word counts where it stands in one that holds no blank,
for a sentence may name any file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "towpath"

DVC, GIT = "store/", "git/"

WORDS: dict[str, tuple[str, frozenset[str]]] = {
    # the word: the room that may say it, and the modules that say it still
}


def _docstrings(tree: ast.AST) -> Iterator[int]:
    """The constants that are docstrings, or notes below an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)


def _constants(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aside = set(_docstrings(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in aside:
            yield node.value


def _who_says(word: str, room: str) -> set[str]:
    """The modules outside of a room that say a word."""
    pattern = re.compile(rf"(?<![\w.-]){word}(?![\w-])" if word[0] != "." else rf"{word}(?![\w-])")
    saying = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(room) and any(
            pattern.search(text) for text in _constants(path) if not re.search(r"\s", text)
        ):
            saying.add(name)
    return saying


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_a_tool_is_said_in_its_room(word: str) -> None:
    """A module that says it no longer leaves the table, so that the table only shrinks."""
    room, still = WORDS[word]
    assert _who_says(word, room) == still
