"""What differs between the deployments that are declared and those at an API: typed changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

ChangeKind: TypeAlias = Literal["make", "change", "remove"]
_LONGEST_VALUE = 80  # characters of a value in a line of text; `--json` has it whole


class FieldChange(Struct, frozen=True):
    """A field that is to have another value; None stands for what is not set."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        shown = [_show_briefly(value) for value in (self.before, self.after)]
        return f"{self.field}: {' -> '.join(shown)}"


def _show_briefly(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


class DeploymentChange(Struct, frozen=True):
    """A deployment or an automation that is made, changed or removed."""

    kind: ChangeKind
    what: Literal["deployment", "automation"]
    name: str
    fields: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.what} {self.name}"


class DeploymentPlan(Struct, frozen=True):
    """The changes at one API, in the order in which they are made; ``kept`` are the names of what
    is as it should be."""

    api: str
    changes: tuple[DeploymentChange, ...] = ()
    kept: tuple[str, ...] = ()


def diff_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The fields of ``after`` that differ; one that only ``before`` has is nobody's wish."""
    return tuple(
        FieldChange(name, before.get(name), value)
        for name, value in after.items()
        if before.get(name) != value
    )
