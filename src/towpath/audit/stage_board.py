"""The board: what each stage should run of each model, what it runs, and who let that in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from towpath.audit.main_metric import MetricPolicy
    from towpath.audit.stage_history import HistoryEntry, StageHistories, StageMove
    from towpath.registry import Model, StageFile


class StageStanding(Struct, frozen=True):
    """A model in a stage. ``version`` is what main says that it should run, ``over`` what it ran
    before; ``merged`` and ``deployed`` are when, in UTC, ISO 8601; ``running`` is what was deployed
    last, None for nothing; ``is_deployed`` is that nothing waits for ``towpath reconcile``.
    ``approval`` is the level, "" where nobody knows it; ``evidence`` a path on main. ``metric`` is
    the model's main one, ``change`` how far its ``value`` is from that of ``over``, ``verdict``
    whether that is better."""

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
    metric: str | None = None
    value: float | None = None
    change: float | None = None
    verdict: str = ""

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
    histories: StageHistories | None,
    metrics: MetricPolicy,
) -> tuple[StageStanding, ...]:
    """The models of each stage, in the order of ``stages``; what main says goes first, and of what
    nobody wrote a history nothing else is told."""
    files = [file for stage in stages for file in stage_files if file.stage == stage]
    let_in = [_find_letting_move(histories, file) for file in files] if histories else []
    entries: Mapping[StageMove, HistoryEntry] = {}
    if histories:  # judged together, and of long histories these alone
        moves = [move for move in let_in if move]
        entries = dict(zip(moves, histories.judge_moves(moves), strict=True))
    standings = []
    for place, file in enumerate(files):
        move = let_in[place] if histories else None
        standing = (
            tell_standing(entries[move])
            if move
            else StageStanding(file.stage, file.model, str(file.version))
        )
        standings.append(
            _complete_standing(standing, file, models.get(file.model), histories, metrics)
        )
    return tuple(standings)


def _find_letting_move(histories: StageHistories, file: StageFile) -> StageMove | None:
    """The last change that brought what the stage should run now."""
    moves, number = histories.newest_moves(file.stage, file.model), str(file.version)
    return next((move for move in moves if move.version == number), None)


def _complete_standing(
    standing: StageStanding, file: StageFile, model: Model | None,
    histories: StageHistories | None, metrics: MetricPolicy,
) -> StageStanding:  # fmt: skip
    version = model.find_number(file.version) if model else None
    before = model.find_number(file.replaces) if model and file.replaces else None
    main = metrics.read_main_metric(version, before)
    running, is_deployed = _find_running(histories, file) if histories else (None, True)
    standing = replace(
        standing,
        over=str(file.replaces) if file.replaces else None,
        running=running,
        is_deployed=is_deployed,
        rejected=version.rejected if version else None,
    )
    if main is None:
        return standing
    return replace(
        standing, metric=main.name, value=main.value, change=main.change, verdict=main.verdict
    )


def _find_running(histories: StageHistories, file: StageFile) -> tuple[str | None, bool]:
    """What was deployed last, and whether nothing has come since."""
    is_deployed = True
    # The newest are looked at alone: a stage may have had thousands.
    for move in histories.newest_moves(file.stage, file.model):
        if move.entered:
            return move.version, is_deployed
        is_deployed = False
    return None, is_deployed


def tell_standing(entry: HistoryEntry) -> StageStanding:
    """How a model stood in a stage after one change of what that should run."""
    return StageStanding(
        entry.stage, entry.model, entry.version or "", entry.over, entry.merged, entry.entered,
        entry.version if entry.entered else None, bool(entry.entered), entry.approval.by,
        entry.approval.level, entry.evidence, entry.rejected,
    )  # fmt: skip
