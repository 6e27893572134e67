"""Names: what a machine can hold of the rules in CONTRIBUTING, over the whole package.

Numbers only fall: whoever makes one smaller writes the smaller one here.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "towpath"

#: Words that say nothing of what a local holds.
FILLERS = frozenset(
    {
        "asked", "at", "done", "each", "found", "given", "here", "known", "made", "meant", "now",
        "of", "one", "said", "seen", "there", "told", "wanted",
    }
)  # fmt: skip
#: What a table of kinds or of formats calls by name, and the public names of ``towpath`` itself.
SHARED = frozenset({"answer", "bound", "execute", "judge", "models", "read", "work", "write"})
#: A finding, a drawing and logging are nouns of the field.
PARTICIPLES = frozenset(
    {
        "audit_finding", "svg_drawing", "table_scoring",
    }
)  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def trees() -> dict[Path, ast.Module]:
    """The package's files, parsed."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def functions() -> Iterator[Function]:
    for tree in trees().values():
        yield from (node for node in ast.walk(tree) if isinstance(node, Function))


def test_a_public_name_stands_in_one_file() -> None:
    homes: defaultdict[str, set[Path]] = defaultdict(set)
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(path)
    assert {name for name, paths in homes.items() if len(paths) > 1} <= SHARED


def test_a_file_s_name_stands_once_and_is_a_noun() -> None:
    stems = Counter(path.stem for path in trees() if not path.stem.startswith("__"))
    assert {stem for stem, count in stems.items() if count > 1} == set()
    assert {stem for stem in stems if stem.endswith("ing")} <= PARTICIPLES


def test_a_local_says_what_it_holds() -> None:
    stores = [
        node.id
        for function in functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    fillers = [name for name in stores if name in FILLERS]
    assert len(fillers) <= 0.002 * len(stores), Counter(fillers)


def test_a_function_is_a_verb_and_its_object() -> None:
    names = [function.name.strip("_") for function in functions()]
    assert sum("_" not in name for name in names) <= 0.135 * len(names)
