"""A picture beside a run's record that no run wrote: it is passed over, or is only drawn."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from towpath.drawing.picture_file import PICTURE_FILE, find_picture
from towpath.drawing.svg_drawing import svg

MARKUP = "</text><script>alert(1)</script>"


def write_document(folder: Path, **changed: Any) -> None:
    boxes = [[name, "STEP", "processing", ""] for name in "abc"]
    lines = [["a", "b", "", False], ["a", "c", "", False]]
    document = {
        "title": "t", "description": "", "boxes": boxes, "lines": lines, "frames": [], "inside": {},
    } | changed  # fmt: skip
    (folder / PICTURE_FILE).write_text(json.dumps(document))


@pytest.mark.parametrize(
    "changed",
    [
        {"lines": [["a", "b", "", False], ["b", "a", "", True]]},
        {"lines": [["a", "a", "", False]]},
        {"boxes": [["", "INPUT", "", ""]], "lines": []},
        {"frames": [["b", "STEP", "", ""]], "inside": {"a": "b"}},
        {
            "frames": [[f"f{place}", "STEP", "", ""] for place in range(3000)],
            "inside": {"a": "f0"} | {f"f{place}": f"f{place + 1}" for place in range(2999)},
        },
    ],
    ids=["a circle", "a line to itself", "no name", "a frame that is a box", "frames without end"],
)
def test_what_cannot_be_laid_out_is_no_picture(tmp_path: Path, changed: dict[str, Any]) -> None:
    write_document(tmp_path)
    assert find_picture(tmp_path)
    write_document(tmp_path, **changed)
    assert find_picture(tmp_path) is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / PICTURE_FILE)
    assert find_picture(tmp_path) is None


def test_the_word_on_a_line_is_text(tmp_path: Path) -> None:
    write_document(tmp_path, lines=[["a", "b", MARKUP, False], ["a", "c", "no", False]])
    picture = find_picture(tmp_path)
    assert picture
    drawn = svg(picture)
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
