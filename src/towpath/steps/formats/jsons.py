"""JSON documents: read, written, and looked into where they are small."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.config.artifact import Json
from towpath.errors import Fault, StepFailed
from towpath.steps.formats.json_values import plain_json

SMALL = 64 * 1024
"""A JSON output of at most so many bytes is handed on with its content."""

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    """The parsed document; with ``str`` or ``bytes`` asked for, the file as it stands."""
    data = path.read_bytes()
    if asked.wanted == "bytes":
        return data
    return data.decode() if asked.wanted == "str" else parse_document(data, asked.name)


def write(value: object, path: Path, kind: str) -> None:  # noqa: ARG001
    """Write a document in the order it was made.

    NaN and infinity are written as ``NaN`` and ``Infinity``. JSON has no word for them, but
    Python, pandas and DVC read these; to drop them would make a failed metric look like none.
    """
    text = json.dumps(plain_json(value), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def parse_document(data: bytes, name: str) -> Any:
    """What a JSON document called ``name`` holds.

    :raises StepFailed: where it is none.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        why = str(error).strip() if isinstance(error, ValueError) else "it is nested too deeply"
        lines = isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"
        hint = "JSON Lines are .jsonl" if lines else None
        what = f"{name} is no JSON document: {why if data.strip() else 'it is empty'}"
        raise StepFailed(Fault(what, hint=hint)) from error


def is_finite_document(value: Json) -> bool:
    """Whether no number inside is NaN or infinite."""
    if isinstance(value, dict):
        return all(is_finite_document(part) for part in value.values())
    if isinstance(value, list):
        return all(is_finite_document(part) for part in value)
    return not isinstance(value, float) or math.isfinite(value)
