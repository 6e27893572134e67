"""A version as lists tell it: what `--json` prints of each, and of which a page makes words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.config.foreign_values import format_second

if TYPE_CHECKING:
    from towpath.registry.registry_state import ModelVersion
    from towpath.registry.stage_files import StageFiles


class VersionSummary(Struct, frozen=True):
    """A version, or a candidate for one, whose ``version`` is None. ``time`` is UTC, ISO 8601;
    ``author`` has the address, too; ``stages`` should run it; ``rejected`` is the reason, None for
    one in good standing; ``data`` are digests of what it was made of, by input."""

    model: str
    version: str | None
    key: str
    time: str
    author: str
    metrics: Mapping[str, float]
    stages: tuple[str, ...]
    rejected: str | None
    commit: str
    run: str | None
    pipeline: str | None
    params: Mapping[str, Any]
    labels: Mapping[str, Any]
    data: Mapping[str, Any]


def summarise_version(version: ModelVersion, stages: StageFiles) -> VersionSummary:
    """What a version's tag and the stage files of main say of it; no record is read."""
    tag_facts = version.summary
    tables: tuple[Mapping[str, Any], ...] = tuple(
        tag_facts.get(table, {}) for table in ("params", "labels", "data")
    )
    return VersionSummary(
        version.model,
        str(version.version) if version.version else None,
        version.key,
        format_second(version.time),
        version.tag.tagger,
        dict(version.metrics),
        stages.stages_of(version.model, version.version),
        version.rejected,
        version.commit,
        tag_facts.get("run"),
        tag_facts.get("pipeline"),
        *tables,
    )
