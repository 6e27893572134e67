"""Measures of bias between two groups, from counts of outcomes, and their intervals of 95 %."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from towpath.config.bias_names import ALL_MEASURES, BEFORE_TRAINING, RATIO

Interval: TypeAlias = tuple[float, float]

_Z = 1.959963984540054  # 97.5 % of a normal distribution lie below it


class Proportion(Struct, frozen=True):
    """``count`` of ``rows`` rows."""

    count: int
    rows: int

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None where there are no rows."""
        return self.count / self.rows if self.rows else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's score interval, which stays between 0 and 1 however few rows there are."""
        if not self.rows:
            return None
        share = self.count / self.rows
        square = _Z**2 / self.rows
        middle = (share + square / 2) / (1 + square)
        half = _Z * math.sqrt(share * (1 - share) / self.rows + square / (4 * self.rows))
        half /= 1 + square
        return max(0.0, middle - half), min(1.0, middle + half)


def difference_interval(first: Proportion, second: Proportion) -> Interval | None:
    """Newcombe's interval of ``first`` less ``second``, made of the two of Wilson's."""
    if not (first.interval and second.interval):
        return None
    share, other_share = first.count / first.rows, second.count / second.rows
    (low, high), (other_low, other_high) = first.interval, second.interval
    difference = share - other_share
    below = math.hypot(share - low, other_high - other_share)
    above = math.hypot(high - share, other_share - other_low)
    return max(-1.0, difference - below), min(1.0, difference + above)


def ratio_interval(first: Proportion, second: Proportion) -> Interval | None:
    """The interval of ``first`` divided by ``second``, on the logarithm's scale; half a row is
    added to each count, as Walter does, so that there is an interval where a count is 0."""
    if not first.rows or not second.rows:
        return None
    counts = [(part.count + 0.5, part.rows + 0.5) for part in (first, second)]
    (count, rows), (other_count, other_rows) = counts
    middle = math.log(count / rows) - math.log(other_count / other_rows)
    half = _Z * math.sqrt(1 / count - 1 / rows + 1 / other_count - 1 / other_rows)
    low = math.exp(middle - half) if first.count else 0.0  # no ratio is below it, and it may be 0
    return low, math.exp(middle + half)


class OutcomeCounts(Struct, frozen=True):
    """The rows of a group by what was true and what was predicted; without predictions all are
    counted as predicted negative."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    def __add__(self, other: OutcomeCounts) -> OutcomeCounts:
        return OutcomeCounts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    @property
    def rows(self) -> int:
        """All rows of the group."""
        return self.positive + self.negative

    @property
    def positive(self) -> int:
        """Rows whose label is positive."""
        return self.true_positive + self.false_negative

    @property
    def negative(self) -> int:
        """Rows whose label is not positive."""
        return self.false_positive + self.true_negative

    @property
    def predicted(self) -> int:
        """Rows that are predicted positive."""
        return self.true_positive + self.false_positive


RATES: Mapping[str, Callable[[OutcomeCounts], Proportion]] = {
    "positive_labels": lambda g: Proportion(g.positive, g.rows),
    "positive_predictions": lambda g: Proportion(g.predicted, g.rows),
    "recall": lambda g: Proportion(g.true_positive, g.positive),
    "specificity": lambda g: Proportion(g.true_negative, g.negative),
    "precision": lambda g: Proportion(g.true_positive, g.predicted),
    "rejection_precision": lambda g: Proportion(g.true_negative, g.rows - g.predicted),
    "accuracy": lambda g: Proportion(g.true_positive + g.true_negative, g.rows),
}
"""What is told of each group; the first of its labels, the others of its predictions."""

_FROM_REFERENCE = {
    "label_difference": "positive_labels",
    "positive_difference": "positive_predictions",
    "recall_difference": "recall",
    "precision_difference": "precision",
    "accuracy_difference": "accuracy",
}
"""The reference's rate less the group's."""
_FROM_GROUP = {
    "specificity_difference": "specificity",
    "rejection_difference": "rejection_precision",
}
"""The group's rate less the reference's: the direction that Clarify has for these."""


class BiasMeasure(Struct, frozen=True):
    """A measure of a group against its reference. ``value`` is None where a count that it is
    divided by is 0; ``rows`` are the fewest that it rests on."""

    value: float | None
    interval: Interval | None
    rows: int


def measure_bias(
    group: OutcomeCounts, reference: OutcomeCounts, *, predicted: bool
) -> dict[str, BiasMeasure]:
    """All measures by name, those of predictions where there are any."""
    names = ALL_MEASURES if predicted else BEFORE_TRAINING
    return {name: _measure(name, group, reference) for name in names}


def _measure(name: str, group: OutcomeCounts, reference: OutcomeCounts) -> BiasMeasure:
    if name in _FROM_REFERENCE:
        rate = RATES[_FROM_REFERENCE[name]]
        return _difference(rate(reference), rate(group))
    if name in _FROM_GROUP:
        rate = RATES[_FROM_GROUP[name]]
        return _difference(rate(group), rate(reference))
    if name == RATIO:
        rate = RATES["positive_predictions"]
        return _ratio(rate(group), rate(reference))
    if name in _QUOTIENTS:
        return _quotient_difference(name, group, reference)
    value = _OTHERS[name](group, reference) if group.rows and reference.rows else None
    interval = _imbalance_interval(group, reference) if name == "class_imbalance" else None
    return BiasMeasure(value, interval, min(group.rows, reference.rows))


def _difference(first: Proportion, second: Proportion) -> BiasMeasure:
    value = None
    if first.share is not None and second.share is not None:
        value = first.share - second.share
    return BiasMeasure(value, difference_interval(first, second), min(first.rows, second.rows))


def _ratio(first: Proportion, second: Proportion) -> BiasMeasure:
    rows = min(first.rows, second.rows)
    if first.share is None or not second.share:
        return BiasMeasure(None, None, rows)
    return BiasMeasure(first.share / second.share, ratio_interval(first, second), rows)


def _imbalance_interval(group: OutcomeCounts, reference: OutcomeCounts) -> Interval | None:
    bounds = Proportion(reference.rows, group.rows + reference.rows).interval
    return (2 * bounds[0] - 1, 2 * bounds[1] - 1) if bounds else None


def _label_shares(counts: OutcomeCounts) -> tuple[float, float]:
    return counts.positive / counts.rows, counts.negative / counts.rows


def _kl_divergence(group: OutcomeCounts, reference: OutcomeCounts) -> float | None:
    pairs = list(zip(_label_shares(reference), _label_shares(group), strict=True))
    if any(mine and not theirs for mine, theirs in pairs):
        return None  # it is infinite
    return math.fsum(mine * math.log(mine / theirs) for mine, theirs in pairs if mine)


def _js_divergence(group: OutcomeCounts, reference: OutcomeCounts) -> float | None:
    pairs = list(zip(_label_shares(reference), _label_shares(group), strict=True))
    return math.fsum(
        share * math.log(2 * share / sum(pair)) / 2 for pair in pairs for share in pair if share
    )


_QUOTIENTS: Mapping[str, Callable[[OutcomeCounts], tuple[int, int]]] = {
    "conditional_acceptance": lambda g: (g.positive, g.predicted),
    "conditional_rejection": lambda g: (g.negative, g.rows - g.predicted),
    "treatment_equality": lambda g: (g.false_negative, g.false_positive),
}
"""Counts divided by others: no shares, for they may be above 1."""


def _quotient_difference(name: str, group: OutcomeCounts, reference: OutcomeCounts) -> BiasMeasure:
    (count, divisor), (other_count, other_divisor) = map(_QUOTIENTS[name], (group, reference))
    # What a group is divided by is what its quotient rests on, however many rows it has besides.
    rows = min(divisor, other_divisor)
    if not rows:
        return BiasMeasure(None, None, rows)
    value = count / divisor - other_count / other_divisor
    # Of acceptance Clarify has the reference's less the group's.
    return BiasMeasure(-value if name == "conditional_acceptance" else value, None, rows)


_OTHERS: Mapping[str, Callable[[OutcomeCounts, OutcomeCounts], float | None]] = {
    "class_imbalance": lambda g, r: (r.rows - g.rows) / (g.rows + r.rows),
    "kl_divergence": _kl_divergence,
    "js_divergence": _js_divergence,
    "total_variation": lambda g, r: abs(_label_shares(r)[0] - _label_shares(g)[0]),
}
