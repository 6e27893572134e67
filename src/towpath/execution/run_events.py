"""The events in a run's log, read: each a line of JSON that anybody may have written.

``.towpath`` is a folder like others: a stranger's branch can bring one, a full disk tears a
line, another program writes there. What is read here becomes names of folders and text on a
terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from towpath.config import foreign_values as foreign
from towpath.config.artifact import read_made
from towpath.config.foreign_values import Fields, ReadValue
from towpath.config.project_paths import FileName
from towpath.errors import Fault, Malformed, Place

Event = Mapping[str, Any]

_STATES = (
    "waiting", "running", "done", "reused", "skipped", "failed", "refused", "interrupted",
)  # fmt: skip
_TEXTS = foreign.table_of(foreign.read_text)
_VALUES = foreign.table_of(foreign.read_json)
_LINES = foreign.list_of(foreign.read_text)


def read_events(lines: Iterable[str], shown: str) -> Iterator[Event]:
    """The events of a log; a torn line, as a kill leaves the last, ends it.

    Raises ``Malformed``, with its place, at a line that is JSON and no event.
    """
    for number, line in enumerate(lines, 1):
        try:
            document = foreign.parse_json(line)
        except Malformed:
            return
        try:
            yield read_event(document)
        except Malformed as wrong:
            raise Malformed(Fault(wrong.faults[0].what, Place(shown, number))) from None


def read_event(document: object) -> Event:
    """One event with every field of its type; fields that nobody reads are left out."""
    fields = Fields(document)
    kind = fields.get("event", foreign.read_text)
    read: dict[str, Any] = {"event": kind, "time": fields.get("time", foreign.read_moment)}
    required, optional = _FIELDS.get(kind, ({}, {}))
    read |= {name: fields.get(name, type_of) for name, type_of in required.items()}
    optional_fields = (
        (name, fields.find_optional(name, type_of)) for name, type_of in optional.items()
    )
    return read | {name: value for name, value in optional_fields if value is not None}


def _read_asked(value: object) -> dict[str, Any]:
    """What a run was asked, as ``RunRequest.asked_fields`` says it: it may be asked again."""
    fields = Fields(value)
    read = {
        "params": fields.find_optional("params", _VALUES),
        "inputs": fields.find_optional("inputs", _TEXTS),
        "only": fields.find_optional("only", _LINES),
        "begin": fields.find_optional("begin", foreign.read_text),
        "end": fields.find_optional("end", foreign.read_text),
    }
    rest = {name: item for name, item in _VALUES(value).items() if name not in read}
    return {**rest, **{name: item for name, item in read.items() if item is not None}}


def _read_steps(value: object) -> dict[str, str]:
    """Steps' kinds by name; a step has a folder of its name in the run's."""
    return {FileName(name): kind for name, kind in _TEXTS(value).items()}


_FIELDS: Mapping[str, tuple[Mapping[str, ReadValue[Any]], Mapping[str, ReadValue[Any]]]] = {
    "started": (
        {
            "run": FileName,
            "pipeline": foreign.read_text,
            "steps": _read_steps,
            "params": _VALUES,
            "inputs": _VALUES,
            "origin": _VALUES,
        },
        {"asked": _read_asked, "sources": _VALUES, "tried": _LINES},
    ),
    "step": (
        {"step": FileName, "state": foreign.one_of(*_STATES)},
        {
            "reason": foreign.read_text,
            "seconds": foreign.read_duration,
            "attempt": foreign.read_count,
            "key": foreign.read_text,
            "ingredients": _TEXTS,
            "made": read_made,
            "error": _LINES,
        },
    ),
    "published": ({"versions": _LINES}, {}),
    "registered": ({"versions": _LINES}, {}),
    "finished": (
        {
            "state": foreign.one_of(*_STATES),
            "seconds": foreign.read_duration,
            "exit_code": foreign.read_count,
        },
        {"error": _LINES},
    ),
}
"""What each kind of event must say, and what it may."""
