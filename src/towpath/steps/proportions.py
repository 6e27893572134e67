"""Intervals of 95 % for shares, their differences and their ratios, from counts."""

from __future__ import annotations

import math
from typing import TypeAlias

from msgspec import Struct

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
