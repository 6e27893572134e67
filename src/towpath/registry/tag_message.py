"""A tag's message: a line for people, and one of JSON that listing and searching read.

The last line is ``towpath: {...}``: what ten thousand versions are listed, compared and searched
by without opening a commit. It repeats the record; where they differ, the record is right, and
``towpath verify`` says so.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from towpath.config.artifact import Json
from towpath.config.foreign_values import LARGEST, MOST_BYTES, is_finite_number, is_md5, is_sha256
from towpath.registry.version_record import SCHEMA, VersionRecord

MARK = "towpath: "
LONGEST_VALUE = 200
MOST_METRICS = 100

NUMBERS = (int, float, bool)

_DECODER = json.JSONDecoder()
_KEY = re.compile(r"[0-9a-f]{1,64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def compose_tag_message(record: VersionRecord) -> str:
    best = [f"{name} {value:.6g}" for name, value in flatten_numbers(record.metrics).items()][:3]
    name = f"{record.model} {record.version or 'candidate'}"
    lines = [f"{name}: {', '.join(best)}" if best else name, ""]
    description = (record.description or "").replace("\0", "").strip()  # Git's tags end at a NUL
    lines += [*description.splitlines(), ""] if description else []
    return "\n".join([*lines, MARK + json_line(summarise_record(record))])


def summarise_record(record: VersionRecord) -> dict[str, Json]:
    """The record, short: scalars of parameters, numbers of metrics by dotted name, digests."""
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "key": record.key,
        "md5": record.artifact.digest,
        "sha256": record.sha256,
        "size": record.artifact.size,
        "kind": record.kind,
        "metrics": dict(islice(flatten_numbers(record.metrics).items(), MOST_METRICS)),
        "params": _short_values(record.parameters),
        "labels": _short_values(record.labels),
        "data": _short_values(record.data),
        "beside": {name: kept.artifact.digest for name, kept in record.beside.items()},
        "pipeline": record.pipeline,
        "run": record.run,
        "code": record.code.commit,
        "repository": record.code.repository,
        "author": record.author,
        "time": record.time,
        "bump": record.bump.level if record.bump else None,
        "reason": record.bump.reason[:LONGEST_VALUE] if record.bump else None,
    }
    return {key: value for key, value in facts.items() if value not in (None, {})}


def json_line(data: Mapping[str, Json]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


@functools.lru_cache(maxsize=12_000)  # Studio reads ten thousand of them for each search
def parse_summary(text: str) -> Mapping[str, Any]:
    """The summary in a tag's message; empty in a tag that Towpath did not write."""
    # Facts that are not of the kind which Towpath writes are left out: a tag may be made by hand.
    start = text.rfind(f"\n{MARK}")
    if start < 0:
        return {}
    try:
        data, end = _DECODER.raw_decode(text, start + len(MARK) + 1)
        # Half a character, as JSON can escape it and a stray byte leaves it, is no text.
        if not text.isascii() or "\\u" in text:
            json_line(data).encode()
    except (ValueError, RecursionError):
        return {}
    if type(data) is not dict or text[end:].strip():
        return {}
    for key in [key for key in data if key in _CHECKS and not _CHECKS[key](data[key])]:
        del data[key]
    return data


def flatten_numbers(metrics: Mapping[str, Json]) -> dict[str, float]:
    """The finite numbers among metrics, those of nested mappings by dotted name."""
    numbers = ((n, value) for n, value in walk_leaves(metrics) if isinstance(value, int | float))
    return {name: value for name, value in numbers if is_finite_number(value)}


def walk_leaves(data: Mapping[str, Json], before: str = "") -> Iterator[tuple[str, Json]]:
    """All that is no mapping, that of nested mappings by dotted name."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from walk_leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _are_numbers(value: object) -> bool:
    return type(value) is dict and all(  # NaN is in no order
        type(number) in NUMBERS and -LARGEST < number < LARGEST for number in value.values()
    )


def _are_scalars(value: object) -> bool:
    return type(value) is dict and all(
        type(v) is str or (type(v) in NUMBERS and is_finite_number(v)) for v in value.values()
    )


def _short_values(values: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in values.items() if isinstance(value, str | int | float)}
    return {key: value for key, value in shown.items() if len(str(value)) <= LONGEST_VALUE}


# By type, not by `isinstance`: True is an int, and no size.
_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "key": lambda value: type(value) is str and _KEY.fullmatch(value) is not None,
    "md5": is_md5,
    "sha256": is_sha256,
    "code": lambda value: type(value) is str and _COMMIT.fullmatch(value) is not None,
    "metrics": _are_numbers,
    **dict.fromkeys(("params", "labels", "data", "beside"), _are_scalars),
    **dict.fromkeys(
        ("schema", "size"), lambda value: type(value) is int and 0 <= value <= MOST_BYTES
    ),
    **dict.fromkeys(
        ("kind", "pipeline", "run", "repository", "author", "time", "bump", "reason"),
        lambda value: type(value) is str,
    ),
}
