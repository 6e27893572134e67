"""The board: what each stage should run of each model, what it runs, and who let that in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry
    from towpath.registry import Model, StageFile


@dataclass(frozen=True)
class StageStanding:
    """A model in a stage. ``version`` is what main says that it should run, ``over`` what it ran
    before; ``merged`` and ``deployed`` are when, in UTC, ISO 8601; ``running`` is what was deployed
    last, None for nothing; ``is_deployed`` is that nothing waits for ``towpath reconcile``.
    ``approval`` is the level, "" where nobody knows it; ``evidence`` a path on main."""

    stage: str
    model: str
    version: str
    over: str | None = None
    merged: str | None = None
    deployed: str | None = None
    running: str | None = None
    is_deployed: bool = True
    by: tuple[str, ...] = ()
    approval: str = ""
    evidence: str | None = None
    rejected: str | None = None

    @property
    def lag(self) -> str:
        """What the stage runs still, in words; "" where it runs the version."""
        if self.is_deployed:
            return ""
        return f"runs {self.running} still" if self.running else "is not deployed yet"


def list_standings(
    stages: Iterable[str],
    stage_files: Sequence[StageFile],
    models: Mapping[str, Model],
    histories: Mapping[str, Sequence[HistoryEntry]],
) -> Iterator[StageStanding]:
    """The models of each stage, in the order of ``stages``; what main says goes first, and of what
    nobody wrote a history nothing else is told."""
    for stage in stages:
        for stage_file in stage_files:
            if stage_file.stage == stage:
                history = histories.get(stage_file.model, ())
                yield find_standing(stage_file, models.get(stage_file.model), history)


def find_standing(
    stage_file: StageFile, model: Model | None, history: Sequence[HistoryEntry]
) -> StageStanding:
    """What is known of a stage file; ``history`` is that of its model, the oldest first."""
    version = model.find_number(stage_file.version) if model else None
    entries = [entry for entry in history if entry.stage == stage_file.stage]
    number = str(stage_file.version)
    let_in = next((entry for entry in reversed(entries) if entry.version == number), None)
    standing = (
        tell_standing(let_in)
        if let_in
        else StageStanding(stage_file.stage, stage_file.model, number)
    )
    return replace(
        standing,
        over=str(stage_file.replaces) if stage_file.replaces else None,
        running=next((entry.version for entry in reversed(entries) if entry.entered), None),
        is_deployed=not entries or bool(entries[-1].entered),
        rejected=version.rejected if version else None,
    )


def tell_standing(entry: HistoryEntry) -> StageStanding:
    """How a model stood in a stage after one change of what that should run."""
    return StageStanding(
        entry.stage, entry.model, entry.version or "", entry.over, entry.merged, entry.entered,
        entry.version if entry.entered else None, bool(entry.entered), entry.approval.by,
        entry.approval.level, entry.evidence, entry.rejected,
    )  # fmt: skip
