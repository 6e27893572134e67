"""What only one room knows: the words of a tool stand in the room that holds it, and nowhere else.

A contract over imports cannot see that a module writes another tool's file by hand. So this one
reads the string constants of the code: a word counts where it stands in one that holds no blank,
for a sentence may name any file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "towpath"


@dataclass(frozen=True)
class Word:
    """A word of a tool as a pattern, the rooms that may say it (all modules that begin so), and
    the modules elsewhere that say it still."""

    pattern: str
    rooms: tuple[str, ...]
    still: frozenset[str] = frozenset()


STORE, GIT = ("store/",), ("git/",)
# What may be written into a project says which of its files are obeyed by a tool.
RESERVED = "spec/project_paths.py"
PLUMBING = (
    "cat-file|diff-tree|for-each-ref|hash-object|ls-files|ls-tree|merge-base|rev-list|rev-parse|"
    "symbolic-ref|update-ref|read-tree|write-tree|commit-tree|mktag"
)

WORDS = [
    Word(r"\bdvc\.yaml", STORE, frozenset({"projects/adoption.py", RESERVED})),
    Word(r"\bdvc\.lock", STORE, frozenset({"projects/adoption.py", RESERVED})),
    Word(
        r"\.dvc(?![\w-])",
        STORE,
        # Folders of tools that are passed over, by name.
        frozenset({"code/extra.py", "steps/watching.py", "projects/adoption.py", RESERVED}),
    ),
    Word(
        r"\.dvcignore",
        STORE,
        frozenset({"projects/adoption.py", "steps/watching.py", RESERVED}),
    ),
    # The drafter of pipelines reads what DVC has resolved of a stage.
    Word(r"^(outs|nfiles|relpath|wdir)$", STORE, frozenset({"engine/dvc_draft.py"})),
    Word(
        r"\brefs/",
        GIT,
        frozenset(
            {
                "audit/checks/records.py",
                "audit/checks/signatures.py",
                "audit/checks/stage_tags.py",
                "audit/history.py",
                "audit/ledger.py",
                "cli/registering.py",
                "doctor/git.py",
                "doctor/unpublished.py",
                "forge/github/ruling.py",
                "promotion/deciding.py",
                "promotion/merging.py",
                "promotion/pull_requests.py",
                "promotion/writing.py",
                "reconcile/site.py",
                "reconcile/witness.py",
                "registry/backup_refs.py",
                "registry/promotions.py",
                "registry/publishing.py",
                "registry/reading.py",
                "registry/restoring.py",
                "registry/staging.py",
            }
        ),
    ),
    Word(
        rf"^({PLUMBING})$",
        GIT,
        frozenset(
            {
                "audit/ledger.py",
                "doctor/checkout.py",
                "engine/commit_checks.py",
                "engine/register_run.py",
                "engine/registering.py",
                "engine/transfer.py",
                "gates/policy.py",
                "promotion/deciding.py",
                "promotion/displaced.py",
                "promotion/enforcing.py",
                "reconcile/site.py",
                "registry/code_news.py",
                "registry/decided.py",
                "registry/publishing.py",
                "registry/staging.py",
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


@cache
def _said() -> dict[str, tuple[str, ...]]:
    """The constants without a blank of each module."""
    return {
        path.relative_to(PACKAGE).as_posix(): tuple(
            text for text in _constants(path) if text and not re.search(r"\s", text)
        )
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@pytest.mark.parametrize("word", WORDS, ids=[word.pattern for word in WORDS])
def test_a_word_of_a_tool_is_said_in_its_room(word: Word) -> None:
    """A module that says it no longer leaves the table, so that the table only shrinks."""
    saying = {
        module
        for module, texts in _said().items()
        if not module.startswith(word.rooms) and any(re.search(word.pattern, t) for t in texts)
    }
    assert saying == word.still
