"""docs/pipeline.md says what is true, and all of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from towpath.config.declaration import declared_keys
from towpath.config.file_declaration import Output, Plot
from towpath.config.parameter_declaration import Param
from towpath.config.pipeline_declaration import KINDS, Pipeline, Retry
from towpath.config.pipeline_file import parse_pipeline
from towpath.pipeline.compile_graph import compile_with_arguments

TEXT = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text(encoding="utf-8")
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_whole_example_compiles() -> None:
    graph = compile_with_arguments(parse_pipeline(YAML[0], "flows/training/pipeline.yaml"))
    assert "register" in graph.nodes


@pytest.mark.parametrize("block", YAML, ids=range(len(YAML)))
def test_every_fragment_is_well_formed(block: str) -> None:
    text = block if "steps:" in block else f"{block}steps: {{s: {{run: f}}}}\n"
    assert parse_pipeline(text, "flows/training/pipeline.yaml").faults == ()


@pytest.mark.parametrize("model", [Pipeline, Param, Output, Plot, Retry, *KINDS.values()])
def test_every_key_is_named(model: Any) -> None:
    code = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", TEXT))))
    assert set(declared_keys(model)) - {"name"} <= code


def test_the_python_example_runs() -> None:
    names: dict[str, Any] = {}
    exec(PYTHON[-1], names)
    assert names["graph"].params == {"rate": 0.05}
