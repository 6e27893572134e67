"""What waits for a person: promotions, questions, what is not deployed, what went wrong last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from msgspec import Struct

from towpath import registry
from towpath.audit.stage_board import MetricPolicy, StageStanding, list_standings
from towpath.audit.stage_history import open_stage_histories
from towpath.delivery.promotion import decide_promotion
from towpath.errors import TowpathError
from towpath.execution import run_questions
from towpath.execution.run_folders import recent_runs
from towpath.execution.run_summary import summarise_run
from towpath.registry.registry_state import list_lost_tags
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from towpath.delivery.promotion.decide_promotion import WaitingPromotion
    from towpath.steps.callback_questions import Question

_Value = TypeVar("_Value")

#: Runs that are looked at, the newest: of a pipeline that has not run for longer nobody waits.
LATEST_RUNS = 40

TaskKind = Literal["promotion", "question", "rejected", "deployment", "run"]
_ENDINGS = {"failed": "failed", "interrupted": "was interrupted", "refused": "was refused"}


class OpenTask(Struct, frozen=True):
    """Something that a person should look at: ``words`` say it, ``command`` does something about
    it, or shows more. ``name`` is a branch, a version (`mean@v1.0.0`) or a pipeline; ``stage``,
    ``run`` and ``step`` say where, "" for nowhere; ``state`` is how a run ended."""

    kind: TaskKind
    name: str
    words: str
    command: str
    stage: str = ""
    run: str = ""
    step: str = ""
    state: str = ""


class EndedRun(Protocol):
    """What is looked at of a run; ``error`` is "" for none."""

    @property
    def id(self) -> str: ...
    @property
    def pipeline(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def error(self) -> str | tuple[str, ...]: ...


def list_open_tasks(
    promotions: Iterable[WaitingPromotion],
    questions: Iterable[Question],
    standings: Iterable[StageStanding],
    runs: Iterable[EndedRun],
) -> Iterator[OpenTask]:
    """What waits, in the order in which it is told; of ``runs`` the newest stand first."""
    for promotion in promotions:
        command = f"towpath approve {promotion.branch}"
        yield OpenTask("promotion", promotion.branch, promotion.title, command)
    for question in questions:
        yield _ask_answer(question)
    for standing in standings:
        yield from _check_standing(standing)
    yield from _find_bad_runs(runs)


def _ask_answer(question: Question) -> OpenTask:
    lines = question.message.strip().splitlines()
    words = f"{question.step} waits for an answer" + (f": {lines[0]}" if lines else "")
    return OpenTask(
        "question", question.pipeline, words, question.command, run=question.run,
        step=question.step,
    )  # fmt: skip


def _check_standing(standing: StageStanding) -> Iterator[OpenTask]:
    name, stage = f"{standing.model}@{standing.version}", standing.stage
    if standing.rejected is not None:
        words = f"{stage} runs {name}, which was rejected"
        words += f": {standing.rejected}" if standing.rejected else ""
        command = f"towpath rollback {standing.model} --stage {stage}"
        yield OpenTask("rejected", name, words, command, stage)
    if standing.lag:
        words = f"{name} was let into {stage}; it {standing.lag}"
        yield OpenTask("deployment", name, words, f"towpath reconcile {stage} --apply", stage)


def _find_bad_runs(runs: Iterable[EndedRun]) -> Iterator[OpenTask]:
    """The last run of each pipeline, where it did not end well."""
    pipelines: set[str] = set()
    for run in islice(runs, LATEST_RUNS):
        if run.pipeline not in pipelines and run.state in _ENDINGS:
            words = f"the last run of {run.pipeline} {_ENDINGS[run.state]}"
            error = run.error if isinstance(run.error, str) else "; ".join(run.error)
            words += f": {error.splitlines()[0]}" if error.strip() else ""
            command = f"towpath logs {run.id}"
            yield OpenTask("run", run.pipeline, words, command, run=run.id, state=run.state)
        pipelines.add(run.pipeline)


class ProjectStanding(Struct, frozen=True):
    """What runs in the stages of a project, what waits for a person, and what could not be read.
    ``forge_unasked``: promotions wait at a forge, if any do, and it was not asked."""

    stages: tuple[StageStanding, ...]
    tasks: tuple[OpenTask, ...]
    unread: tuple[str, ...]
    forge_unasked: bool = False


def read_project_standing(workspace: Workspace, offline: bool = False) -> ProjectStanding:
    """What Studio's first page tells. What cannot be read is left out and said: a merge that goes
    on, or a forge that is away, hides nothing else. ``offline`` asks nobody over a network."""
    faults: list[str] = []
    if offline:
        workspace = Workspace(workspace.root, refreshes=False)

    def attempt_read(read: Callable[[], _Value], otherwise: _Value) -> _Value:
        try:
            return read()
        except TowpathError as refused:
            faults.extend(str(fault) for fault in refused.faults)
            return otherwise

    forge_unasked = offline and attempt_read(
        lambda: decide_promotion.promotes_at_forge(workspace), False
    )
    standings: tuple[StageStanding, ...] = ()
    standings = attempt_read(lambda: _read_standings(workspace, faults), standings)
    tasks = list_open_tasks(
        ()
        if forge_unasked
        else attempt_read(lambda: decide_promotion.find_waiting_promotions(workspace), ()),
        attempt_read(lambda: tuple(run_questions.list_waiting(workspace)), ()),
        standings,
        (summarise_run(run) for run in recent_runs(workspace.runs, LATEST_RUNS)),
    )
    return ProjectStanding(standings, tuple(tasks), tuple(dict.fromkeys(faults)), forge_unasked)


def _read_standings(workspace: Workspace, faults: list[str]) -> tuple[StageStanding, ...]:
    policy, repository = workspace.policy, workspace.registry
    stage_files = registry.read_stage_files(repository)
    faults.extend(str(fault) for fault in stage_files.faults)
    if not (policy.stages and stage_files.wanted):
        return ()
    histories, models = open_stage_histories(workspace), registry.read_models(repository)
    faults.extend(str(fault) for fault in list_lost_tags(repository, models.values()))
    metrics = MetricPolicy(policy)
    return list_standings(policy.stages, stage_files.wanted, models, histories, metrics)
