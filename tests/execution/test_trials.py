"""Trials: runs with other values than the declared ones, and what becomes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from running import FOLDER, PIPELINE, Project, make, ran, reasons, states
from towpath import registry
from towpath.audit.reproduction import reproduce_version
from towpath.backends.prefect.flow_entrypoint import DeployedFlow, declares_values
from towpath.errors import Refused, TowpathError, UsageError
from towpath.execution.register_ended_run import register_ended_run
from towpath.execution.run_record import Recorder
from towpath.registry import VersionRecord

TRIAL = "a trial; `towpath register RUN` registers it"


def record(project: Project, reference: str) -> VersionRecord:
    repository = project.workspace.repository
    assert repository
    return registry.get_version(repository, reference).record


def refusal(project: Project, word: str) -> TowpathError:
    """What `towpath register` refuses, and that it has made nothing."""
    before = project.tags()
    with pytest.raises(TowpathError) as caught:
        register_ended_run(project.workspace, word)
    assert project.tags() == before
    return caught.value


def test_a_trial_is_recorded_and_registered_when_it_is_asked_for(project: Project) -> None:
    assert states(project.run())["register"] == "done"
    assert project.plan(params={"factor": "3"})["register"].startswith("undecided: after `fit`")
    trial = project.run(params={"factor": "3"})
    assert (trial.tried, states(trial)["register"]) == (("factor",), "skipped")
    assert reasons(trial)["register"] == TRIAL
    assert project.plan(params={"factor": "3"})["register"] == f"skip: {TRIAL}"
    assert project.tags() == ["mean@v1.0.0"]

    head = project.git("rev-parse", "HEAD")
    project.code("factor * sum", "2.0 * factor * sum")  # what the tree holds now does not matter
    project.commit("another way")
    project.code("2.0 * factor", "4.0 * factor")
    said = project.towpath("register", "last")
    assert (said.code, project.tags()) == (0, ["mean@v1.0.0", "mean@v1.1.0"])
    assert said.err.startswith(f"registered mean@v1.1.0 of run {trial.id}: parameter factor 2 -> 3")
    made = record(project, "mean@v1.1.0")
    assert (made.parameters, made.metrics["error"]) == ({"factor": 3, "limit": 100}, 14.0)
    assert (made.code.commit, made.run) == (head, trial.id)
    assert made.artifact == trial.steps["fit"].made.outputs["model"]
    said_then = project.git("show", f"mean@v1.1.0:{FOLDER}/pipeline.yaml")
    assert "factor: {default: 3" in said_then
    assert made.artifact.digest in project.git("show", "mean@v1.1.0:dvc.lock")
    again = refusal(project, trial.id)
    assert str(again).startswith(f"run {trial.id} is registered already: mean@v1.1.0")


def test_what_is_no_trial(project: Project) -> None:
    assert project.run(params={"factor": "2.0", "limit": "100"}).tried == ()
    assert project.tags() == ["mean@v1.0.0"]
    for same in ("data/raw.json", "./data/raw.json", str(project.root / "data" / "raw.json")):
        run = project.run(inputs={"raw": same})
        assert (run.tried, reasons(run)["register"]) == ((), "registered as mean@v1.0.0")
        assert project.output("fit/model.json") == {"mean": pytest.approx(14 / 3)}
    project.edit(f"{FOLDER}/pipeline.yaml", "default: 2, above: 0,", "type: number,")
    project.commit()
    required = project.run(params={"factor": "5"})
    assert (required.tried, states(required)["register"]) == ((), "done"), "none is declared"


def test_another_input_is_a_trial_and_its_place_is_recorded(project: Project) -> None:
    project.write("data/other.json", "[5, 6]")
    project.commit()
    trial = project.run(inputs={"raw": "data/other.json"})
    assert (trial.tried, reasons(trial)["register"]) == (("raw",), TRIAL)
    digest = project.store.digest(project.root / "data/other.json").digest
    assert trial.sources == {"raw": {"path": "data/other.json", "digest": digest}}
    register_ended_run(project.workspace, trial.id)
    made = record(project, "mean@v1.0.0")
    assert made.sources["raw"].path == "data/other.json"
    assert "raw: data/other.json" in project.git("show", f"mean@v1.0.0:{FOLDER}/pipeline.yaml")
    assert reproduce_version(project.workspace, "mean@v1.0.0").verdict == "bytes"


def test_a_trial_registers_at_once_where_that_is_said(project: Project) -> None:
    said = project.towpath("run", "-p", "factor=3", "--register")
    assert (said.code, project.tags()) == (0, ["mean@v1.0.0"])
    refused = project.refused(params={"factor": "4"}, require_register=True)
    assert str(refused) == (
        "cannot register: a trial, with another factor (--register registers it all the same)"
    )
    project.run(params={"factor": "4"}, require_register=True, register=True)
    assert project.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
    digest = record(project, "mean@v1.1.0").pipeline_digest
    project.edit(f"{FOLDER}/pipeline.yaml", "as: mean", "as: mean\n    trials: register")
    project.commit()
    assert states(project.run(params={"factor": "5"}))["register"] == "done"
    assert record(project, "mean@v1.2.0").pipeline_digest == digest


def test_each_step_that_registers_must_let_a_trial_in_where_that_is_required(
    project: Project,
) -> None:
    second = "  second:\n    kind: register_model\n    as: second\n    inputs: [fit.model]\n"
    project.edit(f"{FOLDER}/pipeline.yaml", "as: mean\n", "as: mean\n    trials: register\n")
    project.edit(f"{FOLDER}/pipeline.yaml", "  reject:\n", f"{second}  reject:\n")
    project.commit()
    refused = project.refused(params={"factor": "4"}, require_register=True)
    assert str(refused).startswith("cannot register by `second`: a trial, with another factor")
    assert not project.tags()
    run = project.run(params={"factor": "4"})
    assert (states(run)["register"], reasons(run)["second"]) == ("done", TRIAL)


def test_a_trial_of_what_is_not_committed_cannot_be_registered(project: Project) -> None:
    project.code("factor * sum", "1.0 * factor * sum")
    trial = project.run(params={"factor": "3"})
    assert reasons(trial)["register"] == "a trial, and 1 file not committed"
    project.commit()
    assert str(refusal(project, "last")).startswith(
        f"run {trial.id} cannot be registered: a trial, and 1 file not committed"
    )
    plain = project.run(params={"factor": "3"})
    assert ran(plain) == set(), "all of it is reused, and now it may be registered"
    assert register_ended_run(project.workspace, plain.id).versions[0].new


def test_ci_registers_no_trial_and_lets_it_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert reasons(project.run(params={"factor": "3"}))["register"] == TRIAL
    project.write("notes.txt", "new")
    dirty = project.run(params={"factor": "4"})
    assert reasons(dirty)["register"] == "a trial, and 1 file not committed"


def test_what_register_refuses(project: Project, tmp_path: Path) -> None:
    assert "no run is recorded here" in str(refusal(project, "last"))
    first = project.run()
    said = refusal(project, first.id)
    assert (
        str(said) == f"run {first.id} is registered already: mean@v1.0.0 (towpath show mean@v1.0.0)"
    )
    wrong = refusal(project, first.id[:-1] + "zz")
    assert isinstance(wrong, UsageError)
    assert first.id in str(wrong), "the near name"

    rejected = project.run(params={"limit": "1"})
    assert rejected.exit_code == 1
    no = refusal(project, rejected.id)
    assert (str(no.faults[0].what), no.exit_code) == (
        f"run {rejected.id} registers nothing: `good` is false", 3,
    )  # fmt: skip
    small = project.write(f"{FOLDER}/pipeline.yaml", PIPELINE.replace("    else: [reject]\n", ""))
    small.write_text(small.read_text().partition("  reject:")[0])
    project.commit()
    left = project.run(params={"limit": "1"})
    no = refusal(project, left.id)
    assert (str(no.faults[0].what), no.exit_code) == (
        f"run {left.id} registers nothing: `good` is false", 3,
    )  # fmt: skip
    assert isinstance(no, Refused)

    trial = project.run(params={"factor": "7"})
    folder = project.workspace.runs / "20261122-144200-3fa1"
    shutil.copytree(project.workspace.runs / trial.id, folder)
    events = folder / "events.jsonl"
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    events.unlink()
    recorder = Recorder(folder)
    for line in lines[:-1]:
        recorder(**{**line, **({"run": folder.name} if "run" in line else {})})
    recorder.close()
    assert str(refusal(project, folder.name)).startswith(f"run {folder.name} still runs")

    other = make(tmp_path / "another")
    other.write("README.md", "of its own")
    other.git("init", "-q")
    other.commit()
    shutil.copytree(project.workspace.runs / trial.id, other.workspace.runs / trial.id)
    assert "is of another project" in str(refusal(other, trial.id))
    model = trial.steps["fit"].made.outputs["model"]
    project.store.path(model.digest).unlink()
    assert "are not in the store" in str(refusal(project, trial.id))


def test_a_run_of_the_project_beside_is_named_with_its_folder(tmp_path: Path) -> None:
    whole = Project(tmp_path / "mono")
    one, two = make(whole.root / "one"), make(whole.root / "two")
    whole.git("init", "-q")
    whole.commit()
    trial, other = one.run(params={"factor": "3"}), two.run(end="clean")
    said = two.towpath("register", trial.id)
    assert (said.code, f"towpath -C {one.root} register {trial.id}" in said.err) == (2, True)
    assert f"run {trial.id} is of another project" in said.err
    assert "not selected" in str(refusal(two, other.id))


def test_a_damaged_draft_is_named(project: Project) -> None:
    trial = project.run(params={"factor": "3"})
    draft = project.workspace.runs / trial.id / "register" / "registration.json"
    document = json.loads(draft.read_text())
    draft.write_text(json.dumps({**document, "files": {"../outside": "x"}}))
    said = project.towpath("register", "last")
    assert (said.code, "registration.json cannot be read" in said.err) == (1, True)
    for text in ("{", "[]", json.dumps({"record": "model: 3", "files": {}})):
        draft.write_text(text)
        assert project.towpath("register", "last").code in (1, 2)


def test_a_trial_in_a_shared_history_waits_for_its_number(project: Project, tmp_path: Path) -> None:
    project.git("clone", "-q", "--bare", str(project.root), str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    project.git("fetch", "-q")
    trial = project.run(params={"factor": "3"})
    said = project.towpath("register", trial.id, "--json")
    (version,) = said.json["registered"]["versions"]
    assert (version["version"], project.tags()) == (None, [])
    assert project.towpath("push").code == 0
    assert project.tags() == ["mean@v1.0.0"]


DEPLOYMENTS = """\
deployments:
- name: dev
  entrypoint: flows/training/flow.py:training
  parameters: {factor: 3}
  schedules:
  - cron: "0 5 * * *"
    parameters: {limit: 50}
- name: plain
  entrypoint: ./flows/training/flow.py:training
"""


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("dev", {"factor": 3.0, "limit": 100}, True),
        ("dev", {"factor": 3, "limit": 50}, True),
        ("dev", {"factor": 4, "limit": 100}, False),
        ("dev", {"factor": 2, "limit": 50}, False),
        ("plain", {"factor": 2, "limit": 100}, True),
        ("plain", {"factor": 3, "limit": 100}, False),
        ("other", {"factor": 3, "limit": 100}, False),
    ],
)
def test_what_a_deployment_declares(
    tmp_path: Path, name: str, values: dict[str, float], expected: bool
) -> None:
    (tmp_path / "prefect.yaml").write_text(DEPLOYMENTS)
    file = tmp_path / "flows" / "training" / "flow.py"
    deployed = DeployedFlow(file, name, (tmp_path,))
    assert declares_values(deployed, {"factor": 2, "limit": 100}, values) is expected
    assert not declares_values(
        DeployedFlow(file.with_name("other.py"), name, (tmp_path,)), {}, values
    )


@pytest.mark.parametrize(
    "text", ["", "deployments: {a: 1}", "deployments: [1, {name: dev}]", "a: ["]
)
def test_a_strange_prefect_yaml_declares_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "prefect.yaml").write_text(text)
    assert not declares_values(DeployedFlow(tmp_path / "flow.py", "dev", (tmp_path,)), {}, {"a": 1})
