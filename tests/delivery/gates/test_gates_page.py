"""docs/gates.md says what is true, and all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from towpath.config.declaration import declared_keys
from towpath.config.gate_declarations import KINDS
from towpath.config.project_declaration import parse_project

TEXT = (Path(__file__).parents[3] / "docs" / "gates.md").read_text(encoding="utf-8")
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
ROWS = re.findall(r"^\| `(\w+)` \| .*\? \| (.*) \|$", TEXT, re.MULTILINE)


def _gates(block):
    """The gates of an example: a project, or the gates alone."""
    if not block.startswith("name:"):
        indented = "".join(f"      {line}\n" for line in block.splitlines())
        block = f"name: a\nstages:\n  prod:\n    gates:\n{indented}"
    stages = parse_project(block).stages.values()
    return {name: gate for stage in stages for name, gate in stage.gates.items()}


@pytest.mark.parametrize("block", YAML, ids=range(len(YAML)))
def test_every_example_is_sound(block):
    assert _gates(block)


def test_every_kind_has_an_example_and_its_default():
    shown = {gate.kind for block in YAML for gate in _gates(block).values()}
    assert shown == set(KINDS) == {kind for kind, _ in ROWS}
    for kind, when in ROWS:
        field = KINDS[kind].model_fields["when"]
        always = "review" not in str(field.annotation) and "When" not in str(field.annotation)
        assert when == f"`{field.default}`" + (", always" if always else ""), kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_named(kind):
    code = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", TEXT))))
    assert set(declared_keys(KINDS[kind])) <= code


def test_the_example_of_samples_and_of_a_function(desk):
    names = {}
    exec(PYTHON[0], names)
    assert (
        names["small_enough"]({"candidate": {"artifact": {"size": 60_000_000}}})["passed"] is False
    )
    gate = "{kind: function, run: 'checks.gates:small_enough'}"
    verdict = desk.one(gate, {"checks/gates.py": PYTHON[0]})
    assert (verdict.passed, verdict.bound) == (True, "at most 50 MB")
    samples = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
    assert set(samples[0]) == {"inputs", "expected"}
