"""Two files of one MD5: a model that is an input is held against the SHA-256 of its record."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from promotion_project import Project, begin
from towpath.audit import reproduction
from towpath.backends.dvc import Store, initialise_store
from towpath.config.artifact import Artifact
from towpath.errors import StoreError
from towpath.execution import run_inputs
from towpath.planning.pipeline_check import drawable_graph

# Wang, Feng, Lai and Yu, 2004: the first two messages of one MD5 that were made known.
HONEST = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
FORGED = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a"
    "085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)

PIPELINE = """\
inputs: {model: abalone@latest}
steps:
  keep: {kind: command, command: "cp {model} {kept}", inputs: [model], outputs: [kept.skops]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A version of the honest bytes, which the project's store holds."""
    made = begin(tmp_path / "abalone", "name: abalone\n")
    initialise_store(made.root)
    artifact = Store(made.root).put_bytes(HONEST, "model.skops")
    assert artifact == Artifact(hashlib.md5(FORGED).hexdigest(), len(FORGED), "model.skops")
    made.register(artifact=artifact, sha256=hashlib.sha256(HONEST).hexdigest())
    return made


def _forge(project: Project) -> Path:
    """What a stranger who may write to the store does; the store reads it again and is content."""
    path = Store(project.root).path(hashlib.md5(HONEST).hexdigest())
    path.unlink()
    path.write_bytes(FORGED)
    assert Store(project.root).has(hashlib.md5(HONEST).hexdigest())
    return path


def _asked(project: Project) -> Artifact:
    project.write("flows/training/pipeline.yaml", PIPELINE)
    graph = drawable_graph(project.workspace, "training", "")
    return run_inputs.read_input_artifacts(project.workspace, graph)["model"]


def test_a_model_that_is_an_input_has_the_bytes_of_its_record(project: Project) -> None:
    assert Store(project.root).path(_asked(project).digest).read_bytes() == HONEST


def test_a_model_of_the_same_md5_is_no_input(project: Project) -> None:
    path = _forge(project)
    with pytest.raises(StoreError, match="the MD5 of its record, and not its SHA-256") as refused:
        _asked(project)
    hint = refused.value.faults[0].hint
    assert hint and str(path) in hint
    path.unlink()  # the way out, as it says: the bytes come from where they are right
    Store(project.root).put_bytes(HONEST, "model.skops")
    assert _asked(project).digest == hashlib.md5(HONEST).hexdigest()


def test_a_model_of_the_same_md5_is_not_reproduced_with(project: Project) -> None:
    _forge(project)
    place: Any = SimpleNamespace()
    with pytest.raises(StoreError, match="and not its SHA-256"):
        reproduction._bring_model(
            project.workspace, place, "abalone@latest", hashlib.md5(HONEST).hexdigest(), None
        )
