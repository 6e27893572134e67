"""A metric in a version's record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from towpath.config.artifact import Json
from towpath.delivery.gates.gate_finding import Unjudged
from towpath.errors import did_you_mean
from towpath.registry import VersionRecord


def find_metric_value(record: VersionRecord, name: str) -> float:
    """A metric by its name, dotted where it is nested.

    :raises Unjudged: where the record has none of that name, or no finite number.
    """
    metrics = dict(_metric_leaves(record.metrics, ""))
    who = f"{record.model}@{record.version}"
    if name not in metrics:
        has = f"it has {', '.join(list(metrics)[:9])}" if metrics else "it has none"
        raise Unjudged(f"{who} has no metric `{name}` ({did_you_mean(name, metrics) or has})")
    value = metrics[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unjudged(f"`{name}` of {who} is {value}, which is no number to compare")
    return value


def _metric_leaves(data: Mapping[str, Json], before: str) -> Iterator[tuple[str, Json]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _metric_leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
