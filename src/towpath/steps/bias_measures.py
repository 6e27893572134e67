"""Measures of bias between two groups, from the counts of their outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from msgspec import Struct

from towpath.config.bias_names import AFTER_TRAINING, BEFORE_TRAINING
from towpath.steps.proportions import (
    Interval,
    Proportion,
    difference_interval,
    ratio_interval,
)


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
    names = {**BEFORE_TRAINING, **(AFTER_TRAINING if predicted else {})}
    return {name: _measure(name, group, reference) for name in names}


def _measure(name: str, group: OutcomeCounts, reference: OutcomeCounts) -> BiasMeasure:
    if name in _FROM_REFERENCE:
        rate = RATES[_FROM_REFERENCE[name]]
        return _difference(rate(reference), rate(group))
    if name in _FROM_GROUP:
        rate = RATES[_FROM_GROUP[name]]
        return _difference(rate(group), rate(reference))
    if name == "disparate_impact":
        return _ratio(RATES["positive_predictions"], group, reference)
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


def _ratio(
    rate: Callable[[OutcomeCounts], Proportion], group: OutcomeCounts, reference: OutcomeCounts
) -> BiasMeasure:
    first, second = rate(group), rate(reference)
    value = None
    if first.share is not None and second.share:
        value = first.share / second.share
    interval = ratio_interval(first, second) if value is not None else None
    return BiasMeasure(value, interval, min(first.rows, second.rows))


def _class_imbalance(group: OutcomeCounts, reference: OutcomeCounts) -> float | None:
    rows = group.rows + reference.rows
    return (reference.rows - group.rows) / rows if rows else None


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
    parts = [
        share * math.log(2 * share / sum(pair)) / 2 for pair in pairs for share in pair if share
    ]
    return math.fsum(parts)


def _total_variation(group: OutcomeCounts, reference: OutcomeCounts) -> float | None:
    return abs(_label_shares(reference)[0] - _label_shares(group)[0])


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
    "class_imbalance": _class_imbalance,
    "kl_divergence": _kl_divergence,
    "js_divergence": _js_divergence,
    "total_variation": _total_variation,
}
