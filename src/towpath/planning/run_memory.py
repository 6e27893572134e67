"""What the last runs here left behind: each step's last key, and what went into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from towpath.config import foreign_values as foreign
from towpath.config.foreign_values import Fields
from towpath.errors import Malformed
from towpath.scratch import replace_text


@dataclass(frozen=True)
class LastExecution:
    """A step's last execution here; ``undeclared`` are files it opened without saying so."""

    key: str
    ingredients: Mapping[str, str] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineMemory:
    """The last keys of one pipeline, in a small file. Losing it costs only the reasons' words."""

    path: Path

    @classmethod
    def of_pipeline(cls, state: Path, pipeline: str) -> PipelineMemory:
        """The memory of a pipeline under a project's state folder."""
        return cls(state / "state" / "last" / f"{pipeline}.json")

    def find_last(self, step: str) -> LastExecution | None:
        """What is remembered of a step."""
        return self._last_by_step.get(step)

    @cached_property
    def _last_by_step(self) -> dict[str, LastExecution]:
        try:
            return foreign.table_of(_read_last)(foreign.parse_json(self.path.read_bytes()))
        except (OSError, Malformed):
            return {}

    def remember(self, latest: Mapping[str, LastExecution]) -> None:
        """Add the latest keys to what is on disk, in one atomic step."""
        if not latest:
            return
        merged = {**PipelineMemory(self.path)._last_by_step, **latest}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({step: asdict(last) for step, last in merged.items()})
        replace_text(self.path, text)


def _read_last(value: object) -> LastExecution:
    fields = Fields(value)
    return LastExecution(
        fields.get("key", foreign.read_text),
        fields.get("ingredients", foreign.table_of(foreign.read_text)),
        fields.get("undeclared", foreign.list_of(foreign.read_text)),
    )
