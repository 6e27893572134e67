"""Stock DVC agrees with what we say of a pipeline, and what the user wrote stays."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_project import Project

from command_line import call_dvc
from towpath import documents
from towpath.backends.dvc import dvc_yaml
from towpath.backends.dvc.dvc_config import locate_store
from towpath.backends.dvc.dvc_yaml import (
    GivenContents,
    StageEntry,
    repository_lock,
)
from towpath.config.artifact import Artifact
from towpath.errors import DeclarationError, StoreError
from tracking import track

DECLARATION = """\
params:
  learning_rate: {default: 1e-3, above: 0}
  rounds: 100
  ratio: 1.0
  tiny: 1e-07
  names: [a, "1", 2.50]
steps:
  prepare: {run: prepare, params: [rounds], outputs: [train.csv]}
  train:
    kind: training
    run: train
    with: {depth: 0x10, note: "é: ja", on_error: null, big: 1e400000}
""".replace(", big: 1e400000", "")

FILE = "flows/training/pipeline.yaml"
OUT = "artifacts/training"

STAGES = [
    StageEntry(
        name="training-prepare",
        cmd="touch ran-prepare",
        desc="Clean ${rows}, split: train & test",
        deps=("data/raw data.csv", "flows/training/steps.py"),
        params={FILE: ("steps.prepare", "params.rounds")},
        outs=(f"{OUT}/prepare/train.csv", f"{OUT}/prepare/größe"),
    ),
    StageEntry(
        name="training-train",
        cmd="touch ran-train",
        deps=(f"{OUT}/prepare/train.csv", f"{OUT}/prepare/größe"),
        params={
            FILE: (
                "steps.train", "params.learning_rate", "params.learning_rate.default",
                "params.tiny", "params.names", "params.ratio",
            )
        },
        outs=(f"{OUT}/train/model.skops",),
        metrics=(f"{OUT}/train/metrics.json",),
        plots={
            f"{OUT}/train/residuals.csv": {"x": "a", "y": "b", "title": "Residuals"},
            f"{OUT}/train/roc.json": True,
        },
    ),
]  # fmt: skip
MODELS = {"abalone": f"{OUT}/train/model.skops"}


@pytest.fixture
def pipeline(project: Project) -> Project:
    """A project whose pipeline has just run."""
    track(project.root, project.write("data/raw data.csv", "a,b\n1,2\n"))
    project.write("flows/training/steps.py", "def prepare(): ...\n")
    project.write(FILE, DECLARATION)
    project.write(".gitignore", "/artifacts/\n")
    project.write(f"{OUT}/prepare/train.csv", "a,b\n1,2\n3,4\n")
    for name in "xyz":
        project.write(f"{OUT}/prepare/größe/{name}.txt", name)
    project.write(f"{OUT}/train/model.skops", b"\0\1\2" * 1000)
    project.write(f"{OUT}/train/metrics.json", '{"mse": 4.5, "deep": {"r2": 0.5}}')
    project.write(f"{OUT}/train/residuals.csv", "a,b\n1,2\n3,4\n")
    project.write(f"{OUT}/train/roc.json", '[{"fpr": 0, "tpr": 1}]')
    _store_outputs(project)
    return project


def _store_outputs(project: Project) -> None:
    for stage in STAGES:
        for path in stage.written_paths:
            project.store.put(Path(path))


def test_stock_dvc_agrees(pipeline: Project) -> None:
    assert dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, MODELS)
    assert pipeline.dvc("status").strip() == "Data and pipelines are up to date."
    pipeline.git("add", ".")
    pipeline.git("commit", "-qm", "ran")
    assert "Data and pipelines are up to date." in pipeline.dvc("repro")
    assert pipeline.git("status", "--short") == ""
    assert not (pipeline.root / "ran-train").exists()
    assert "training-prepare" in pipeline.dvc("dag")
    metrics = json.loads(pipeline.dvc("metrics", "show", "--json"))
    assert metrics[""]["data"][f"{OUT}/train/metrics.json"]["data"]["deep"] == {"r2": 0.5}
    plots = json.loads(pipeline.dvc("plots", "show", "--json"))
    assert {name.split("::")[0] for name in plots["data"]} >= {f"{OUT}/train/residuals.csv"}
    assert "abalone" in documents.load_yaml(pipeline.root / "dvc.yaml", "dvc.yaml")["artifacts"]


def test_stock_dvc_pushes_and_pulls_what_we_stored(pipeline: Project) -> None:
    pipeline.remote("store")
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, MODELS)
    pipeline.dvc("push")
    subprocess.run(["rm", "-rf", ".dvc/cache", "artifacts", "data/raw data.csv"], cwd=pipeline.root)
    pipeline.dvc("pull")
    assert pipeline.dvc("status").strip() == "Data and pipelines are up to date."
    assert "in sync" in pipeline.dvc("status", "-c")
    assert pipeline.store.missing(dvc_yaml.made_digests(pipeline.root)) == []
    pipeline.git("add", ".")
    pipeline.git("commit", "-qm", "ran")
    pipeline.git("tag", "-a", "abalone@v1.0.0", "-m", "first")
    pipeline.dvc("artifacts", "get", ".", "abalone", "--rev", "v1.0.0", "-o", "got.skops")
    assert (pipeline.root / "got.skops").read_bytes() == b"\0\1\2" * 1000


@pytest.mark.parametrize(
    ("name", "content", "runs"),
    [
        ("data/raw data.csv", "a,b\n9,9\n", "ran-prepare"),
        ("flows/training/steps.py", "def prepare(): return 1\n", "ran-prepare"),
        (FILE, DECLARATION.replace("depth: 0x10", "depth: 17"), "ran-train"),
        (FILE, DECLARATION.replace("1e-3", "1e-2"), "ran-train"),
    ],
)
def test_after_an_edit_dvc_runs_our_command(
    pipeline: Project, name: str, content: str, runs: str
) -> None:
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, MODELS)
    pipeline.write(name, content)
    assert name in pipeline.dvc("status")
    # DVC removes what a stage makes before it runs it, and our command here makes nothing.
    pipeline.dvc(
        "repro", "training-prepare" if runs == "ran-prepare" else "training-train", fails=True
    )
    assert (pipeline.root / runs).exists()


def test_a_second_time_nothing_is_written(pipeline: Project) -> None:
    assert dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, MODELS)
    before = {name: (pipeline.root / name).stat().st_mtime_ns for name in ("dvc.yaml", "dvc.lock")}
    assert not dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, MODELS)
    after = {name: (pipeline.root / name).stat().st_mtime_ns for name in ("dvc.yaml", "dvc.lock")}
    assert after == before


THEIRS = """\
# Our lab's pipeline
vars:
    - params.yaml   # ours

stages:
    # fetches from the instrument
    fetch:
        cmd: "echo 1,2 >   raw.csv"   # keep the blanks
        outs: [raw.csv]

    each:
        foreach: [a, b]
        do:
            cmd: >-
                echo ${item}
                > ${item}.txt
            outs:
            - ${item}.txt

# Plots of ours
plots:
    - raw.csv: {x: a}
"""


def test_what_the_user_wrote_stays_to_the_byte(pipeline: Project) -> None:
    pipeline.write("params.yaml", "on: off\n")
    pipeline.write("dvc.yaml", THEIRS)
    pipeline.dvc("repro")
    lock = (pipeline.root / "dvc.lock").read_text()
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, MODELS)
    assert pipeline.dvc("status").strip() == "Data and pipelines are up to date."
    text = (pipeline.root / "dvc.yaml").read_text()
    head, plots = THEIRS.split("\n# Plots of ours\n")
    assert text.startswith(head)
    assert f"\n# Plots of ours\n{plots}" in text
    assert (pipeline.root / "dvc.lock").read_text().startswith(lock)
    assert len(dvc_yaml.made_digests(pipeline.root, ours=False)) == 3

    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES[:1], {})
    data = documents.parse_yaml((pipeline.root / "dvc.yaml").read_text(), "dvc.yaml")
    assert set(documents.plain_data(data.node)["stages"]) == {"fetch", "each", "training-prepare"}
    dvc_yaml.write_dvc_files(pipeline.root, "training", [], {})
    kept = (pipeline.root / "dvc.yaml").read_text()
    assert kept.partition("artifacts:")[0] == THEIRS
    assert (pipeline.root / "dvc.lock").read_text() == lock


def test_two_pipelines_do_not_touch_each_other(pipeline: Project) -> None:
    other = [StageEntry("scoring-x", "towpath step scoring x", outs=(f"{OUT}/train/roc.json",))]
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES[:1], {})
    dvc_yaml.write_dvc_files(pipeline.root, "scoring", other, {})
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES[:1], {})
    stages = documents.load_yaml(pipeline.root / "dvc.yaml", "dvc.yaml")["stages"]
    assert list(stages) == ["training-prepare", "scoring-x"]
    assert pipeline.dvc("status").strip() == "Data and pipelines are up to date."


def test_a_model_keeps_what_people_say_of_it(pipeline: Project) -> None:
    pipeline.write(
        "dvc.yaml",
        "artifacts:\n  abalone:\n    desc: Ours # ja\n    path: old.bin # moved\n    type: model\n",
    )
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, {"abalone": "new: x.bin"})
    text = (pipeline.root / "dvc.yaml").read_text()
    assert text.startswith('artifacts:\n  abalone:\n    desc: Ours # ja\n    path: "new: x.bin"\n')


def test_a_file_in_flow_style_is_merged_too(pipeline: Project) -> None:
    pipeline.write("dvc.yaml", "# ours\nstages: {fetch: {cmd: echo}}\n")
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, {})
    text = (pipeline.root / "dvc.yaml").read_text()
    assert text.startswith("# ours\n")
    assert set(documents.load_yaml(pipeline.root / "dvc.yaml", "x")["stages"]) == {
        "fetch", "training-prepare", "training-train",
    }  # fmt: skip
    dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES[:1], {})
    assert "training-train" not in (pipeline.root / "dvc.yaml").read_text()


def test_a_stage_of_the_users_with_our_name_is_not_written_over(pipeline: Project) -> None:
    for line, theirs in {
        2: "stages:\n  training-train:\n    cmd: mine\n",
        3: "# training-train: ours\nstages:\n  'training-train':\n    cmd: mine\n",
        4: "stages:\n  a:\n    meta: {training-train: 1}\n  training-train:\n    cmd: c\n",
        1: "stages: {training-train: {cmd: mine}}\n",
    }.items():
        pipeline.write("dvc.yaml", theirs)
        with pytest.raises(StoreError) as caught:
            dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, {})
        (fault,) = caught.value.faults
        assert str(fault).startswith(f"dvc.yaml:{line}: `training-train` is a stage of your own")
        assert (pipeline.root / "dvc.yaml").read_text() == theirs
        assert not (pipeline.root / "dvc.lock").exists()


BROKEN = {
    "stages: [a]\n": "dvc.yaml",
    "stages:\n  a: {cmd: x\n": "dvc.yaml",
    "<<<<<<< HEAD\nstages:\n": "dvc.yaml",
    "- a\n": "dvc.yaml",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_is_no_pipeline_is_said_and_left(pipeline: Project, text: str) -> None:
    pipeline.write("dvc.yaml", text)
    with pytest.raises(DeclarationError, match=BROKEN[text]):
        dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, {})
    assert (pipeline.root / "dvc.yaml").read_text() == text


def test_a_missing_output_or_parameter_is_said(pipeline: Project) -> None:
    with pytest.raises(StoreError, match=r"nowhere\.csv does not exist"):
        dvc_yaml.write_dvc_files(
            pipeline.root, "training", [StageEntry("a", "b", outs=("nowhere.csv",))], {}
        )
    with pytest.raises(StoreError, match=f"{FILE}: `params.none` is not there"):
        stage = StageEntry("a", "b", params={FILE: ("params.none",)})
        dvc_yaml.write_dvc_files(pipeline.root, "training", [stage], {})
    with pytest.raises(StoreError, match=r"`a\.b` cannot name a DVC stage"):
        StageEntry("a.b", "c")


def test_the_texts_of_a_run_with_other_values_need_no_work_tree(pipeline: Project) -> None:
    other = Artifact("0" * 32, 7, "model.skops")
    given = GivenContents(
        {f"{OUT}/train/model.skops": other}, {FILE: DECLARATION.replace("1e-3", "0.05")}
    )
    said = dvc_yaml.dvc_file_texts(pipeline.root, "training", STAGES, MODELS, given)
    assert not (pipeline.root / "dvc.lock").exists()
    lock = documents.plain_data(documents.parse_yaml(said["dvc.lock"], "dvc.lock").node)
    train = lock["stages"]["training-train"]
    assert train["params"][FILE]["params.learning_rate.default"] == 0.05
    assert {"path": f"{OUT}/train/model.skops", "hash": "md5", "md5": "0" * 32, "size": 7} in train[
        "outs"
    ]


HOLD = """
import sys, zc.lockfile
lock = zc.lockfile.LockFile(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


def test_the_lock_is_dvcs_both_ways(pipeline: Project) -> None:
    layout = locate_store(pipeline.root)
    with repository_lock(layout):
        assert "Unable to acquire lock" in _stderr(pipeline, "commit", "-f")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, layout.dvc / "tmp" / "lock"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(StoreError, match=rf"holds DVC's lock \(process {holder.pid}\)"),
        repository_lock(layout, patience=0.1),
    ):
        pass
    holder.communicate("\n")
    with repository_lock(layout):
        pass


def _stderr(project: Project, *words: str) -> str:
    return call_dvc(project.root, *words).stderr


def test_another_kind_of_lock_is_refused(pipeline: Project) -> None:
    pipeline.dvc("config", "core.hardlink_lock", "true")
    with pytest.raises(StoreError, match=r"`core\.hardlink_lock` is set"):
        dvc_yaml.write_dvc_files(pipeline.root, "training", STAGES, {})


def test_writing_is_linear(pipeline: Project) -> None:
    """A thousand stages cost what ten times a hundred cost: each file is read and written once."""
    for number in range(1000):
        pipeline.write(f"artifacts/{number}.txt", str(number))

    def seconds(count: int) -> float:
        stages = [
            StageEntry(f"p-{n}", f"towpath step p {n}", deps=(FILE,),
            params={FILE: ("steps.train",)},
                  outs=(f"artifacts/{n}.txt",))
            for n in range(count)
        ]  # fmt: skip
        began = time.process_time()
        dvc_yaml.write_dvc_files(pipeline.root, "p", stages, {})
        return time.process_time() - began

    seconds(1000)
    few, many = seconds(100), seconds(1000)
    assert many < 30 * few
