"""Values side by side, as `diff` and `compare` show them."""

from __future__ import annotations

import pytest

from towpath.cli.render import terminal
from towpath.config.artifact import Made
from towpath.execution import run_folders
from towpath.execution.run_record import ExecutionState, RecordedRun, StepRun
from towpath.registry.version_comparison import ComparisonRow

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "differ", "shown"),
    [
        ((NAN, NAN), False, ("nan", "nan")),
        ((NAN, 1.0), True, ("nan", "1")),
        ((0.5, 0.5, None), True, ("0.5", "0.5", "—")),
        ((0.123456, 0.123457), True, ("0.123456", "0.123457")),
        ((0.12344, 0.12344), False, ("0.1234", "0.1234")),
        (("a" * 40, "a" * 39 + "b"), True, ("a" * 40, "a" * 39 + "b")),
        (("a" * 40, "b" * 40), True, ("a" * 12, "b" * 12)),
        (([1, NAN], [1, NAN]), False, ("[1, nan]", "[1, nan]")),
        (({"a": NAN}, {"a": 2}), True, ("{'a': nan}", "{'a': 2}")),
    ],
)
def test_what_differs_looks_different(values, differ, shown):
    assert ComparisonRow("metrics", "m", values).is_different is differ
    assert terminal.side_by_side(values) == shown


def test_two_runs_with_nan_do_not_differ():
    made = Made(values={"m": {"auc": float("nan"), "f1": 1}})
    steps = {"score": StepRun("score", "evaluation", made=made)}
    one, other = (
        RecordedRun(name, "training", ExecutionState.DONE, "", steps=steps) for name in ("a", "b")
    )
    assert run_folders.diff_runs(one, other) == []
