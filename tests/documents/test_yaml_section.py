"""One section of a YAML file, cut out and changed as text."""

from __future__ import annotations

import textwrap
from collections.abc import MutableMapping
from typing import Any

import pytest

from towpath import documents

SECTIONS = {
    "": True,
    "schema: '2.0'\n": True,
    "stages:\n  a:\n    cmd: x\n": True,
    "stages:\n  a:\n    cmd: x": True,
    "stages: # ours\n  'a b':\n    cmd: x\n  \"c\":\n    cmd: x\nother: 1\n": True,
    "stages:\n  a:\n    cmd: |\n      one\n\n      # two\n      three\n": True,
    "stages:\n  a: {cmd: x}\n  b:\n    cmd: y\n": True,
    "stages:\n": True,
    "stages: {}\n": False,
    "stages:\n  - a\n": False,
    "stages:\n  a:\n    cmd: x\n b:\n    cmd: y\n": False,
    "stages:\n  ? a\n  : b\n": False,
    "stages:\n  a: 1\n  a: 2\n": False,
    "{stages: {}}\n": False,
}


@pytest.mark.parametrize("text", SECTIONS)
def test_a_section_is_its_text(text: str) -> None:
    section = documents.read_section(text, "stages")
    assert (section is not None) == SECTIONS[text]
    if section is not None and "stages" in text:
        assert str(section) == text + ("" if text.endswith("\n") else "\n")


def test_comments_stay_with_what_they_speak_of() -> None:
    text = textwrap.dedent("""\
        stages:
          # one
          a:
            cmd: x
            # still a

          # two
          b:
            cmd: y
        # three
        plots: []
        """)
    section = documents.read_section(text, "stages")
    assert section is not None
    assert section.entries["b"].startswith("    # still a\n\n  # two\n  b:")
    assert section.after.startswith("# three\n")


DECLARED = """\
# ours
params:   # of the model
    seed: 1   # fixed
    rate: {low: 0.1,   high: 0.9}

# the data
inputs:
  - a.csv
steps:
  train: {run:   train,  outputs: [m.txt]}
"""


def test_a_section_is_changed_and_nothing_else() -> None:
    def change(document: MutableMapping[str, Any]) -> None:
        assert list(document) == ["params"], "it is given that section alone"
        document["params"]["seed"] = 7

    text = documents.edit_section(DECLARED, "params", change, "pipeline.yaml")
    changed = DECLARED.replace("seed: 1   #", "seed: 7   #")
    assert text == changed.replace("{low: 0.1,   high", "{low: 0.1, high")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("params: {a: 1,   b: 2}\nsteps:\n  x: {run:   y}\n",
         "params: {a: 2, b: 2}\nsteps:\n  x: {run:   y}\n"),
        ("steps:\n  x: {run:   y}\nparams:\n  a: 1",
         "steps:\n  x: {run:   y}\nparams:\n  a: 2\n"),
        ("steps: {}\n", "steps: {}\nparams:\n  a: 2\n"),
        ("{params: {a: 1}, steps: {}}\n", "{params: {a: 2}, steps: {}}\n"),
        ("---\nparams:\n  a: 1\nsteps: {}\n", "---\nparams:\n  a: 2\nsteps: {}\n"),
        ("  params:\n    a: 1\n  steps: {}\n", "params:\n  a: 2\nsteps: {}\n"),
        ("? params\n: a: 1\nsteps: {}\n", "params:\n  a: 2\nsteps: {}\n"),
        ("params:\n  a: 1\n  t: |+\n    one\n\n\nsteps: {}\n",
         "params:\n  a: 2\n  t: |+\n    one\n\n\nsteps: {}\n"),
        ("'params':\n  a: 1\n  # behind\n# left\nsteps: {}\n",
         "'params':\n  a: 2\n  # behind\n# left\nsteps: {}\n"),
    ],
)  # fmt: skip
def test_a_section_in_each_form(text: str, changed: str) -> None:
    def change(document: MutableMapping[str, Any]) -> None:
        document.setdefault("params", {})["a"] = 2

    assert documents.edit_section(text, "params", change, "pipeline.yaml") == changed
