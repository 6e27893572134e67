"""A run whose step made files, as its record and the store have them, without a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from towpath.execution.run_record import Recorder, new_folder
from towpath.workspace import Workspace


def write_made_run(
    root: Path, files: dict[str, bytes], folders: Mapping[str, Mapping[str, object]] | None = None
) -> str:
    """A record of a run whose step ``draw`` made these files, which are in the store."""
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc" / "config").touch()
    (root / "towpath.yaml").write_text("name: drawn\n")
    objects = Workspace(root).store.objects
    outputs = {
        name.partition(".")[0]: {
            "digest": objects.add_bytes(content), "size": len(content), "name": name, "files": None
        }
        for name, content in files.items()
    }  # fmt: skip
    folder = new_folder(root / ".towpath" / "runs")
    record = Recorder(folder)
    record("started", run=folder.name, pipeline="gone", asked={}, params={}, inputs={},
           sources={}, tried=[], origin={}, steps={"draw": "processing"})  # fmt: skip
    record("step", step="draw", state="done", seconds=1.0,
           made={"outputs": {**outputs, **(folders or {})}, "values": {}, "facts": {}})  # fmt: skip
    record("finished", state="done", seconds=1.0, exit_code=0)
    record.close()
    return folder.name
