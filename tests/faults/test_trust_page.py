"""docs/trust.md promises what is tried: every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "trust.md").read_text(encoding="utf-8")


def defined(file: Path) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name for name in names if name.startswith("test_")}


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 10
    assert [f"{file}::{name}" for file, name in named if name not in defined(HERE / file)] == []


def test_every_attack_on_approval_is_told_on_the_page() -> None:
    for file in ("test_approval.py", "test_forge_approval.py", "test_rules_in_force.py"):
        named = set(re.findall(rf"`{re.escape(file)}::(test_\w+)`", PAGE))
        assert defined(HERE / file) <= named
