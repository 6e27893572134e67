"""The model's error by group, on a file of the stage's data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from types import SimpleNamespace
from typing import Any

from towpath.config.gate_declarations import Fairness
from towpath.delivery.gates import gate_process, verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.gate_process import read_fairness
from towpath.delivery.gates.verdict import GateFinding, Unjudged
from towpath.plain_data import group_by_key

_SHOWN = 8
_MOST_GROUPS = 1000  # more are no groups: a column of identities was named


def bound(gate: Fairness) -> str:
    """``mae by sex: ratio at most 1.25``."""
    limits = [
        f"{name} at most {verdict.verdict_number(limit)}"
        for name, limit in _declared_bounds(gate).items()
    ]
    return f"{gate.metric} by {gate.group}: {' and '.join(limits)}"


def judge(gate: Fairness, context: GateContext, policy: GatePolicy) -> GateFinding:  # noqa: ARG001
    question = {
        **gate_process.candidate_question(context),
        "data": gate_process.find_stage_data(context, gate.data),
        **gate.model_dump(include={"target", "group", "metric", "least_rows"}),
        "file": gate.data,
    }
    answer, _ = gate_process.ask_gate_process(gate, context, question, read_fairness)
    return _fairness_finding(gate, answer)


def _fairness_finding(gate: Fairness, answer: SimpleNamespace) -> GateFinding:
    errors = answer.errors
    if len(errors) < 2:
        raise Unjudged(f"fewer than two groups have {gate.least_rows} rows")
    least, greatest = min(errors.values()), max(errors.values())
    ratio = greatest / least if least else (math.inf if greatest else 1.0)
    spread = {"difference": greatest - least, "ratio": ratio}
    passed = all(spread[name] <= limit for name, limit in _declared_bounds(gate).items())
    named = (f"{name} {verdict.verdict_number(spread[name])}" for name in _declared_bounds(gate))
    return GateFinding(passed, ", ".join(named), _groups_in_words(gate, errors, answer.small))


def _declared_bounds(gate: Fairness) -> dict[str, float]:
    declared = {"difference": gate.difference, "ratio": gate.ratio}
    return {name: limit for name, limit in declared.items() if limit is not None}


def _groups_in_words(gate: Fairness, errors: Mapping[str, float], small: Sequence[str]) -> str:
    upwards = gate.metric == "accuracy"
    ordered = sorted(errors.items(), key=lambda pair: pair[1], reverse=not upwards)
    shown = [f"{group} {verdict.verdict_number(error)}" for group, error in ordered[:_SHOWN]]
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    left = f"; fewer than {gate.least_rows} rows: {', '.join(small[:_SHOWN])}" if small else ""
    return f"{gate.metric} {', '.join(shown)}{more}{left}"


def work(question: dict[str, Any]) -> dict[str, Any]:
    from towpath.steps.model_io.fitted_signature import feature_names

    file = question["file"]
    frame = gate_process.read_gate_table(question["data"], file)
    target = gate_process.read_gate_column(frame, question["target"], file)
    # As objects: a categorical column refuses a name that is none of its categories.
    groups = gate_process.read_gate_column(frame, question["group"], file).astype(object)
    if target.isna().any():
        raise Unjudged(f"{file} has rows without `{question['target']}`")
    model = gate_process.load_candidate(question)
    # A model without names takes all columns: what was true must not be one of them.
    inputs = frame
    if question["target"] not in feature_names(model):
        inputs = frame.drop(columns=[question["target"]])
    predictions = gate_process.predict_rows(model, inputs)
    named = groups.where(groups.notna(), "(none)").astype(str)
    rows = zip(target.tolist(), predictions, strict=True)
    by_group = group_by_key(zip(named, rows, strict=True))
    if len(by_group) > _MOST_GROUPS:
        raise Unjudged(f"`{question['group']}` has {len(by_group):,} values, which are no groups")
    least = question["least_rows"]
    enough = {group: rows for group, rows in by_group.items() if len(rows) >= least}
    errors = {group: _ERRORS[question["metric"]](rows) for group, rows in enough.items()}
    return {"errors": errors, "small": sorted(by_group.keys() - enough.keys())}


Rows = list[tuple[Any, Any]]


def _prediction_errors(rows: Rows) -> list[float]:
    try:
        return [float(prediction) - float(true) for true, prediction in rows]
    except (TypeError, ValueError):
        raise Unjudged("target or prediction is no number: take accuracy or error_rate") from None


def _mean_squared_error(rows: Rows) -> float:
    return fmean(error * error for error in _prediction_errors(rows))


def _share_correct(rows: Rows) -> float:
    return fmean(float(prediction == true) for true, prediction in rows)


_ERRORS: Mapping[str, Callable[[Rows], float]] = {
    "mae": lambda rows: fmean(map(abs, _prediction_errors(rows))),
    "mse": _mean_squared_error,
    "rmse": lambda rows: math.sqrt(_mean_squared_error(rows)),
    "bias": lambda rows: abs(fmean(_prediction_errors(rows))),
    "accuracy": _share_correct,
    "error_rate": lambda rows: 1 - _share_correct(rows),
}
