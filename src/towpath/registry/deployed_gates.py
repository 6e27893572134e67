"""What the deploy gates that let a version in found of it: kept with the deployment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from msgspec import Struct

from towpath.backends.git.commit_history import parse_trailers
from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields
from towpath.errors import Malformed
from towpath.plain_data import list_fields

MOST_GATES = 40
_LONGEST = 4000  # letters of a line of a tag: whoever may push tags could have written it
_KEY = "Gate"


class DeployedGate(Struct, frozen=True):
    """A gate that passed: ``value`` is what it found, ``bound`` what it asked for."""

    gate: str
    kind: str
    value: Json = None
    bound: Json = None
    detail: str = ""


def write_gate_trailers(gates: Sequence[DeployedGate]) -> list[str]:
    """A line each for the message of a stage tag."""
    return [f"{_KEY}: {json.dumps(list_fields(gate))}" for gate in gates[:MOST_GATES]]


def parse_gate_trailers(message: str) -> tuple[DeployedGate, ...]:
    """What a stage tag's message says of gates; a line that no reconcile wrote is passed over, and
    those of tags before Towpath kept this have none."""
    if f"\n{_KEY}: " not in message:
        return ()
    return tuple(_read_lines(parse_trailers(message).get(_KEY.lower(), ())[:MOST_GATES]))


def _read_lines(lines: Sequence[str]) -> Iterator[DeployedGate]:
    for line in lines:
        try:
            if len(line) <= _LONGEST:
                yield read_deployed_gate(foreign.parse_json(line.encode()))
        except Malformed:
            continue


def read_deployed_gate(value: object) -> DeployedGate:
    """A gate as a tag or a record says it; raises ``Malformed``."""
    fields = Fields(value)
    return DeployedGate(
        fields.get("gate", foreign.read_text),
        fields.get("kind", foreign.read_text),
        fields.find_optional("value", _read_finding),
        fields.find_optional("bound", _read_finding),
        fields.find_optional("detail", foreign.read_text) or "",
    )


def _read_finding(value: object) -> Json:
    if isinstance(value, bool):
        return value
    return foreign.read_text(value) if isinstance(value, str) else foreign.read_number(value)
