"""Changing files that people write too."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from towpath import documents
from towpath.errors import DeclarationError

THEIRS = """\
# our pipeline, by hand
stages:
    # do not touch
    mine:
        cmd: python "x.py"   # the real thing
        deps:
            - a.csv
            - 'b.csv'
        params: [lr, depth]
    other:
        cmd: >-
            echo one
            two
plots: &p
    - x.csv
metrics: *p
"""


def test_comments_order_and_style_stay(tmp_path: Path) -> None:
    path = tmp_path / "dvc.yaml"
    path.write_text(THEIRS)

    def change(data: MutableMapping[str, Any]) -> None:
        data["stages"]["ours"] = {"cmd": "towpath step training ours", "deps": ["c.csv"]}
        del data["stages"]["other"]

    text = documents.edit_yaml(path, change)
    ours = (
        "    ours:\n        cmd: towpath step training ours\n        deps:\n            - c.csv\n"
    )
    start, end = THEIRS.index("    other:"), THEIRS.index("plots:")
    assert text == THEIRS[:start] + ours + THEIRS[end:]
    assert path.read_text() == THEIRS, "nothing is written"


def test_nothing_changed_is_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "dvc.yaml"
    for text in (THEIRS, "a:\n- 1\n-   2\nb: {c: 1, d: [x]}\n", "a:\n  - b: 1\n    c: 2\n"):
        path.write_text(text)
        assert documents.edit_yaml(path, lambda _: None).split() == text.split()


def test_a_missing_or_bare_file_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    assert documents.edit_yaml(path, lambda data: data.update(a=[1])) == "a:\n- 1\n"
    path.write_text("# only a comment\n")
    assert documents.edit_yaml(path, lambda data: data.update(a=1)) == "# only a comment\na: 1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "dvc.yaml:1: the file must hold a mapping"),
        ("a: [1\n", "dvc.yaml:1: this is not YAML"),
        ("a: 1\na: 2\n", "dvc.yaml:2: this is not YAML: found duplicate key"),
    ],
)
def test_what_cannot_be_edited(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "dvc.yaml"
    path.write_text(text)
    with pytest.raises(DeclarationError, match=said):
        documents.edit_yaml(path, lambda _: None)
