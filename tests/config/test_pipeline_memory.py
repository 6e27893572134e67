"""What is kept of pipelines' files is what they declare, at once after each change."""

from __future__ import annotations

import os
from pathlib import Path

from towpath.config.pipeline_file import PipelineFileMemory
from towpath.workspace import Workspace

STEPS = "steps: {a: {run: f, params: [rate], outputs: [a.json]}}\n"


def age_files(root: Path) -> None:
    """Nothing was written a moment ago."""
    for path in root.rglob("*.yaml"):
        os.utime(path, ns=(path.stat().st_mtime_ns - 10**10, path.stat().st_mtime_ns - 10**10))


def test_a_file_is_read_again_once_it_or_what_it_names_is_another(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text("name: kept\n")
    pipeline = tmp_path / "flows" / "training" / "pipeline.yaml"
    pipeline.parent.mkdir(parents=True)
    pipeline.write_text(f"params: {{file: params.yaml}}\n{STEPS}")
    values = tmp_path / "params.yaml"
    values.write_text("rate: 1\n")
    memory = PipelineFileMemory()

    def read() -> object:
        return Workspace(tmp_path, pipeline_files=memory).pipeline("training")

    assert read() is not read()  # what was written just now may be written again at the same time
    age_files(tmp_path)
    kept = read()
    assert kept is read()
    values.write_text("rate: 2\n")
    assert read().pipeline.params["rate"].default == 2
    age_files(tmp_path)
    assert read() is read()
    pipeline.write_text("steps: {b: {run: f, outputs: [b.json]}}\n")
    assert list(read().pipeline.steps) == ["b"]
    age_files(tmp_path)
    (tmp_path / "towpath.yaml").write_text("name: kept\nformats: {rows: formats:Rows}\n")
    assert read().project_formats == {"rows": "formats:Rows"}
    pipeline.write_text("steps: {b: {run: f, outputs: [b.json]}\n")  # a fault
    age_files(tmp_path)
    assert read() is not read()
