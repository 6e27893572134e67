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
    # `config` says which files of a project a tool obeys, `projects` adopts folders that have them.
    Word(r"\bdvc\.yaml", "backends/dvc", frozenset({"config", "projects"})),
    Word(r"\bdvc\.lock", "backends/dvc", frozenset({"config", "projects"})),
    # `dependencies` and `steps` pass over the folders of tools, by name.
    Word(
        r"\.dvc(?![\w-])",
        "backends/dvc",
        frozenset({"config", "dependencies", "projects", "steps"}),
    ),
    Word(r"\.dvcignore", "backends/dvc", frozenset({"config", "projects", "steps"})),
    # The drafter of pipelines reads what DVC has resolved of a stage; a manifest is in DVC's form.
    Word(r"^(outs|nfiles|relpath|wdir)$", "backends/dvc", frozenset({"projects", "storage"})),
    Word(
        r"\brefs/",
        "backends/git",
        frozenset(
            {
                "audit",
                "backends/github",
                "cli",
                "delivery/promotion",
                "delivery/reconcile",
                "doctor",
                "registry",
            }
        ),
    ),
    Word(
        rf"^({PLUMBING})$",
        "backends/git",
        frozenset(
            {
                "audit",
                "delivery/gates",
                "delivery/promotion",
                "delivery/reconcile",
                "doctor",
                "execution",
                "registry",
                "versions",
            }
        ),
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


def _room_of(parts: tuple[str, ...]) -> str:
    """``backends/git``: these two folders only hold rooms."""
    return "/".join(parts[: 2 if parts[0] in ("backends", "delivery") else 1])


@cache
def _said() -> dict[str, frozenset[str]]:
    """The constants without a blank of each room."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        room = _room_of(path.relative_to(PACKAGE).with_suffix("").parts)
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
