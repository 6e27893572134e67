"""A tag's message: a line for people, and one of JSON that listing and searching read.

The last line is ``towpath: {...}``: what ten thousand versions are listed, compared and searched
by without opening a commit. It repeats the record; where they differ, the record is right, and
``towpath verify`` says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from towpath.config.artifact import Json
from towpath.config.digests import is_md5, is_sha256
from towpath.config.foreign_values import LARGEST, MOST_BYTES, is_finite
from towpath.registry.version_record import SCHEMA, Record

MARK = "towpath: "
METRICS = ',"metrics":{'  # in a value its quotes would be escaped, and no table holds a table
LONGEST_VALUE = 200
MOST_METRICS = 100

SCALARS = (str, int, float, bool)
NUMBERS = (int, float, bool)

_DECODER = json.JSONDecoder()
_KEY = re.compile(r"[0-9a-f]{1,64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


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
    """The summary in a tag's message; empty in a tag that Towpath did not write.

    Facts that are not of the kind which Towpath writes are left out: a tag may be made by hand.
    """
    start = text.rfind(f"\n{MARK}")
    if start < 0:
        return {}
    try:
        data, end = _DECODER.raw_decode(text, start + len(MARK) + 1)
        # Half a character, as JSON can escape it and a stray byte leaves it, is no text.
        if not text.isascii() or "\\u" in text:
            line(data).encode()
    except (ValueError, RecursionError):
        return {}
    if type(data) is not dict or text[end:].strip():
        return {}
    for key, value in data.items():  # no generator: ten thousand tags are searched
        if not _fits(key, value):
            return {key: value for key, value in data.items() if _fits(key, value)}
    return data


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
        elif isinstance(value, int | float) and is_finite(value):
            yield f"{before}{key}", value


def _fits(key: str, value: object) -> bool:
    check = _CHECKS.get(key)
    return check is None or check(value)


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_BYTES


def _is_key(value: object) -> bool:
    return type(value) is str and _KEY.fullmatch(value) is not None


def _is_commit(value: object) -> bool:
    return type(value) is str and _COMMIT.fullmatch(value) is not None


def _are_numbers(value: object) -> bool:
    if type(value) is not dict:
        return False
    for number in value.values():
        if type(number) not in NUMBERS or not -LARGEST < number < LARGEST:  # NaN is in no order
            return False
    return True


def _are_scalars(value: object) -> bool:
    if type(value) is not dict:
        return False
    for scalar in value.values():
        if type(scalar) is not str and (type(scalar) not in SCALARS or not is_finite(scalar)):
            return False
    return True


_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "key": _is_key,
    "md5": is_md5,
    "sha256": is_sha256,
    "code": _is_commit,
    "metrics": _are_numbers,
    **dict.fromkeys(("params", "labels", "data"), _are_scalars),
    **dict.fromkeys(("schema", "size"), _is_count),
    **dict.fromkeys(
        ("kind", "pipeline", "run", "repository", "author", "time", "bump", "reason"), _is_text
    ),
}


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in values.items() if isinstance(value, str | int | float)}
    return {key: value for key, value in plain.items() if len(str(value)) <= LONGEST_VALUE}


def _title(record: Record) -> str:
    best = [f"{name} {value:.6g}" for name, value in numbers(record.metrics).items()][:3]
    name = f"{record.model} {record.version or 'candidate'}"
    return f"{name}: {', '.join(best)}" if best else name
