"""Conditions, what follows from them, and checks that say no."""

from __future__ import annotations

import json

import pytest

from running import FOLDER, Project, ran, reasons, states

PIPELINE = """\
params:
  level: 5.0
  limit: 10
steps:
  measure:
    kind: evaluation
    run: measure
    params: [level]
    outputs: [metrics.json]
  enough:
    kind: condition
    if: measure.metrics.value <= limit and "kind" in measure.metrics
    then: [small, inner]
    else: [large]
  inner:
    kind: condition
    if: measure.metrics["value"] > 7
    then: [near]
  small: {run: copy, inputs: {answer: measure.metrics}, outputs: [answer.json]}
  large: {run: double, inputs: {answer: measure.metrics}, outputs: [answer.json]}
  near: {run: copy, inputs: {answer: small.answer}, outputs: [answer.json]}
  follow: {run: copy, inputs: {answer: small.answer}, outputs: [answer.json]}
  beyond: {run: copy, inputs: {answer: follow.answer}, outputs: [answer.json]}
  either: {run: copy, inputs: {answer: small.answer or large.answer}, outputs: [answer.json]}
  neither: {run: copy, inputs: {answer: near.answer or beyond.answer}, outputs: [answer.json]}
"""

STEPS = """\
def measure(level: float) -> dict:
    return {"value": level, "kind": "plain"}


def copy(answer: dict) -> dict:
    return {"value": answer["value"]}


def double(answer: dict) -> dict:
    return {"value": 2 * answer["value"]}
"""

REJECTING = """\
params: {level: 5.0, limit: 1}
steps:
  measure: {kind: evaluation, run: measure, params: [level], outputs: [metrics.json]}
  enough: {kind: condition, if: measure.metrics.value <= limit, then: [done], else: [stop]}
  done: {run: copy, inputs: {answer: measure.metrics}, outputs: [answer.json]}
  stop: {kind: fail, message: "value {measure.metrics.value:.2f} is above {limit}"}
"""


def test_both_ways(project: Project) -> None:
    project.declare(PIPELINE, STEPS)
    run = project.run_by_prefect()
    assert (run.state, run.exit_code) == ("done", 0)
    assert [name for name, state in states(run).items() if state == "skipped"] == ["large", "near"]
    said = reasons(run)
    assert said["enough"] == (
        '`measure.metrics.value <= limit and "kind" in measure.metrics` is true'
    )
    assert said["large"] == "`enough` is true"
    assert said["near"] == "`inner` is false"
    assert project.output("neither/answer.json") == {"value": 5.0}, "beyond was made"
    stages = (project.root / "dvc.yaml").read_text()
    assert "training-measure:" in stages
    assert "training-small:" not in stages, "a step behind a condition is no stage of DVC's"

    other = project.run_by_prefect(params={"limit": "1"})
    assert other.state == "done"
    assert (project.artifacts / "small" / "answer.json").exists(), "a run with --param"
    assert ran(other) == {"large", "either"}
    said = reasons(other)
    assert said["small"] == "`enough` is false"
    assert said["inner"] == "`enough` is false"
    assert said["near"] == "`inner` was skipped"
    assert said["follow"] == "`small` was skipped"
    assert said["beyond"] == "`follow` was skipped"
    assert said["neither"] == "`near` and `beyond` were skipped"
    assert (
        project.plan(params={"limit": "1"})["neither"] == "skip: `near` and `beyond` were skipped"
    )


def test_a_branch_that_fails(project: Project) -> None:
    project.declare(REJECTING, STEPS)
    run = project.run_by_prefect()
    assert (run.state, run.exit_code) == ("failed", 1)
    assert states(run)["stop"] == "failed"
    assert run.error == ("stop: value 5.00 is above 1",)
    assert reasons(run)["done"] == "`enough` is false"
    assert not project.artifacts.exists()
    again = project.run_by_prefect()
    assert (again.exit_code, ran(again)) == (1, {"stop"})
    assert project.run_by_prefect(params={"limit": "10"}).exit_code == 0


@pytest.mark.parametrize(
    ("code", "condition", "said"),
    [
        ('"value": level', "measure.metrics.valeu <= limit",
         "enough: `measure.metrics` has no key `valeu` (did you mean `value`?)"),
        ('"value": float("nan")', "measure.metrics.value <= limit",
         "enough: `measure.metrics.value` is NaN: neither true nor false can be said of it"),
        ('"value": "much"', "measure.metrics.value <= limit",
         "enough: `measure.metrics.value <= limit` orders a number and text"),
    ],
)  # fmt: skip
def test_a_condition_without_an_answer(
    project: Project, code: str, condition: str, said: str
) -> None:
    project.declare(REJECTING, STEPS)
    project.code('"value": level', code)
    project.edit(f"{FOLDER}/pipeline.yaml", "measure.metrics.value <= limit", condition)
    run = project.run_by_prefect()
    assert (run.state, run.exit_code) == ("failed", 1)
    assert run.error == (said,)
    assert states(run)["enough"] == "failed"
    assert reasons(run)["done"] == reasons(run)["stop"] == "`enough` failed"
    listed = project.towpath("runs", "--json").out
    json.loads(listed, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    project.assert_whole()
