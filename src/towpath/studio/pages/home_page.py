"""Home: what each stage runs, what waits for a person, and how the last runs went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath.audit.open_tasks import LATEST_RUNS, OpenTask, list_open_tasks
from towpath.execution import run_questions
from towpath.studio.pages.promotion_page import short_name
from towpath.studio.pages.run_facts import RunLine, list_run_lines
from towpath.studio.pages.stage_cards import StageCard, add_drift, find_past_cards, list_stage_cards

if TYPE_CHECKING:
    from towpath.delivery.promotion.decide_promotion import WaitingPromotion
    from towpath.registry import ModelVersion
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_RUNS = 8  # in the list, below the strip


class StageColumn(Struct, frozen=True):
    stage: str
    description: str
    cards: tuple[StageCard, ...]


class Attention(Struct, frozen=True):
    """Something that a person should look at: ``address`` is its page, ``deploys`` the stage that
    a command would bring up to date."""

    state: str
    words: str
    address: str
    deploys: str = ""


class FirstStep(Struct, frozen=True):
    """One of the steps from an empty folder to a model in a stage, and what to type for it;
    ``address`` is the page where a click does the same, "" for none."""

    is_done: bool
    words: str
    command: str
    address: str = ""


class HomePage(Struct, frozen=True):
    columns: tuple[StageColumn, ...]
    waiting: tuple[WaitingPromotion, ...]
    runs: tuple[RunLine, ...]
    strip: tuple[RunLine, ...]
    first_steps: tuple[FirstStep, ...]
    attention: tuple[Attention, ...]
    pipelines: tuple[str, ...]
    model_count: int
    version_count: int
    board: StageBoard


def gather_home(facts: ProjectFacts, request: PageRequest) -> HomePage:
    cards = list_stage_cards(facts, *facts.stages)
    declared = facts.policy.stages if facts.policy else {}
    columns = tuple(
        StageColumn(stage, declared[stage].description or "", add_drift(facts, stage, cards[stage]))
        for stage in facts.stages
    )
    strip = tuple(list_run_lines(facts, LATEST_RUNS))
    # What needs a person, as `towpath status` tells it, but for promotions, which stand above.
    questions = run_questions.list_waiting(facts.workspace)
    tasks = list_open_tasks((), questions, facts.read_standings(*facts.stages), strip)
    return HomePage(
        columns,
        facts.waiting_promotions,
        strip[:_RUNS],
        strip,
        _list_first_steps(facts, columns, strip),
        tuple(map(_show_task, tasks)),
        tuple(facts.workspace.pipelines),
        len(facts.models),
        sum(len(model.versions) for model in facts.models.values()),
        show_board_at(facts, request.first_value("at").strip(), columns),
    )


class StageBoard(Struct, frozen=True):
    """What runs where: now, or at ``moment``, which is a date; ``fault`` says why that is none."""

    columns: tuple[StageColumn, ...]
    moment: str
    fault: str


def show_board_at(facts: ProjectFacts, moment: str, columns: tuple[StageColumn, ...]) -> StageBoard:
    """The board of a date, in the columns of today."""
    if not moment:
        return StageBoard(columns, "", "")
    past, fault = find_past_cards(facts, moment)
    shown = (replace(column, cards=past.get(column.stage, ())) for column in columns)
    return StageBoard(columns if fault else tuple(shown), moment, fault)


def _list_first_steps(
    facts: ProjectFacts, columns: tuple[StageColumn, ...], runs: tuple[RunLine, ...]
) -> tuple[FirstStep, ...]:
    """What is done and what is next, until the first model has reached a stage; none from then."""
    cards = [(column.stage, card) for column in columns for card in column.cards]
    is_unknown = facts.policy is None  # as of a shared registry that does not answer
    if is_unknown or any(not card.lag for _, card in cards):
        return ()
    newest = next((m.latest for m in facts.models.values() if m.latest), None)
    entered_stage = cards[0][0] if cards else ""
    to_stage = _steps_to_stage(facts, newest, entered_stage)
    steps = (*_steps_to_version(facts, newest, runs), *to_stage)
    return () if all(step.is_done for step in steps) else steps


def _steps_to_version(
    facts: ProjectFacts, newest: ModelVersion | None, runs: tuple[RunLine, ...]
) -> Iterator[FirstStep]:
    has_pipeline, has_run = bool(facts.workspace.pipelines), any(r.state == "done" for r in runs)
    register = f"towpath register {runs[0].id}" if runs else "towpath run"
    commit = "git init && git add . && git commit -m 'Begin'"
    yield FirstStep(has_pipeline, "Write a pipeline, or take a template's", "towpath new")
    yield FirstStep(facts.has_commit, "Commit it: a version names the code that made it", commit)
    names = tuple(facts.workspace.pipelines)
    page = f"pipelines/{names[0]}/" if len(names) == 1 else "pipelines/" if names else ""
    yield FirstStep(has_run, "Run it", "towpath run", page)
    words = "Register the model: a register step does, or by hand"
    yield FirstStep(newest is not None, words, register, f"runs/{runs[0].id}/" if runs else "")


def _steps_to_stage(
    facts: ProjectFacts, newest: ModelVersion | None, entered_stage: str
) -> Iterator[FirstStep]:
    """From a version on; ``entered_stage`` is the one that a model was let into already, if any."""
    if not facts.stages:
        return
    stage, waiting = next(iter(facts.stages)), facts.waiting_promotions
    promote = f"towpath promote {newest or 'MODEL@VERSION'} --to {stage}"
    branch = waiting[0].branch if waiting else "promote/..."
    version = f"models/{newest.model}/{newest.version}/" if newest else ""
    decision = f"promotions/{short_name(branch)}/" if waiting else ""
    is_proposed, next_stage = bool(waiting or entered_stage), entered_stage or stage
    yield FirstStep(is_proposed, f"Propose the version for {stage}", promote, version)
    yield FirstStep(bool(entered_stage), "Approve it", f"towpath approve {branch}", decision)
    deploy = f"towpath reconcile {next_stage} --apply"
    yield FirstStep(False, "Deploy it", deploy, f"stages/{next_stage}/")


def _show_task(task: OpenTask) -> Attention:
    """A task as a line: its sign, and its page."""
    deploys = task.stage if task.kind == "deployment" else ""
    if task.run:
        step = f"{task.step}/" if task.step else ""
        return Attention(task.state or "waiting", task.words, f"runs/{task.run}/{step}")
    state = "failed" if task.kind == "rejected" else "waiting"
    return Attention(state, task.words, f"stages/{task.stage}/", deploys)
