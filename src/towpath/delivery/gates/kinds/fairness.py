"""The model's error by group, on a file of the stage's data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from towpath.config.gate_declarations import Fairness
from towpath.delivery.gates import gate_prediction, gate_process, verdict_text
from towpath.delivery.gates.gate_answers import FairnessAnswer, read_fairness
from towpath.delivery.gates.gate_context import Context
from towpath.delivery.gates.gate_finding import Finding, Unjudged
from towpath.delivery.gates.gate_policy import Policy

_SHOWN = 8
_MOST_GROUPS = 1000


def bound(gate: Fairness) -> str:
    """``mae by sex: ratio at most 1.25``."""
    said = [f"{name} at most {verdict_text.number(limit)}" for name, limit in _bounds(gate).items()]
    return f"{gate.metric} by {gate.group}: {' and '.join(said)}"


def judge(gate: Fairness, context: Context, policy: Policy) -> Finding:  # noqa: ARG001
    """Whether the groups lie near enough."""
    asked = {
        **gate_prediction.asked(context),
        "data": gate_prediction.data(context, gate.data),
        **gate.model_dump(include={"target", "group", "metric", "least_rows"}),
        "file": gate.data,
    }
    return _finding(gate, gate_process.ask(gate, context, asked, read_fairness).answer)


def _finding(gate: Fairness, answer: FairnessAnswer) -> Finding:
    errors = answer.errors
    if len(errors) < 2:
        raise Unjudged(f"fewer than two groups have {gate.least_rows} rows")
    spread = _spread(errors)
    passed = all(spread[name] <= limit for name, limit in _bounds(gate).items())
    value = ", ".join(f"{name} {verdict_text.number(spread[name])}" for name in _bounds(gate))
    return Finding(passed, value, _said(gate, errors, answer.small))


def _bounds(gate: Fairness) -> dict[str, float]:
    found = {"difference": gate.difference, "ratio": gate.ratio}
    return {name: limit for name, limit in found.items() if limit is not None}


def _spread(errors: Mapping[str, float]) -> dict[str, float]:
    least, greatest = min(errors.values()), max(errors.values())
    ratio = greatest / least if least else (math.inf if greatest else 1.0)
    return {"difference": greatest - least, "ratio": ratio}


def _said(gate: Fairness, errors: Mapping[str, float], small: Sequence[str]) -> str:
    """The groups from the worst on, and those too small to be judged."""
    upwards = gate.metric == "accuracy"
    ordered = sorted(errors.items(), key=lambda pair: pair[1], reverse=not upwards)
    said = [f"{group} {verdict_text.number(error)}" for group, error in ordered[:_SHOWN]]
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    left = f"; fewer than {gate.least_rows} rows: {', '.join(small[:_SHOWN])}" if small else ""
    return f"{gate.metric} {', '.join(said)}{more}{left}"


def work(asked: dict[str, Any]) -> dict[str, Any]:
    """The error of each group with enough rows, and the groups that have fewer."""
    frame = gate_prediction.table(asked["data"], asked["file"])
    target = gate_prediction.column(frame, asked["target"], asked["file"])
    groups = gate_prediction.column(frame, asked["group"], asked["file"]).astype(object)
    if target.isna().any():
        raise Unjudged(f"{asked['file']} has rows without `{asked['target']}`")
    model = gate_prediction.model(asked)
    given = gate_prediction.predictions(model, _without(frame, model, asked["target"]))
    by_group: dict[str, list[tuple[Any, Any]]] = {}
    named = groups.where(groups.notna(), "(none)").astype(str)
    for group, true, each in zip(named, target.tolist(), given, strict=True):
        by_group.setdefault(group, []).append((true, each))
    if len(by_group) > _MOST_GROUPS:
        raise Unjudged(f"`{asked['group']}` has {len(by_group):,} values, which are no groups")
    enough = {group: rows for group, rows in by_group.items() if len(rows) >= asked["least_rows"]}
    errors = {group: _ERRORS[asked["metric"]](rows) for group, rows in enough.items()}
    return {"errors": errors, "small": sorted(by_group.keys() - enough.keys())}


def _without(frame: Any, model: Any, target: str) -> Any:
    """The table without what was true, unless the model asks for that column too."""
    from towpath.steps.model_io.fitted_signature import feature_names

    wanted = feature_names(model)
    return frame if target in wanted else frame.drop(columns=[target])


Rows = list[tuple[Any, Any]]


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _differences(rows: Rows) -> list[float]:
    try:
        return [float(given) - float(true) for true, given in rows]
    except (TypeError, ValueError):
        raise Unjudged("target or prediction is no number: take accuracy or error_rate") from None


def _mse(rows: Rows) -> float:
    return _mean([each * each for each in _differences(rows)])


def _accuracy(rows: Rows) -> float:
    return _mean([float(given == true) for true, given in rows])


_ERRORS: Mapping[str, Callable[[Rows], float]] = {
    "mae": lambda rows: _mean([abs(each) for each in _differences(rows)]),
    "mse": _mse,
    "rmse": lambda rows: math.sqrt(_mse(rows)),
    "bias": lambda rows: abs(_mean(_differences(rows))),
    "accuracy": _accuracy,
    "error_rate": lambda rows: 1 - _accuracy(rows),
}
