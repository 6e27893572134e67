"""A declaration compiled: sources, order, branches, the values of a run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from towpath.config.pipeline_declaration import (
    Condition,
    Evaluation,
    Fail,
    Pipeline,
    Processing,
    QualityCheck,
    RegisterModel,
    Training,
)
from towpath.config.pipeline_file import DeclaredPipeline, parse_pipeline, read_pipeline
from towpath.errors import DeclarationError, UsageError
from towpath.pipeline.compile_graph import compile_with_arguments, outline_graph, resolve_pipeline
from towpath.pipeline.step_graph import (
    Branch,
    FirstOf,
    FromInput,
    FromOutput,
    FromParam,
    Graph,
    Literal,
)

VALID = Path(__file__).parents[1] / "config" / "valid"


def declared(text: str) -> DeclaredPipeline:
    return parse_pipeline(text, "flows/training/pipeline.yaml")


@pytest.fixture
def abalone(tmp_path: Path) -> DeclaredPipeline:
    folder = tmp_path / "flows" / "training"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text((VALID / "abalone.yaml").read_text())
    return read_pipeline(folder / "pipeline.yaml", tmp_path)


def test_the_abalone_pipeline(abalone: DeclaredPipeline) -> None:
    graph = compile_with_arguments(abalone)
    assert (graph.name, graph.folder) == ("training", "flows/training")
    assert graph.params == {"learning_rate": 0.1, "test_size": 0.2, "max_mse": 6.0}
    assert graph.inputs == {"raw": "data/abalone.csv"}
    assert list(graph.nodes) == list(abalone.pipeline.steps), "declared in an order that runs"
    prepare, good, register = (graph.nodes[n] for n in ("prepare", "good_enough", "register"))
    assert prepare.arguments == {
        "raw": FromOutput("check_raw", "data"),
        "test_size": FromParam("test_size"),
    }
    assert [output.path for output in prepare.outputs.values()] == ["train.parquet", "test.parquet"]
    assert graph.nodes["check_raw"].outputs["data"].path == "data.csv", "as what it checks"
    assert good.mentions == {
        "evaluate.metrics": FromOutput("evaluate", "metrics"),
        "max_mse": FromParam("max_mse"),
    }
    assert register.branch == Branch("good_enough", True)
    assert graph.nodes["reject"].branch == Branch("good_enough", False)
    assert register.needs == {"train", "evaluate", "good_enough", "check_raw"}
    assert register.data_needs == {"train", "evaluate"}
    assert pickle.loads(pickle.dumps(graph)) == graph


def test_every_form_compiles() -> None:
    graph = compile_with_arguments(declared((VALID / "everything.yaml").read_text()), {"given": 1})
    prepare = graph.nodes["prepare"]
    assert prepare.arguments["old"] == FromInput("older")
    assert prepare.arguments["rate"] == FromParam("plain")
    assert prepare.arguments["options"] == Literal({"deep": [1, 2, None]})
    assert prepare.needs == {"check"}
    either = graph.nodes["either"].arguments
    assert either["table"] == FirstOf((FromOutput("better", "table"), FromOutput("worse", "table")))
    assert either["part"] == FromOutput("evaluate", "metrics", ("folds",))
    assert graph.nodes["check"].outputs["data"].path == "data.csv", "checked twice, still a table"
    assert graph.nodes["stop"].mentions == {"check.result": FromOutput("check", "result")}
    names = list(graph.nodes)
    for name, node in graph.nodes.items():
        assert all(names.index(needed) < names.index(name) for needed in node.needs)


def test_the_same_pipeline_in_python(abalone: DeclaredPipeline) -> None:
    pipeline = Pipeline(
        name="training",
        params={"learning_rate": 0.1, "test_size": {"default": 0.2, "above": 0}, "max_mse": 6.0},
        inputs={"raw": "data/abalone.csv"},
        steps={
            "check_raw": QualityCheck(inputs={"data": "raw"}, expectations="e.yaml"),
            "prepare": Processing(
                run="prepare",
                inputs={"raw": "check_raw.data"},
                params=("test_size",),
                outputs=("train.parquet", "test.parquet"),
            ),
            "train": Training(
                run="train",
                inputs=["prepare.train"],
                params=["learning_rate"],
                outputs=["model.skops"],
                retry=3,
                timeout="30m",
            ),
            "evaluate": Evaluation(
                run="evaluate", inputs=["train.model", "prepare.test"], outputs=["metrics.json"]
            ),
            "good_enough": Condition(
                expression="evaluate.metrics.mse <= max_mse", then="register", otherwise="reject"
            ),
            "register": RegisterModel(model="abalone", inputs=["train.model"]),
            "reject": Fail(message="{evaluate.metrics.mse:.2f}"),
        },
    )
    graph = compile_with_arguments(DeclaredPipeline(pipeline))
    assert graph.folder == "flows/training"
    assert (
        graph.nodes["train"].arguments == compile_with_arguments(abalone).nodes["train"].arguments
    )
    assert graph.nodes["train"].step.timeout == 1800
    assert graph.nodes["register"].branch == Branch("good_enough", True)
    with pytest.raises(DeclarationError, match="nothing is called `nowhere`"):
        compile_with_arguments(
            DeclaredPipeline(
                Pipeline(name="p", steps={"a": Processing(run="f", inputs=["nowhere"])})
            )
        )


def test_the_order_is_that_of_references_and_else_as_declared() -> None:
    graph = compile_with_arguments(
        declared("""
steps:
  last: {run: f, inputs: {a: middle.o, b: first.o}}
  alone: {run: f}
  middle: {run: f, inputs: [first.o], outputs: [o.csv]}
  first: {run: f, outputs: [o.csv], after: alone}
""")
    )
    assert list(graph.nodes) == ["alone", "first", "middle", "last"]


CHECKS = """
steps:
  train: {kind: training, run: f, outputs: [model.skops, data.csv]}
  register: {kind: register_model, as: one, inputs: [train.model]}
  again: {kind: register_model, as: two, inputs: [train.model], after: late}
  early: {kind: quality_check, inputs: {data: train.data}, expectations: e.yaml}
  late: {kind: quality_check, inputs: {data: train.data}, expectations: e.yaml, after: register}
  last: {kind: quality_check, inputs: {data: train.data}, expectations: e.yaml, after: again}
"""


def test_registering_waits_for_every_check_that_is_not_after_it() -> None:
    graph = compile_with_arguments(declared(CHECKS))
    assert graph.nodes["register"].needs == {"train", "early"}
    assert graph.nodes["again"].needs == {"train", "early", "late"}
    assert "early" not in graph.nodes["register"].data_needs, "a skipped check skips no version"


def test_two_registrations_and_their_later_checks_make_no_circle() -> None:
    graph = compile_with_arguments(
        declared("""
steps:
  train: {kind: training, run: f, outputs: [model.skops, data.csv]}
  r1: {kind: register_model, as: one, inputs: [train.model]}
  r2: {kind: register_model, as: two, inputs: [train.model]}
  c1: {kind: quality_check, inputs: {data: train.data}, expectations: e.yaml, after: r1}
  c2: {kind: quality_check, inputs: {data: train.data}, expectations: e.yaml, after: r2}
""")
    )
    assert graph.nodes["r1"].needs == {"train", "c2"}
    assert graph.nodes["r2"].needs == {"train"}


def test_a_nested_branch_can_never_meet_the_other_side() -> None:
    found = resolve_pipeline(
        declared("""
params: {a: 1}
steps:
  k: {kind: condition, if: a > 1, then: l, else: other}
  l: {kind: condition, if: a > 2, then: deep}
  deep: {run: f, outputs: [o.csv]}
  deeper: {run: f, inputs: [deep.o], outputs: [o.csv]}
  other: {run: f, outputs: [o.csv]}
  meets: {run: f, inputs: {a: deeper.o, b: other.o}}
""")
    ).faults
    assert [fault.what for fault in found] == [
        "`meets` can never run: it needs both branches of `k`"
    ]


PARAMS = """
params:
  rate: {default: 0.1, above: 0, at_most: 1, description: How fast}
  trees: 100
  depth: {default: null, type: integer, at_least: 1}
  exact: {default: 3, type: integer}
  name: abc
  flag: false
  many: [a]
  kind: {default: a, choices: [a, b]}
  given: {type: number}
inputs:
  raw: data/raw.csv
steps:
  s: {run: f, inputs: [raw], params: [rate, trees, depth, exact, name, flag, many, kind, given]}
"""


def bound(arguments: dict[str, object], inputs: dict[str, str] | None = None) -> Graph:
    return compile_with_arguments(declared(PARAMS), {"given": 1, **arguments}, inputs)


def test_parameters_of_a_run_typed_or_as_text() -> None:
    text = {
        "rate": "5e-2",
        "trees": "50.5",
        "depth": "3",
        "name": "007",
        "flag": "true",
        "many": "[b, 1]",
        "kind": "b",
        "given": "-1",
    }
    graph = bound(dict(text))
    assert graph.params == {
        "rate": 0.05,
        "trees": 50.5,
        "depth": 3,
        "exact": 3,
        "name": "007",
        "flag": True,
        "many": ["b", 1],
        "kind": "b",
        "given": -1,
    }
    assert bound(dict(graph.params)).params == graph.params
    whole = bound({"trees": 50.0, "rate": 1.0}).params
    assert (type(whole["trees"]), type(whole["rate"])) == (int, float), "as the defaults are"
    assert bound({"depth": "null"}).params["depth"] is None
    assert graph.given == set(text)
    assert bound({}, {"raw": "other/x.csv"}).inputs == {"raw": "other/x.csv"}
    assert bound({}, {"raw": "/tmp/x.csv"}).inputs == {"raw": "/tmp/x.csv"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rate": 0}, "parameter `rate` must be above 0, not 0 (How fast)"),
        ({"rate": "1.01"}, "parameter `rate` must be at most 1, not 1.01 (How fast)"),
        ({"rate": "fast"}, "parameter `rate` must be a number, not `fast` (How fast)"),
        ({"rate": True}, "must be a number, not true"),
        ({"rate": float("nan")}, "must be a number, not nan"),
        ({"rate": ""}, "must be a number, not null"),
        ({"rate": "1e999"}, "too large"),
        ({"rate": "[1"}, "parameter `rate`: this is not YAML"),
        ({"flag": "no"}, "`no` is text to some readers and true or false to others"),
        ({"flag": 1}, "parameter `flag` must be true or false, not 1"),
        ({"exact": 2.5}, "parameter `exact` must be a whole number, not 2.5"),
        ({"depth": 0}, "parameter `depth` must be at least 1, not 0"),
        ({"trees": None}, "parameter `trees` must be a number, not null"),
        ({"name": 5}, "parameter `name` must be text, not 5"),
        ({"many": "a"}, "parameter `many` must be a list, not `a`"),
        ({"kind": "c"}, "parameter `kind` must be one of `a`, `b`, not `c`"),
        ({"tree": 5}, "the pipeline has no parameter `tree` (did you mean `trees`?)"),
        ({"raw": "x"}, "has no parameter `raw` (it is an input: write `--input raw=...`)"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        bound(arguments)
    assert said in str(raised.value)


def test_all_misfits_are_told_at_once() -> None:
    with pytest.raises(UsageError) as raised:
        compile_with_arguments(
            declared(PARAMS), {"rate": "x", "nme": 1}, {"rww": "a", "name": "b", "raw": "a\\b"}
        )
    assert [fault.what for fault in raised.value.faults] == [
        "the pipeline has no parameter `nme`",
        "the pipeline has no input `rww`",
        "the pipeline has no input `name`",
        "parameter `rate` must be a number, not `x`",
        "parameter `given` must be given",
        "input `raw`: `a\\b` has a backslash",
    ]


def test_an_outline_asks_for_no_values() -> None:
    graph = outline_graph(declared(PARAMS))
    assert graph.params["given"] is None
    assert list(graph.nodes) == ["s"]


def test_faults_of_the_declaration_come_before_those_of_the_arguments() -> None:
    with pytest.raises(DeclarationError, match="nothing is called `nowhere`"):
        compile_with_arguments(declared("steps: {a: {run: f, inputs: [nowhere]}}"), {"x": 1})


def test_a_thousand_steps_in_a_chain_and_a_thousand_circles() -> None:
    chain = "".join(
        f"  s{i}: {{run: f, outputs: [o.csv], inputs: [{f's{i - 1}.o' if i else ''}]}}\n"
        for i in range(1000)
    )
    assert len(compile_with_arguments(declared(f"steps:\n{chain}")).nodes) == 1000
    circles = "".join(
        f"  a{i}: {{run: f, outputs: [o.csv], inputs: [b{i}.o]}}\n"
        f"  b{i}: {{run: f, outputs: [o.csv], inputs: [a{i}.o]}}\n"
        for i in range(500)
    )
    assert len(resolve_pipeline(declared(f"steps:\n{circles}")).faults) == 500
