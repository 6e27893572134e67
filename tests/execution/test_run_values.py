"""What conditions, messages and steps may say of the run itself, and conditions in branches."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import FOLDER, Project, make, reasons, states
from towpath import registry
from towpath.config.pipeline_file import parse_pipeline
from towpath.pipeline.compile_graph import resolve_pipeline

PIPELINE = """\
params: {metric: mse, most: {dev: 9}, since: "2026-01-31"}
inputs: {raw: data/raw.json}
for: {prod: }
steps:
  score: {run: score, inputs: [raw], outputs: [metrics.json, model.json]}
  stamp: {run: stamp, params: {run: run.id, started: run.started}, outputs: [stamp.json]}
  tell:
    run: tell
    params: {flow: run.pipeline, stage: run.for, commit: run.commit}
    outputs: [t.json]
  follow: {run: follow, inputs: [stamp.stamp], outputs: [f.json]}
  fresh:
    kind: condition
    if: run.started > date(params.since) and score.metrics.newest >= date("2026-03-01")
    then: good
    else: old
  good:
    kind: condition
    if: score.metrics[metric] <= params.most["dev"]
    then: released
    else: bad
  released:
    kind: condition
    if: run.for in ["prod", "uat"]
    then: register
  register:
    kind: register_model
    as: mean
    inputs: [score.model]
    labels: {run: "{run.id}", stage: "{run.for}", best: "{score.metrics[metric]:.1f}"}
  old: {kind: fail, message: "too old on {run.started}"}
  bad: {kind: fail, message: "{metric} is {score.metrics[metric]:.1f} in {run.pipeline}"}
"""
STEPS = """\
def score(raw: list) -> dict:
    return {"metrics": {"mse": 2.0, "newest": "2026-03-05"}, "model": {"mean": sum(raw)}}


def stamp(run: str, started: str) -> dict:
    return {"run": run, "started": started}


def tell(flow: str, stage: str | None, commit: str) -> dict:
    return {"flow": flow, "stage": stage, "commit": commit}


def follow(stamp: dict) -> dict:
    return stamp
"""


@pytest.fixture
def stamped(tmp_path: Path) -> Project:
    project = make(tmp_path)
    project.declare(PIPELINE, STEPS)
    project.git("init", "-q")
    project.commit("stamped")
    return project


def test_a_run_says_of_itself(stamped: Project) -> None:
    plan = stamped.plan(environment="prod")
    assert plan["stamp"] == "run: it takes `run.id`, which no other run has"
    assert plan["register"].startswith("undecided")
    run = stamped.run(environment="prod")
    assert states(run)["register"] == "done"
    assert reasons(run)["released"] == '`run.for in ["prod", "uat"]` is true'
    repository = stamped.workspace.repository
    assert repository
    record = registry.get_version(repository, "mean@v1.0.0").record
    assert record.labels == {"run": run.id, "stage": "prod", "best": "2.0"}
    assert run.values["stamp.stamp"] == {"run": run.id, "started": run.started}
    head = stamped.git("rev-parse", "HEAD")
    assert run.values["tell.t"] == {"flow": "training", "stage": "prod", "commit": head}

    again = stamped.run(environment="prod")
    assert again.values["stamp.stamp"] == {"run": again.id, "started": again.started}
    assert [name for name, state in states(again).items() if state == "done"] == [
        "stamp", "follow", "fresh", "good", "released",
    ]  # fmt: skip
    assert reasons(again)["register"] == "registered as mean@v1.0.0"
    # Without a name the innermost condition goes the other way.
    assert stamped.plan()["fresh"].startswith("undecided: `run.started` is known once")
    for step in ("stamp", "tell", "follow"):  # stock DVC knows of no run
        assert f"training-{step}:" not in (stamped.root / "dvc.yaml").read_text()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("run.id,", "run.ids,", "`run.ids` is no value of a run (did you mean `id`?)"),
        (
            "run.id,",
            "run,",
            "`run` is no value of a run (it has id, started, pipeline, for, commit)",
        ),
        ("run.id,", "run.id.x,", "`run.id.x` is no value of a run"),
        (
            "inputs: [stamp.stamp]",
            "inputs: [run.id]",
            "`run.id` is a value of the run, not an input",
        ),
        ("[metric] <=", "[metrc] <=", "nothing is called `metrc` (did you mean `metric`?)"),
        ("date(params.since)", "2026-01-31", "would be a difference: a date is written"),
        ('date("2026-03-01")', 'date("2026-03-41")', "`2026-03-41` is no date"),
        ('params.most["dev"]', "params.mots.dev", "`params` has no `mots` (did you mean `most`?)"),
        (
            "[stamp.stamp]",
            '{stamp: "stamp.stamp[metric]"}',
            "a parameter as a key is for conditions",
        ),
        ("inputs: {raw:", "inputs: {run:", "`run` cannot be a name: references begin with it"),
    ],
)
def test_what_names_nothing_of_a_run(before: str, after: str, said: str) -> None:
    text = PIPELINE.replace(before, after, 1)
    assert text != PIPELINE
    faults = "\n".join(map(str, resolve_pipeline(parse_pipeline(text, f"{FOLDER}/p.yaml")).faults))
    assert said in faults, faults


def test_the_unchanged_declaration_has_no_fault() -> None:
    assert resolve_pipeline(parse_pipeline(PIPELINE, f"{FOLDER}/pipeline.yaml")).faults == ()


def test_a_pipeline_in_a_pipeline_is_given_values_of_the_run(stamped: Project) -> None:
    note = "  note: {run: note, params: [mark], outputs: [note.json]}\n"
    inner = f"params: {{mark: {{type: string}}}}\nsteps:\n{note}"
    stamped.write("flows/noting/pipeline.yaml", inner)
    stamped.write("flows/noting/steps.py", "def note(mark: str) -> str:\n    return mark\n")
    stamped.declare(
        "steps:\n  noted: {kind: pipeline, pipeline: noting, params: {mark: run.id}}\n", STEPS
    )
    first, second = (stamped.run() for _ in range(2))
    for run in (first, second):
        assert run.values["noted.note.note"] == run.id, "in each run its own"
    assert states(second)["noted.note"] == "done"
    group = inner.replace("mark: {type: string}", "mark: {a: 1}").replace("[mark]", "[params.mark]")
    stamped.write("flows/noting/pipeline.yaml", group)
    said = stamped.towpath("check")
    assert said.code == 2
    assert "`mark` is a group of a: `a` is not given" in said.err
