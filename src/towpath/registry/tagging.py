"""A tag's message: a line for people, and one of JSON that listing and searching read.

The last line is ``towpath: {...}``: what ten thousand versions are listed, compared and searched
by without opening a commit. It repeats the record; where they differ, the record is right, and
``towpath verify`` says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from towpath.registry.record import SCHEMA, Record
from towpath.spec.artifact import Json

MARK = "towpath: "
METRICS = ',"metrics":{'  # in a value its quotes would be escaped, and no table holds a table
LONGEST_VALUE = 200
MOST_METRICS = 100

SCALARS = (str, int, float, bool)
TABLES: Mapping[str, tuple[type, ...]] = {
    "metrics": (int, float, bool),
    **dict.fromkeys(("params", "labels", "data"), SCALARS),
}
NUMBERS = frozenset(["schema", "size"])
TEXTS = frozenset(
    ["key", "md5", "sha256", "kind", "pipeline", "run", "code", "repository", "author", "time"]
) | {"bump", "reason"}

_DECODER = json.JSONDecoder()


def message(record: Record) -> str:
    """The message of the tag of a version or a candidate."""
    lines = [f"{_title(record)}", ""]
    said = (record.description or "").replace("\0", "").strip()  # Git's tags end at a NUL
    lines += [*said.splitlines(), ""] if said else []
    return "\n".join([*lines, MARK + line(summary(record))])


def summary(record: Record) -> dict[str, Json]:
    """The record, short: scalars of parameters, numbers of metrics by dotted name, digests."""
    known: dict[str, Any] = {
        "schema": SCHEMA,
        "key": record.key,
        "md5": record.artifact.digest,
        "sha256": record.sha256,
        "size": record.artifact.size,
        "kind": record.kind,
        "metrics": numbers(record.metrics),
        "params": _short(record.parameters),
        "labels": _short(record.labels),
        "data": _short(record.data),
        "pipeline": record.pipeline,
        "run": record.run,
        "code": record.code.commit,
        "repository": record.code.repository,
        "author": record.author,
        "time": record.time,
        "bump": record.bump.level if record.bump else None,
        "reason": record.bump.reason[:LONGEST_VALUE] if record.bump else None,
    }
    return {key: value for key, value in known.items() if value not in (None, {})}


def line(data: Mapping[str, Json]) -> str:
    """JSON in one line."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def parse(text: str) -> dict[str, Any]:
    """The summary in a tag's message; empty in a tag that Towpath did not write."""
    _, mark, last = text.rpartition(f"\n{MARK}")
    if not mark:
        return {}
    try:
        data = json.loads(last)
    except (ValueError, RecursionError):
        return {}
    return sound(data) if isinstance(data, dict) else {}


def parse_all(texts: Sequence[str]) -> list[dict[str, Any]]:
    """The summaries in many messages: one document, unless one of them is not ours."""
    lines = [text.rpartition(f"\n{MARK}")[2] for text in texts]
    try:
        found = json.loads(f"[{','.join(lines)}]")
    except (ValueError, RecursionError):
        return [parse(text) for text in texts]
    whole = len(found) == len(texts) and all(type(one) is dict for one in found)
    return [sound(one) for one in found] if whole else [parse(text) for text in texts]


def sound(data: dict[str, Any]) -> dict[str, Any]:
    """The facts that are of the kind which Towpath writes: a tag may be made by hand."""
    if all(_fits(key, value) for key, value in data.items()):
        return data
    return {key: value for key, value in data.items() if _fits(key, value)}


def metrics(text: str) -> Mapping[str, float]:
    """The metrics in a tag's message, and nothing else of it: what a listing shows."""
    at = text.find(METRICS, text.rfind(f"\n{MARK}"))
    if at < 0:
        return {}
    try:
        found, _ = _DECODER.raw_decode(text, at + len(METRICS) - 1)
    except (ValueError, RecursionError):
        return {}
    return found if _fits("metrics", found) else {}


def numbers(metrics: Mapping[str, Json]) -> dict[str, float]:
    """The numbers among metrics, those of nested mappings by dotted name."""
    found = dict(_leaves(metrics, ""))
    return dict(list(found.items())[:MOST_METRICS])


def _leaves(data: Mapping[str, Json], before: str) -> Iterator[tuple[str, float]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{key}.")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield f"{before}{key}", value


def _fits(key: str, value: object) -> bool:
    if kinds := TABLES.get(key):
        return isinstance(value, dict) and all(type(one) in kinds for one in value.values())
    return (key not in TEXTS or type(value) is str) and (key not in NUMBERS or type(value) is int)


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in values.items() if isinstance(value, str | int | float)}
    return {key: value for key, value in plain.items() if len(str(value)) <= LONGEST_VALUE}


def _title(record: Record) -> str:
    best = [f"{name} {value:.6g}" for name, value in numbers(record.metrics).items()][:3]
    name = f"{record.model} {record.version or 'candidate'}"
    return f"{name}: {', '.join(best)}" if best else name
