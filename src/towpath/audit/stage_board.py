"""The board: what each stage should run of each model, what it runs, and who let that in; and the
figure by which it tells versions apart, and whether a change of it is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.gate_declarations import Metric, NoWorse

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry, StageHistories, StageMove
    from towpath.config.project_declaration import Project
    from towpath.registry import Model, ModelVersion, StageFile


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
    standings = {file: StageStanding(file.stage, file.model, str(file.version)) for file in files}
    if histories:
        letting_moves = {file: _find_letting_move(histories, file) for file in files}
        let_in = {file: move for file, move in letting_moves.items() if move}
        # Judged together, and of long histories these alone.
        entries = histories.judge_moves(let_in.values())
        standings |= zip(let_in, map(tell_standing, entries), strict=True)
    return tuple(
        _complete_standing(standing, file, models.get(file.model), histories, metrics)
        for file, standing in standings.items()
    )


def _find_letting_move(histories: StageHistories, file: StageFile) -> StageMove | None:
    """The last change that brought what the stage should run now."""
    moves = histories.newest_moves(file.stage, file.model)
    return next((move for move in moves if move.version == str(file.version)), None)


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


def judge_change(sign: int, before: float | None, after: float | None) -> str:
    """``better``, ``worse``, ``same``, or "" where nothing can be said; ``sign`` as ``find_sign``
    gives it."""
    if before is None or after is None:
        return ""
    if before == after:
        return "same"
    if sign == 0:
        return "other"
    return "better" if (after - before) * sign > 0 else "worse"


class MainMetric(Struct, frozen=True):
    """A version's main metric against the version before; ``verdict`` as ``judge_change`` says."""

    name: str
    value: float | None
    before: float | None
    verdict: str

    @property
    def change(self) -> float | None:
        if self.value is None or self.before is None:
            return None
        return self.value - self.before


class MetricPolicy(Struct, frozen=True, dict=True):
    """What the gates of a project say of its metrics; None where no policy can be read."""

    policy: Project | None

    @cached_property
    def _signs(self) -> Mapping[str, int]:
        return dict(self._gate_directions())

    def find_sign(self, metric: str) -> int:
        """Of a difference that is an improvement, as a gate of the project says: -1 for an error,
        +1 for an accuracy, 0 where none says it."""
        short = metric.rpartition(".")[2]
        return self._signs.get(metric, self._signs.get(short, 0))

    def _gate_directions(self) -> Iterator[tuple[str, int]]:
        for stage in self.policy.stages.values() if self.policy else ():
            for gate in stage.gates.values():
                if isinstance(gate, NoWorse):
                    yield gate.metric, -1 if gate.better == "lower" else 1
                elif isinstance(gate, Metric):
                    is_bound_above = gate.at_most is not None or gate.below is not None
                    is_bound_below = gate.at_least is not None or gate.above is not None
                    if is_bound_above != is_bound_below:
                        yield gate.metric, -1 if is_bound_above else 1

    def choose_metric(self, metrics: Mapping[str, float]) -> str | None:
        """The metric that a board shows: the first that a gate judges, else the first there is."""
        judged = (name for name in metrics if self.find_sign(name))
        return next(judged, next(iter(metrics), None))

    def read_main_metric(
        self, version: ModelVersion | None, before: ModelVersion | None
    ) -> MainMetric | None:
        """None of a version that is not here, or has no metric."""
        name = self.choose_metric(version.metrics) if version else None
        if version is None or name is None:
            return None
        value = version.metrics.get(name)
        earlier = before.metrics.get(name) if before else None
        return MainMetric(name, value, earlier, judge_change(self.find_sign(name), earlier, value))
