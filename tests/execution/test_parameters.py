"""Parameters in groups and in files, and what a run for an environment takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import FOLDER, Project, make, ran, reasons
from towpath.backends.prefect.flow_entrypoint import DeployedFlow, declares_values
from towpath.backends.prefect.flow_signature import flow_signature, split_arguments
from towpath.config.pipeline_declaration import Pipeline, Processing
from towpath.config.pipeline_file import DeclaredPipeline, parse_pipeline
from towpath.errors import UsageError
from towpath.execution.run_folders import diff_runs
from towpath.pipeline.compile_graph import compile_with_values, resolve_pipeline
from towpath.pipeline.run_arguments import RunValues, apply_environment
from towpath.planning.run_request import RunRequest, repeat_request

PIPELINE = """\
params:
  file: params.yaml
  fit: {rate: {type: number, above: 0}, steps: 10}
  scale: 1
inputs: {raw: data/raw.json}
for:
  dev:
  prod: {params: {fit: {rate: 3, steps: 40}}, inputs: {raw: data/all.json}}
steps:
  clean: {run: clean, inputs: [raw], params: [params.clean.least], outputs: [rows.json]}
  fit:
    kind: training
    run: fit
    inputs: [clean.rows]
    params: {rate: params.fit.rate, options: params.clean, scale: params.scale}
    outputs: [model.json]
  good: {kind: condition, if: params.clean.limits.most > 3 and scale < 9, then: note}
  note: {run: note, params: [params.fit.steps], outputs: [note.json]}
  register: {kind: register_model, as: mean, inputs: [fit.model]}
"""
STEPS = """\
def clean(raw: list, least: int) -> list:
    return [number for number in raw if number > least]


def fit(rows: list, rate: float, options: dict, scale: float) -> dict:
    return {"mean": scale * rate * sum(rows) / len(rows), "options": options}


def note(steps: int) -> dict:
    return {"steps": steps}
"""
VALUES = """\
# shared with another program
fit: {rate: 2.0}
clean: {least: 0, limits: {most: 10, "per-day": 4}}
other: {seed: 1}
"""


@pytest.fixture
def nested(tmp_path: Path) -> Project:
    project = make(tmp_path, {"params.yaml": VALUES, "data/all.json": "[2, 4]"})
    project.declare(PIPELINE, STEPS)
    project.git("init", "-q")
    project.commit("nested")
    return project


def test_values_nest_and_stand_in_a_file(nested: Project) -> None:
    first = nested.run()
    assert first.params == {
        "fit.rate": 2.0, "clean.least": 0, "clean.limits.most": 10, "clean.limits.per-day": 4,
        "fit.steps": 10, "scale": 1,
    }  # fmt: skip
    assert nested.tags() == ["mean@v1.0.0"]
    options = {"least": 0, "limits": {"most": 10, "per-day": 4}}
    assert nested.output("fit/model.json")["options"] == options
    stages = (nested.root / "dvc.yaml").read_text()
    assert "- params.yaml:\n          - clean\n          - fit.rate" in stages
    assert "- params.yaml:\n          - clean.least" in stages

    # A step hangs on the values that it names, and not on the file.
    nested.edit("params.yaml", "seed: 1", "seed: 2")
    nested.edit("params.yaml", "# shared", "# still shared")
    assert set(nested.plan().values()) == {f"reuse: made by {first.id}"} | {
        why for why in nested.plan().values() if "`params.clean" in why or "registered" in why
    }
    nested.edit("params.yaml", "most: 10", "most: 20")
    assert nested.plan()["clean"].startswith("reuse")
    assert '"most": 10' in nested.plan()["fit"] and '"most": 20' in nested.plan()["fit"]
    nested.git("checkout", "-q", "params.yaml")

    nested.write("big.yaml", "fit: {rate: 5, steps: 7}\nscale: 2\n")
    nested.commit("values")
    said = nested.towpath("run", "--params", "big.yaml", "-p", "params.fit.rate=4", "--json")
    trial = said.json["run"]
    assert (trial["params"]["fit.rate"], trial["params"]["fit.steps"]) == (4, 7)
    assert trial["tried"] == ["fit.rate", "fit.steps", "scale"]
    assert trial["asked"]["params"] == {"fit.rate": "4", "fit.steps": 7, "scale": 2}
    second = nested.towpath("diff", first.id, trial["id"])
    assert "fit.rate" in second.out and "fit.steps" in second.out

    # What registers a trial writes its values to where they are declared: here into two files.
    assert nested.towpath("register", trial["id"]).code == 0
    assert "fit: {rate: 4}" in nested.git("show", "mean@v1.1.0:params.yaml")
    declared = nested.git("show", f"mean@v1.1.0:{FOLDER}/pipeline.yaml")
    assert "steps: 7" in declared and "scale: 2" in declared and "rate: {type: number" in declared
    assert "fit.rate: 4" in nested.git("show", "mean@v1.1.0:dvc.lock")


def test_an_environment_is_declared_and_no_trial(nested: Project) -> None:
    usual, run = nested.run(), nested.run(environment="prod")
    assert (run.environment, run.tried, run.params["fit.rate"]) == ("prod", (), 3)
    assert run.asked["for"] == "prod"
    assert run.inputs != usual.inputs
    assert "clean" in ran(run) and reasons(run)["register"] == "not registered yet"
    assert nested.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
    changes = {d.name: (d.left, d.right) for d in diff_runs(usual, run)}
    assert changes["fit.rate"] == (2.0, 3)
    assert changes["for"] == (None, "prod")
    # The work tree keeps what the declaration makes without one.
    assert nested.output("fit/model.json")["mean"] == pytest.approx(14 / 3)
    assert "fit.rate: 2.0" in (nested.root / "dvc.lock").read_text()
    assert nested.plan(environment="dev")["fit"].startswith("reuse")
    tried = nested.towpath("plan", "--for", "prod", "-p", "scale=3", "--json").json["plan"]
    assert {s["step"]: s["verdict"] for s in tried}["fit"] == "run"
    assert "data/all.json" in nested.towpath("graph", "--for", "prod").out
    assert nested.towpath("check", "--for", "prod").code == 0
    typo = nested.towpath("run", "--for", "prd")
    assert (typo.code, "did you mean `prod`?" in typo.err) == (2, True)


def test_the_flow_has_groups_and_inputs_as_parameters(nested: Project) -> None:
    pipeline = nested.workspace.pipeline().pipeline
    prod = apply_environment(pipeline, "prod")
    signature = flow_signature(prod)
    assert list(signature.parameters) == ["fit", "clean", "scale", "raw"]
    fit = signature.parameters["fit"]
    assert fit.default == {"rate": 3, "steps": 40}
    assert fit.annotation(rate=4).model_dump() == {"rate": 4, "steps": 40}
    with pytest.raises(ValueError, match="greater than 0"):
        fit.annotation(rate=0)
    with pytest.raises(ValueError, match="not permitted"):
        fit.annotation(rat=1)
    arguments = {"fit": fit.annotation(rate=4), "clean": {"least": 1}, "raw": "data/b.json"}
    params, inputs = split_arguments(prod, arguments)
    assert params == {"fit.rate": 4, "fit.steps": 40, "clean.least": 1}
    assert inputs == {"raw": "data/b.json"}
    nested.write(
        "prefect.yaml",
        "deployments:\n  - {name: big, entrypoint: 'flows/training/flow.py:training',"
        " parameters: {fit: {rate: 4}, raw: data/b.json}}\n",
    )
    flow = DeployedFlow(nested.root / FOLDER / "flow.py", "big", (nested.root,))
    usual = {"fit.rate": 3, "fit.steps": 40, "raw": "data/all.json"}
    chosen = {"fit": fit.annotation(rate=4), "raw": "data/b.json"}
    assert declares_values(flow, usual, chosen)
    assert not declares_values(flow, usual, {**chosen, "raw": "data/c.json"})


def _declared(values: str, pipeline: str = PIPELINE) -> DeclaredPipeline:
    return parse_pipeline(pipeline, f"{FOLDER}/pipeline.yaml", read_text=lambda _: values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("fit: {rate: 0}", ["params.yaml:1: parameter `fit.rate`: its default must be above 0"]),
        ("fit: {rate: fast}", ["params.yaml:1: parameter `fit.rate`: its default must be a num"]),
        ("fit: 3", ["params.yaml:1: `fit` is one value in this file, and a group of the pip"]),
        ("scale: {a: 1}", ["params.yaml:1: `scale` is a group in this file, and one paramet"]),
        ("clean: {lest: 1}", ["has no `least` (did you mean `lest`?)"]),
        ("- 1", ["params.yaml:1: a file of parameters holds a mapping, not a list"]),
        ("a: [1", ["params.yaml:1: this is not YAML"]),
        ("a: 1\na: 2", ["params.yaml:2: `a` is written twice"]),
        ("clean: {a.b: 1}", ["params.yaml:1: the key `a.b` has a dot"]),
        ("clean: {least: .nan}", ["params.yaml:1: `.nan` is no finite number"]),
    ],
)
def test_what_is_wrong_in_a_file_of_values(values: str, said: list[str]) -> None:
    faults = "\n".join(map(str, resolve_pipeline(_declared(values)).faults))
    assert all(words in faults for words in said), faults


def test_what_names_no_file_of_values(nested: Project) -> None:
    nested.edit(f"{FOLDER}/pipeline.yaml", "file: params.yaml", "file: parms.yaml")
    said = nested.towpath("check")
    assert said.code == 2
    assert "pipeline.yaml:2" in said.err and "there is no parms.yaml" in said.err
    toml = _declared("", PIPELINE.replace("file: params.yaml", "file: params.toml"))
    assert [f.what for f in resolve_pipeline(toml).faults] == [
        "`file` names no file of parameters: `params.toml`"
    ]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"fit": 3}, "`fit` is a group of parameters (it has fit.rate, fit.steps)"),
        ({"fit.rat": 3}, "has no parameter `fit.rat` (did you mean `fit.rate`?)"),
        ({"fit": {"rat": 3}}, "has no parameter `fit.rat` (did you mean `fit.rate`?)"),
        ({"params.fit.rate": "0"}, "parameter `fit.rate` must be above 0, not 0"),
        ({"other.seed": 3}, "`other.seed` (no step names this value of params.yaml)"),
        ({"file": "x.yaml"}, "the pipeline has no parameter `file`"),
    ],
)
def test_given_values_that_fit_no_parameter(params: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        compile_with_values(_declared(VALUES), RunValues(params))
    assert said in str(raised.value)


def test_faults_of_given_files_say_their_lines(nested: Project) -> None:
    nested.write("big.json", json.dumps({"fit": {"rate": -1, "stepz": 3}}, indent=1))
    said = nested.towpath("plan", "--params", "big.json")
    assert said.code == 2
    assert "big.json:3: parameter `fit.rate` must be above 0" in said.err
    assert "big.json:4: the pipeline has no parameter `fit.stepz`\n  hint: did you m" in said.err
    assert "did you mean `big.json`?" in nested.towpath("plan", "--params", "bg.json").err
    assert "ends in .yaml or .json" in nested.towpath("plan", "--params", "steps.py").err


def test_in_python_a_mapping_is_a_group() -> None:
    pipeline = Pipeline(
        name="training",
        params={"fit": {"rate": {"default": 0.1, "above": 0}, "type": "forest"}},
        environments={"prod": {"params": {"fit": {"rate": 0.2}}}},
        steps={"a": Processing(run="f", params=["params.fit.rate", "params.fit"])},
    )
    graph = compile_with_values(DeclaredPipeline(pipeline), RunValues(environment="prod"))
    assert graph.params == {"fit.rate": 0.2, "fit.type": "forest"}
    assert (graph.given, graph.tried) == ({"fit.rate"}, frozenset())


def test_a_run_is_repeated_for_its_environment() -> None:
    asked = RunRequest("training", environment="prod").asked_fields()
    assert repeat_request(RunRequest("training"), asked).environment == "prod"
