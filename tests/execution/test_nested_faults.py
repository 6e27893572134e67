"""What is wrong with pipelines that carry out others, each fault with its file and line."""

from __future__ import annotations

import re

import pytest

from towpath.config.pipeline_file import DeclaredPipeline, parse_pipeline
from towpath.errors import UsageError
from towpath.pipeline.compile_graph import compile_with_arguments, resolve_pipeline
from towpath.pipeline.nested_pipelines import nest_pipelines

INNER = """\
params: {least: {default: 0, above: -1}, fit: {rate: 1.0, steps: 3}}
inputs: {raw: data/a.json}
steps:
  clean: {run: clean, inputs: [raw], params: [least], outputs: [rows.json]}
  fit: {run: fit, inputs: [clean.rows], params: [params.fit.rate, params.fit.steps], outputs: [model.skops]}
  good: {kind: condition, if: least > 3, then: note}
  note: {run: note, inputs: [clean.rows], outputs: [n.json]}
"""  # noqa: E501
OUTER = """\
params: {low: 2, lows: [1, 2], rates: {rate: 2.0, steps: 1}}
inputs: {other: data/b.json}
steps:
  north: {kind: pipeline, pipeline: inner, USE}
  use: {run: use, inputs: TAKEN, params: [low, lows, params.rates, other_param], outputs: [u.json]}
"""


def declare(use: str, taken: str = "[north.clean.rows, other]", **others: str) -> DeclaredPipeline:
    text = OUTER.replace("USE", use).replace("TAKEN", taken).replace(", other_param", "")
    files = {"outer": text, "inner": INNER, **others}
    declared = {
        name: parse_pipeline(text, f"flows/{name}/pipeline.yaml") for name, text in files.items()
    }
    return nest_pipelines(declared["outer"], declared, declared.__getitem__)


def faults_of(use: str, taken: str = "[north.clean.rows, other]", **others: str) -> list[str]:
    faults = resolve_pipeline(declare(use, taken, **others)).faults
    return [f"{fault.place}: {fault.what} | {fault.hint or ''}" for fault in faults]


@pytest.mark.parametrize(
    "use",
    [
        "inputs: {raw: other}",
        "params: {least: low}",
        "with: {fit: {rate: 0.5, steps: 1}}",
        "params: {fit: params.rates}",
        "each: {least: lows}, params: [least]",
    ],
)
def test_what_may_be_given(use: str) -> None:
    if "each" in use:  # a condition takes something of the item
        (fault,) = faults_of(use)
        assert "step `good` (condition) of pipeline `inner` cannot be made for each item" in fault
        return
    assert faults_of(use) == []


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("inputs: {rwa: other}", "no input `rwa` | did you mean `raw`?"),
        ("inputs: {least: other}", "no input `least` | write it under `params`"),
        ("params: {lest: low}", "no parameter `lest` | did you mean `least`?"),
        ("params: {raw: low}", "no parameter `raw` | write it under `inputs`"),
        ("with: {lest: 1}", "no parameter `lest` | did you mean `least`?"),
        ("with: {least: -4}", "parameter `least` of pipeline `inner` must be above -1"),
        ("with: {least: high}", "parameter `least` of pipeline `inner` must be a number"),
        ("with: {fit: {rate: 1}}", "`fit` is a group of rate, steps: `steps` is not given"),
        ("with: {fit: 3}", "`fit` is a group of rate, steps: `rate` is not given"),
        ("params: {fit: low}", "`fit` is a group of rate, steps: `rate` is not given"),
        ("params: {least: lo}", "nothing is called `lo` | did you mean `low`?"),
        ("inputs: {raw: low}", "`low` is a parameter, not an input | write `params: [low]`"),
        ("params: {least: low}, with: {least: 1}", "argument `least` is given twice"),
        (
            "retry: 3",
            "`retry` is for a step, and `north` is a pipeline | write it there, in",
        ),
        ("timeout: 3s", "`timeout` is for a step, and `north` is a pipeline"),
        ("at_once: 3", "`at_once` is for a step with `each`, and `north` has none"),
        ("each: {one: lows}, inputs: [other]", "`north` does not use its item `one`"),
        ("each: {one: low}, params: {least: one}", "parameter `low` is no list"),
        ("each: {one: [1, -5]}, params: {least: one}", "must be above -1"),
        ("outputs: [x.json]", "step `north` (pipeline) has no key `outputs`"),
    ],
)
def test_what_a_step_gives_to_a_pipeline(use: str, words: str) -> None:
    faults = faults_of(use)
    assert any(words in fault for fault in faults), faults
    assert all(fault.startswith("flows/outer/pipeline.yaml:4: ") for fault in faults), faults


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        ("[north]", "`north` is a pipeline: name an output of one of its steps | write `north.cl"),
        ("[north.rows]", "`north` is a pipeline: it has no output `rows` | write `north.clean"),
        ("[north.clean]", "it has no output `clean` | did you mean `clean.rows`?"),
        ("[north.clean.row]", "it has no output `clean.row` | did you mean `clean.rows`?"),
        ("[north.clea.rows]", "it has no output `clea.rows` | did you mean `clean.rows`?"),
        ("[north.fit.model.x]", "`north.fit.model` is model.skops: only a JSON output has keys"),
        ("[nort.clean.rows]", "nothing is called `nort` | did you mean `north`?"),
    ],
)
def test_what_is_taken_of_a_pipeline(taken: str, words: str) -> None:
    faults = faults_of("inputs: {raw: other}", taken)
    (fault,) = faults
    assert words in fault
    assert fault.startswith("flows/outer/pipeline.yaml:5: ")


def test_a_pipeline_that_is_not_there_or_holds_itself() -> None:
    typed = OUTER.replace("pipeline: inner, USE", "pipeline: iner, params: {least: low}")
    assert faults_of(
        "", outer=typed.replace("TAKEN", "[north.clean.rows, other]").replace(", other_param", "")
    ) == ["flows/outer/pipeline.yaml:4: there is no pipeline `iner` | did you mean `inner`?"]
    again = "steps: {more: {kind: pipeline, pipeline: outer}}\n"
    (fault,) = faults_of("", "[other]", inner=again)
    assert fault.startswith("flows/inner/pipeline.yaml:1: ")
    assert "the pipeline holds itself: outer -> inner -> outer" in fault
    itself = OUTER.replace("pipeline: inner, USE", "pipeline: outer").replace("TAKEN", "[other]")
    (fault,) = faults_of("", outer=itself.replace(", other_param", ""))
    assert "it holds itself" in fault


def test_a_fault_of_the_inner_pipeline_is_told_once_at_its_place() -> None:
    wrong = INNER.replace("inputs: [clean.rows], outputs", "inputs: [clean.row], outputs")
    faults = faults_of("inputs: {raw: other}", inner=wrong)
    assert [re.sub(r" \|.*", "", fault) for fault in faults] == [
        "flows/inner/pipeline.yaml:7: `clean` has no output `row`"
    ]
    broken = INNER.replace("run: clean, inputs", "rum: clean, inputs")
    faults = faults_of("inputs: {raw: other}", inner=broken)
    assert [fault.partition(": ")[0] for fault in faults] == ["flows/inner/pipeline.yaml:4"]


def test_steps_of_two_pipelines_go_in_a_circle() -> None:
    text = OUTER.replace("pipeline: inner, USE", "pipeline: inner, inputs: {raw: use.u}")
    text = text.replace("TAKEN", "[north.clean.rows, other]").replace(", other_param", "")
    (fault,) = faults_of("", outer=text)
    assert "the steps go in a circle: north.clean -> use -> north.clean" in fault
    text = text.replace("{raw: use.u}", "{raw: north.clean.rows}")
    assert faults_of("", outer=text) == [
        "flows/outer/pipeline.yaml:4: the steps go in a circle: north.clean -> north.clean | "
    ]
    inner = INNER.replace("inputs: [raw], params: [least]", "inputs: [note.n], params: [least]")
    faults = faults_of("", inner=inner)
    assert [fault.partition(" | ")[0] for fault in faults] == [
        "flows/inner/pipeline.yaml:2: input `raw` is not used by any step",
        "flows/inner/pipeline.yaml:4: the steps go in a circle: clean -> note -> clean",
    ]


def test_a_value_of_a_run_must_fit_the_inner_parameter_too() -> None:
    declared = declare("params: {least: low}")
    with pytest.raises(UsageError, match=r"parameter `least` of pipeline `inner` must be above -1"):
        compile_with_arguments(declared, {"low": -3})
    with pytest.raises(UsageError, match=r"parameter `north.fit.steps`"):
        compile_with_arguments(declared, {"north": {"fit": {"steps": "x"}}})
    graph = compile_with_arguments(declared, {"north.fit.rate": 3})
    assert graph.tried_names == ("north.fit.rate",)
    assert graph.inputs["north.raw"] == "data/a.json"


def test_a_parameter_in_the_step_s_group_is_the_inner_one() -> None:
    text = OUTER.replace("low: 2,", "low: 2, north: {fit: {rate: 7.0}},")
    text = text.replace("USE", "inputs: {raw: other}").replace("TAKEN", "[north.clean.rows]")
    files = {"outer": text.replace(", other_param", ""), "inner": INNER}
    declared = {n: parse_pipeline(t, f"flows/{n}/pipeline.yaml") for n, t in files.items()}
    nested = nest_pipelines(declared["outer"], declared, declared.__getitem__)
    graph = compile_with_arguments(nested)
    assert graph.params["north.fit.rate"] == 7
    assert graph.locate_param("north.fit.rate") == ("flows/outer/pipeline.yaml", "north.fit.rate")
    assert graph.locate_param("north.fit.steps") == ("flows/inner/pipeline.yaml", "fit.steps")
    text = text.replace("{rate: 7.0}", "{rat: 7.0}").replace(", other_param", "")
    declared["outer"] = parse_pipeline(text, "flows/outer/pipeline.yaml")
    (fault,) = resolve_pipeline(
        nest_pipelines(declared["outer"], declared, declared.__getitem__)
    ).faults
    assert fault.what == "parameter `north.fit.rat` is not used by any step"


def test_what_cannot_stand_in_a_pipeline_in_a_pipeline() -> None:
    last = INNER.replace("raw: data/a.json", "raw: {last: clean.rows, optional: true}")
    (fault,) = faults_of("", "[other, north.clean.rows]", inner=last)
    assert "input `raw` of pipeline `inner` is what its own last run made | give it: `in" in fault
    assert faults_of("inputs: {raw: other}", inner=last) == []
    again = INNER.replace("params: [least], outputs", "each: {one: [1, 2]}, params: [one], outputs")
    again = again.replace("  good: {kind: condition, if: least > 3, then: note}\n", "")
    again = again.replace("inputs: [raw], each", "inputs: [raw], each")
    words = "step `clean` (processing) of pipeline `inner` has `each` itself"
    faults = faults_of("each: {two: lows}, inputs: {raw: split.part}", inner=again, outer=SPLIT)
    assert any(words in fault for fault in faults), faults


SPLIT = """\
params: {lows: [1, 2]}
inputs: {other: data/b.json}
steps:
  split: {run: split, each: {two: lows}, inputs: [other], params: [two], outputs: [part.json]}
  north: {kind: pipeline, pipeline: inner, each: {two: lows}, inputs: {raw: split.part}}
  use: {run: use, inputs: [north.clean.rows], outputs: [u.json]}
"""


def test_two_uses_of_one_that_registers() -> None:
    inner = INNER + "  keep: {kind: register_model, as: mean, inputs: [fit.model]}\n"
    text = OUTER.replace("USE", "inputs: {raw: other}").replace("TAKEN", "[south.clean.rows]")
    text = text.replace(", other_param", "") + "  south: {kind: pipeline, pipeline: inner}\n"
    (fault,) = faults_of("", inner=inner, outer=text)
    assert fault.startswith("flows/outer/pipeline.yaml:6: `south.keep` and `north.keep` both reg")


def test_pipelines_in_each_other_have_an_end() -> None:
    files = {
        f"p{n}": f"steps: {{s: {{kind: pipeline, pipeline: p{n + 1}}}}}\n" for n in range(1200)
    }
    levels = {name: parse_pipeline(text, f"flows/{name}/p.yaml") for name, text in files.items()}
    nested = nest_pipelines(levels["p0"], levels, levels.__getitem__)
    (fault,) = resolve_pipeline(nested).faults
    assert fault.what == "pipelines stand in each other 16 deep at most"
