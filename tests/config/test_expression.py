"""Conditions and messages: what they may say, and that nothing doubtful is ever just false."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.config import expression
from towpath.config.expression import Reference
from towpath.config.expression import parse_value_reference as reference
from towpath.errors import StepFailed

DATA: dict[str, Any] = {
    "max_mse": 6,
    "name": "abalone",
    "weights": [1, 2.5],
    "nothing": None,
    "evaluate.metrics": {
        "mse": 5.25,
        "rmse": 2.29,
        "f1-score": 0.5,
        "bad": float("nan"),
        "inf": float("inf"),
        "passed": True,
        "classes": ["a", "b"],
        "by_sex": {"M": {"mse": 5.0}, "F": {"mse": 5.5}},
        "folds": [4.9, 5.1],
        "holes": [1.0, float("nan")],
    },
}


def evaluate(text: str) -> bool:
    return expression.parse_condition(text).evaluate(DATA.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        "evaluate.metrics.mse <= max_mse",
        "5 < evaluate.metrics.mse < max_mse",
        'evaluate.metrics["f1-score"] >= 0.5 and evaluate.metrics.passed',
        "not evaluate.metrics.mse > 6",
        "evaluate.metrics.mse > 6 or evaluate.metrics.rmse < 3",
        "False or True",
        'date("2026-01-31") < date("2026-01-31T00:00:01Z") and "2026-01-31" == date("2026-01-31")',
        "evaluate.metrics.mse ** 0.5 - evaluate.metrics.rmse < 0.01",
        "(evaluate.metrics.mse + 1) * 2 / 5 == 2.5",
        "-evaluate.metrics.mse < -5 and +1 == 1",
        "7 // 2 == 3 and 7 % 4 == 3",
        "evaluate.metrics.by_sex.M.mse <= evaluate.metrics.by_sex.F.mse",
        "evaluate.metrics.folds[0] < evaluate.metrics.folds[-1]",
        "weights[1] == 2.5",
        "'a' in evaluate.metrics.classes and 'c' not in evaluate.metrics.classes",
        "'mse' in evaluate.metrics",
        "name in ['abalone', 'other'] and name == 'abalone' and name < 'b'",
        "'balo' in name",
        "nothing == None and name != None",
        "evaluate.metrics.classes == ['a', 'b']",
        "evaluate.metrics.inf > max_mse",
        "\n  evaluate.metrics.mse > 5\n  and max_mse == 6\n",
        "evaluate.metrics.passed == True",
        'date("2026-01-31") in ["2026-01-30", "2026-01-31T00:00:00Z"] and [1] in [[1]]',
        '"2026-01-31" in [date("2026-01-31")] and date("2026-01-31") not in ["2026-01-30", 3]',
    ],
)
def test_holds(text: str) -> None:
    assert evaluate(text) is True
    assert evaluate(f"not ({text.strip()})") is False


def test_what_is_not_asked_need_not_exist() -> None:
    assert evaluate("max_mse > 1 or evaluate.metrics.nowhere > 1") is True
    assert evaluate("max_mse < 1 and evaluate.metrics.nowhere > 1") is False
    assert evaluate("max_mse < 1 < evaluate.metrics.nowhere") is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evaluate.metrics.bad < 1", "`evaluate.metrics.bad` is NaN"),
        ("not evaluate.metrics.bad < 1", "`evaluate.metrics.bad` is NaN"),
        ("evaluate.metrics.bad == evaluate.metrics.bad", "is NaN"),
        ("evaluate.metrics.inf - evaluate.metrics.inf < 1", "is NaN"),
        ("1 in evaluate.metrics.holes", "is NaN"),
        ("evaluate.metrics.msee < 1", "has no key `msee` (did you mean `mse`?)"),
        (
            "evaluate.metrics.by_sex.I.mse < 1",
            "`evaluate.metrics.by_sex` has no key `I` (it has M, F)",
        ),
        ('date("2026-01-31") < 3', "orders a date and a number"),
        ('date("2026-01-31") == "today"', "is `today`, which is no date (2026-01-31 is one)"),
        ("date(evaluate.metrics.mse) == 1", "`evaluate.metrics.mse` is a number, which is no date"),
        ("evaluate.metrics[evaluate.metrics.bad] == 1", "is a number, which is no key"),
        ("evaluate.metrics.mse.x < 1", "`evaluate.metrics.mse` is 5.25 and has no key `x`"),
        ("evaluate.metrics.folds[2] < 1", "is a list of 2 and has no item `2`"),
        ("max_mse", "`max_mse` is a number, neither true nor false"),
        ("max_mse and True", "`max_mse` is a number, neither true nor false"),
        ("not name", "`name` is text, neither true nor false"),
        ("max_mse == '6'", "compares a number with text"),
        ("evaluate.metrics.passed == 1", "compares a number with true or false"),
        ("name < 5", "orders a number and text"),
        ("nothing < 5", "orders a number and null"),
        ("name * 2 == 'x'", "`name` is text, not a number"),
        ("1 / 0 > 1", "division by zero"),
        ("9 ** 9 ** 9 > 1", "cannot be worked out"),
        ("(-1) ** 0.5 > 1", "cannot be worked out"),
        ("5 in max_mse", "looks for a number in a number"),
        ("weights in evaluate.metrics", "looks for a list in a mapping"),
        ("evaluate.metrics.by_sex not in evaluate.metrics", "looks for a mapping in a mapping"),
        ('date("2026-01-31") in ["today"]', "is `today`, which is no date"),
    ],
)
def test_what_cannot_be_said_fails_the_step(text: str, said: str) -> None:
    with pytest.raises(StepFailed) as raised:
        evaluate(text)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        *("len(x) > 1", "__import__('os').system('true')", "(lambda: True)()", "[x for x in y]"),
        *("a if b else c", "a := 1", "f'{a}'", "{'a': 1}", "{1}", "a is b", "a[b + 1]", "a[1:2]"),
        *("a.b().c", "(1).real == 1", "'x'.join", "a @ b", "a & b", "~a", "a; b", "a = 1", "", " "),
        *("date()", "date(1)", "date('x', 1)", "date(tz=1)"),
        *("await a", "*a", "b'x' == a", "1j == a", "... == a", "a[True]", "yield", "a b", "\x00"),
        *("(" * 300 + "1" + ")" * 300, "1 + " * 1500 + "1", "not " * 600 + "True"),
    ],
)
def test_what_is_not_in_the_subset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"condition|is no date"):
        expression.parse_condition(text)


def test_references_are_known_without_evaluating() -> None:
    text = 'a > 1 and b.c.d[0]["x-y"] in [a, e.f] or not b.c.d'
    assert [str(found) for found in expression.parse_condition(text).references] == [
        "a",
        'b.c.d[0]["x-y"]',
        "e.f",
        "b.c.d",
    ]


def test_references() -> None:
    assert reference("raw") == Reference("raw")
    assert reference(" prepare.train ") == Reference("prepare", "train")
    assert reference("e.m['f1-score'][0].x") == Reference("e", "m", ("f1-score", 0, "x"))
    assert reference("e.m['f1-score'].mean").last_name == "mean"
    assert reference("e.m['f1-score']").last_name == "m"
    for wrong in ("", "a b", "a.", "1", "a()", "a[b()]", "${a}", "a or b", "a[1.5]"):
        with pytest.raises(ValueError, match="is no reference"):
            reference(wrong)


def test_messages() -> None:
    text = "mse {evaluate.metrics.mse:.2f} is above {max_mse} {{not}} "
    text += '{evaluate.metrics["f1-score"]:>6}'
    message = expression.parse_message(text)
    assert message.fill(DATA.__getitem__) == "mse 5.25 is above 6 {not}    0.5"
    assert [found.base for found in message.references] == [
        "evaluate.metrics",
        "max_mse",
        "evaluate.metrics",
    ]
    assert expression.parse_message("{evaluate.metrics.bad:.1f}").fill(DATA.__getitem__) == "nan"
    with pytest.raises(StepFailed, match="cannot be written as"):
        expression.parse_message("{name:.2f}").fill(DATA.__getitem__)
    with pytest.raises(StepFailed, match="did you mean `mse`"):
        expression.parse_message("{evaluate.metrics.mze}").fill(DATA.__getitem__)


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{a", "a}", "{a!r}", "{a:{b}}", "{a:9999}", "{a.b()}", "{a:q}", "{0}"]
)
def test_messages_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"reference|format|names nothing"):
        expression.parse_message(text)


def test_blanks_within_a_text_are_kept_and_lines_may_break() -> None:
    condition = expression.parse_condition('label ==\n    "a  b"')
    assert condition.evaluate(lambda _: "a  b")
    assert not condition.evaluate(lambda _: "a b")


def test_what_nests_too_deeply_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        expression.parse_condition("not " * 480 + "a")


def test_a_number_that_no_format_holds() -> None:
    with pytest.raises(StepFailed, match="cannot be written as"):
        expression.parse_message("{a.b.c:.2f}").fill(lambda _: {"c": 10**400})
