"""Why a model answers as it does: how much each feature matters, of all rows and of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from msgspec import Struct

from towpath.errors import StepFailed, did_you_mean

_BARS = 20


class RowSample(Struct, frozen=True):
    """Rows that were drawn of a table, and how many it has; the index is the row's number."""

    table: Any
    of_rows: int


class Features(Struct, frozen=True):
    """What a model is given: a table, or an array where it knows no names; and its columns."""

    values: Any
    names: list[str]


class Explained(Struct, frozen=True):
    """``importances`` and their deviations by feature; ``effects`` a row each, a column a feature:
    by so much it moves the answer from ``base``."""

    importances: Mapping[str, tuple[float, float | None]]
    effects: Any
    base: Any
    answers: Any


def draw_rows(parts: Iterable[Any], size: int, seed: int) -> RowSample:
    """At most ``size`` rows of a table in parts, each as likely as any other, in their order.

    :raises StepFailed: where there are none.
    """
    import numpy
    import pandas

    random, lots, rows = numpy.random.default_rng(seed), numpy.empty(0), 0
    kept: list[Any] = []
    for part in parts:
        # Each row draws a lot, and the least stay: so no more than a part is held beside them.
        numbered = part.set_axis(range(rows, rows + len(part)), axis=0)
        rows += len(part)
        table = pandas.concat([*kept, numbered]) if kept else numbered
        lots = numpy.concatenate([lots, random.random(len(part))])
        best = numpy.sort(numpy.argsort(lots, kind="stable")[:size])
        kept, lots = [table.iloc[best]], lots[best]
    if not rows:
        raise StepFailed("the table has no rows: there is nothing to explain")
    return RowSample(kept[0], rows)


def read_target(sample: RowSample, target: str) -> Any:
    """The column with what was true.

    :raises StepFailed: where it is not there, or a row has no value in it.
    """
    if target not in sample.table.columns:
        near = did_you_mean(target, [str(name) for name in sample.table.columns])
        raise StepFailed(f"there is no column `{target}`", hint=near)
    truth = sample.table[target]
    if missing := int(truth.isna().sum()):
        what = f"`{target}` has no value in {missing:,} of {len(truth):,} rows"
        raise StepFailed(what, hint="leave such rows out in a step before this one")
    return truth


def answer_function(model: Any, features: Any) -> Callable[[Any], Any]:
    """What is explained: a number for each row of ``features``, or of the same rows changed.

    Of a classifier it is the probability of its second class where there are two, else that of the
    class that it gives the row.

    :raises StepFailed: where the model gives none.
    """
    import numpy

    if not hasattr(model, "predict_proba"):
        return lambda rows: require_numbers(model.predict(rows))
    chosen = shown_classes(model, features)

    def answer(rows: Any) -> Any:
        return model.predict_proba(rows)[numpy.arange(len(chosen)), chosen]

    return answer


def shown_classes(model: Any, features: Any) -> Any:
    """The class, by its number, whose probability is explained of each row."""
    import numpy

    likely = model.predict_proba(features)
    if likely.shape[1] == 2:
        return numpy.ones(len(likely), dtype=int)
    return likely.argmax(axis=1)


def require_numbers(answers: Any) -> Any:
    """A model's answers as floats, one a row.

    :raises StepFailed: where they are no numbers, or several a row.
    """
    import numpy

    try:
        numbers = numpy.asarray(answers, dtype="float64")
    except (TypeError, ValueError):
        what = "the model answers with what is no number, and gives no probabilities"
        raise StepFailed(what) from None
    if numbers.ndim > 1:
        raise StepFailed(f"the model gives {numbers.shape[1]} answers a row, and not one")
    return numbers


def explain_by_permutation(
    model: Any, features: Features, truth: Any, repeats: int, scoring: str | None, seed: int
) -> Explained:
    """scikit-learn's permutation importance: by how much the score falls where a feature's values
    are dealt to other rows. Of a row the effect is its answer, less what it is on average with
    another row's value.

    :raises StepFailed: where the model cannot be scored.
    """
    from sklearn.inspection import permutation_importance

    _require_scorer(model, scoring)
    try:
        scored = permutation_importance(
            model, features.values, truth, n_repeats=repeats, random_state=seed, scoring=scoring
        )
    except (TypeError, ValueError) as error:
        words = str(error).strip().partition("\n")[0]
        raise StepFailed(f"the model cannot be scored: {words}") from error
    pairs = zip(scored.importances_mean.tolist(), scored.importances_std.tolist(), strict=True)
    importances = dict(zip(features.names, pairs, strict=True))
    answer = answer_function(model, features.values)
    answers = answer(features.values)
    effects = _row_effects(answer, answers, features.values, repeats, seed)
    return Explained(importances, effects, answers.mean(), answers)


def _require_scorer(model: Any, scoring: str | None) -> None:
    from sklearn.metrics import get_scorer_names

    if scoring is None:
        if not hasattr(model, "score"):
            hint = "name a scorer of scikit-learn's: `scoring: neg_mean_squared_error`"
            raise StepFailed(f"a {type(model).__name__} has no score of its own", hint=hint)
    elif scoring not in get_scorer_names():
        near = did_you_mean(scoring, get_scorer_names())
        raise StepFailed(f"`{scoring}` is no scorer of scikit-learn's", hint=near)


def _row_effects(
    answer: Callable[[Any], Any], answers: Any, features: Any, repeats: int, seed: int
) -> Any:
    import numpy

    random = numpy.random.default_rng(seed)
    effects = numpy.zeros(features.shape)
    for number in range(features.shape[1]):
        for _ in range(repeats):
            order = random.permutation(len(answers))
            effects[:, number] += answers - answer(_with_dealt_column(features, number, order))
    return effects / repeats


def _with_dealt_column(features: Any, number: int, order: Any) -> Any:
    dealt = features.copy()
    if hasattr(dealt, "iloc"):
        dealt.isetitem(number, features.iloc[order, number].set_axis(features.index))
    else:
        dealt[:, number] = features[order, number]
    return dealt


def draw_bars(importances: dict[str, float], title: str) -> str:
    """The greatest importances as an SVG of bars, the same for the same numbers."""
    shown = list(importances.items())[:_BARS]
    left = 12 + 7 * max((len(name[:40]) for name, _ in shown), default=0)
    greatest = max((abs(value) for _, value in shown), default=0.0) or 1.0
    height = 44 + 24 * len(shown)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + 480}" height="{height}" '
        f'viewBox="0 0 {left + 480} {height}" font-family="sans-serif" font-size="13">',
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="12" y="22" font-weight="bold" fill="#1d2a2e">{escape(title)}</text>',
    ]
    for place, (name, value) in enumerate(shown):
        top, width = 36 + 24 * place, max(round(380 * abs(value) / greatest, 1), 1)
        fill = "#2c7a4b" if value >= 0 else "#b3261e"
        label = escape(name if len(name) <= 40 else name[:39] + "…")
        lines += [
            f'<text x="{left - 6}" y="{top + 14}" text-anchor="end" fill="#1d2a2e">{label}</text>',
            f'<rect x="{left}" y="{top + 2}" width="{width}" height="16" fill="{fill}"/>',
            f'<text x="{left + width + 6}" y="{top + 14}" fill="#5d6b6f">{value:.3g}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
