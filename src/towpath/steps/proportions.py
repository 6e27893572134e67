"""Intervals of 95 % for shares, their differences and their ratios, from counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

Interval: TypeAlias = tuple[float, float]

_Z = 1.959963984540054  # 97.5 % of a normal distribution lie below it


@dataclass(frozen=True)
class Proportion:
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


def difference_interval(one: Proportion, other: Proportion) -> Interval | None:
    """Newcombe's interval of ``one`` less ``other``, made of the two of Wilson's."""
    if not (one.interval and other.interval):
        return None
    first, second = one.count / one.rows, other.count / other.rows
    (low, high), (other_low, other_high) = one.interval, other.interval
    difference = first - second
    below = math.hypot(first - low, other_high - second)
    above = math.hypot(high - first, second - other_low)
    return max(-1.0, difference - below), min(1.0, difference + above)


def ratio_interval(one: Proportion, other: Proportion) -> Interval | None:
    """The interval of ``one`` divided by ``other``, on the logarithm's scale; half a row is added
    to each count, as Walter does, so that it is there where a count is 0."""
    if not one.rows or not other.rows:
        return None
    counts = [(part.count + 0.5, part.rows + 0.5) for part in (one, other)]
    (first, rows), (second, others) = counts
    middle = math.log(first / rows) - math.log(second / others)
    half = _Z * math.sqrt(1 / first - 1 / rows + 1 / second - 1 / others)
    return math.exp(middle - half), math.exp(middle + half)
