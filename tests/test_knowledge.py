"""What only one room knows: the words of a tool stand in the room that holds it, and nowhere else.

A contract over imports cannot see that a module writes another tool's file by hand. So this one
reads the string constants of the code: a word counts where it stands in one that holds no blank,
for a sentence may name any file.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "towpath"


@dataclass(frozen=True)
class Word:
    """A word of a tool as a pattern, the room that holds the tool, and the rooms that say it
    still."""

    pattern: str
    room: str
    still: frozenset[str]


PLUMBING = (
    "cat-file|diff-tree|for-each-ref|hash-object|ls-files|ls-tree|merge-base|rev-list|rev-parse|"
    "symbolic-ref|update-ref|read-tree|write-tree|commit-tree|mktag"
)

WORDS = [
    # `spec` says which files of a project a tool obeys, `projects` adopts folders that have them.
    Word(r"\bdvc\.yaml", "store", frozenset({"projects", "spec"})),
    Word(r"\bdvc\.lock", "store", frozenset({"projects", "spec"})),
    # `code` and `steps` pass over the folders of tools, by name.
    Word(r"\.dvc(?![\w-])", "store", frozenset({"code", "projects", "spec", "steps"})),
    Word(r"\.dvcignore", "store", frozenset({"projects", "spec", "steps"})),
    # The drafter of pipelines reads what DVC has resolved of a stage.
    Word(r"^(outs|nfiles|relpath|wdir)$", "store", frozenset({"engine"})),
    Word(
        r"\brefs/",
        "git",
        frozenset({"audit", "cli", "doctor", "forge", "promotion", "reconcile", "registry"}),
    ),
    Word(
        rf"^({PLUMBING})$",
        "git",
        frozenset({"audit", "doctor", "engine", "gates", "promotion", "reconcile", "registry"}),
    ),
]


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


@cache
def _said() -> dict[str, frozenset[str]]:
    """The constants without a blank of each room."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        said[room] |= {text for text in _constants(path) if not re.search(r"\s", text)}
    return {room: frozenset(texts) for room, texts in said.items()}


@pytest.mark.parametrize("word", WORDS, ids=[word.pattern for word in WORDS])
def test_a_word_of_a_tool_is_said_in_its_room(word: Word) -> None:
    """A room that says it no longer leaves the table, so that the table only shrinks."""
    saying = {
        room
        for room, texts in _said().items()
        if room != word.room and any(re.search(word.pattern, text) for text in texts)
    }
    assert saying == word.still
