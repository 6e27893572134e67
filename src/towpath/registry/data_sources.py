"""Where the data of a version was read: kept in its record beside the digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields, Md5


@dataclass(frozen=True)
class DataSource:
    """Where an input's bytes stood when a run read them.

    ``path`` is from the project's root, or absolute outside of it; ``pointer`` the `.dvc` file that
    named these very bytes. ``version`` is the model's whose file it is, ``pipeline`` and ``run``
    the other pipeline of the project that made it, and when.
    """

    path: str | None = None
    pointer: str | None = None
    version: str | None = None
    pipeline: str | None = None
    run: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What is known, in JSON's types."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class UpstreamRun:
    """What another pipeline was run on when it made an input: ``data`` are digests (MD5)."""

    run: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, DataSource] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "run": self.run,
            "parameters": dict(self.parameters),
            "data": dict(self.data),
            "sources": {name: source.to_json() for name, source in self.sources.items()},
        }


def read_data_source(value: object) -> DataSource:
    """A source as a record holds it; nothing of it becomes a path before it was looked at again."""
    fields = Fields(value)
    return DataSource(*(fields.find_optional(name, foreign.read_text) for name in _NAMES))


def read_upstream_run(value: object) -> UpstreamRun:
    """An upstream run as a record holds it."""
    fields = Fields(value)
    return UpstreamRun(
        fields.find_optional("run", foreign.read_text),
        fields.get_table("parameters", foreign.read_json),
        fields.get_table("data", Md5),
        fields.get_table("sources", read_data_source),
    )


_NAMES = ("path", "pointer", "version", "pipeline", "run")
