"""What the pages of one request share: the project read once, each part when it is asked for."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field

from towpath import registry
from towpath.audit import stage_history
from towpath.audit.data_history import DataVersion, read_data_history
from towpath.audit.lineage import RegistryLineage, VersionIndex
from towpath.audit.stage_board import (
    MetricPolicy,
    StageStanding,
    judge_change,
    list_standings,
)
from towpath.backends.git import Repository, main_branch, remotes
from towpath.backends.git.repository import find_unfinished_work
from towpath.credentials import hide_credentials
from towpath.delivery.promotion import decide_promotion
from towpath.delivery.promotion.promotion_approval import short_promotion_name
from towpath.delivery.reconcile import ReconcileOptions, plan_stage
from towpath.errors import TowpathError
from towpath.execution import run_folders
from towpath.registry import Model, Promotion, StageFiles, policy_at_commit, shared_registry
from towpath.registry.registry_state import list_lost_tags
from towpath.studio.site_outputs import OutputAddress, choose_site_outputs
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.audit.stage_history import HistoryEntry, StageHistories, StageMove
    from towpath.backends.prefect.runs_at_api import RunsAtApi, WholeRunAtApi
    from towpath.config.pipeline_file import PipelineFileMemory
    from towpath.config.project_declaration import Project
    from towpath.delivery.promotion.decide_promotion import WaitingPromotion
    from towpath.execution.run_record import RecordedRun
    from towpath.forge import Review
    from towpath.studio.beside_answers import BesideAnswers, HeardAnswer
    from towpath.studio.registry_memory import RegistryMemory

_Value = TypeVar("_Value")
_Method = TypeVar("_Method", bound=Callable[..., Any])
_NO_STAGE_FILES = registry.StageFiles()
SITE_RUNS = 1000  # the newest, of which a site of files has pages
_SITE_DECISIONS = 100  # the newest
_RUN_PATIENCE = 0.6  # seconds that the page of a deployed run waits for it: it shows nothing else
LONG_SILENCE = 5.0  # seconds after which nobody expects an answer in a moment


_NOTHING: Mapping[Any, Any] = MappingProxyType({})


def _attempted(otherwise: Any) -> Callable[[_Method], _Method]:
    """What a method of the facts gives; ``otherwise`` where that cannot be read, with a note."""

    def wrap(read: Any) -> Any:
        @functools.wraps(read)
        def attempt(facts: ProjectFacts, *arguments: Any) -> Any:
            try:
                return read(facts, *arguments)
            except TowpathError as refused:
                facts.is_partial = True
                for fault in refused.faults:
                    facts.note(str(fault))
                return otherwise

        return attempt

    return wrap


class ProjectFacts(Struct, dict=True):
    """A project as one request sees it. What cannot be read is empty, ``is_partial`` says so and
    ``notes`` why: a page stays, with a word. ``beside`` is where a server hears what a forge or a
    shared registry answers; without it they are asked at once. ``memory`` is what a server knows
    of the registry from the requests before, ``pipeline_files`` what of the pipelines. A site of
    files shows what steps made only where it ``publishes_outputs``: they may hold data that not
    all its readers may see."""

    root: Path
    notes: list[str] = field(default_factory=list)
    beside: BesideAnswers | None = None
    memory: RegistryMemory | None = None
    is_partial: bool = False
    publishes_outputs: bool = False
    pipeline_files: PipelineFileMemory | None = None

    @cached_property
    def workspace(self) -> Workspace:
        keep = self.memory.keep if self.memory else None
        workspace = Workspace(self.root, self.beside is None, self.pipeline_files, keep)
        self._note_surroundings(workspace)
        return workspace

    @_attempted(None)
    def _note_surroundings(self, workspace: Workspace) -> None:
        """Notes of what is no file's fault: a merge that goes on, an old view of a registry."""
        work = workspace.repository and find_unfinished_work(workspace.repository)
        if work:
            words = f"a {work} goes on in this work tree: what it holds is not settled"
            self.notes.append(f"{words} (git status)")
        if self.beside and workspace.shared_registry:
            self._hear("registry", self._refresh_registry, "the shared registry", 600)
        elif (
            self.beside
            and workspace.repository
            and (remote := remotes.choose_remote(workspace.repository))
        ):
            self._hear("main", self._learn_main, f"the remote {remote}", 600)

    def _learn_main(self) -> str:
        """Which branch is main, asked of a remote that never said it, which Git then keeps."""
        repository = Repository.find_repository(self.root)
        return main_branch.main_branch_name(repository) if repository else ""

    @property
    def _own_view(self) -> Workspace:
        """A view for a question that is asked beside a page: nothing is fetched for it."""
        return Workspace(self.root, refreshes=False)

    def _refresh_registry(self) -> bool:
        # No property of a workspace may wait for a network here: until Python 3.12 those that are
        # cached have one lock for all workspaces, and every page would wait, too.
        workspace = self._own_view
        clone, address = workspace.registry_at_hand, workspace.shared_registry
        if address:
            shared_registry.refresh_clone(clone, address)
        return True

    def _hear(
        self, name: str, question: Callable[[], _Value], whom: str, fresh: float = 60,
        patience: float | None = None,
    ) -> _Value | None:  # fmt: skip
        """What was heard last; a note where that is nothing, or old."""
        if self.beside is None:
            return question()
        heard = self.beside.ask(name, question, fresh, patience)
        self.is_partial = self.is_partial or heard.value is None
        if heard.fault:
            since = f"; shown as of {_age_words(heard.age)} ago" if heard.value is not None else ""
            self.note(f"{whom} cannot be asked: {heard.fault}{since}")
        elif heard.value is None:
            self.note(f"{whom} {tell_silence(heard.silence)}")
        elif heard.age > fresh * 2:
            self.note(f"{whom} does not answer; shown as of {_age_words(heard.age)} ago")
        value: _Value | None = heard.value
        return value

    def note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)

    @cached_property
    @_attempted(None)
    def project(self) -> Project | None:
        return self.workspace.project

    @cached_property
    def policy(self) -> Project | None:
        """What stages and gates there are, which a shared registry says for all its projects."""
        return self._read_policy() or self._read_policy_of_main()

    @_attempted(None)
    def _read_policy(self) -> Project | None:
        return self.workspace.policy

    @_attempted(None)
    def _read_policy_of_main(self) -> Project | None:
        """What main declares: where the file of the work tree cannot be read, as in the middle of
        a merge, the stages are there still. None where nothing is committed, and where a shared
        registry declares them."""
        repository = None if self.workspace.shared_registry else self.workspace.repository
        main = main_branch.main_commit(repository) if repository else None
        if repository is None or main is None:
            return None
        policy = policy_at_commit.read_project_at(repository, main, self.workspace.folder)
        self.note("stages and gates are shown as the main branch declares them")
        return policy

    @property
    def name(self) -> str:
        declared = self.project or self.policy
        return declared.name if declared else self.root.name

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(self.policy.stages) if self.policy else ()

    @cached_property
    @_attempted(False)
    def has_commit(self) -> bool:
        repository = self.workspace.repository
        return repository is not None and repository.head() is not None

    @_attempted(_NOTHING)
    def _read_models(self) -> Mapping[str, Model]:
        return self._recall("models", lambda: registry.read_models(self.workspace.registry))

    @cached_property
    def models(self) -> Mapping[str, Model]:
        models = self._read_models()
        # What a page asks for may be among them.
        if lost := [model for model in models.values() if model.lost]:
            self.is_partial = True
            for fault in list_lost_tags(self.workspace.registry, lost):
                self.note(str(fault))
        return models

    def _recall(self, name: str, read: Callable[[], _Value]) -> _Value:
        """What hangs on the registry's refs alone, which a server keeps from request to request."""
        if self.memory is None:
            return read()
        return self.memory.recall(self.workspace.registry, name, read)

    def model_project(self, model: str) -> str:
        """Which repository makes a model of a registry that several share, in short; else ""."""
        newest = self.models[model].newest_first if model in self.models else ()
        address = newest[0].summary.get("repository") if newest else None
        return _short_address(address) if isinstance(address, str) else ""

    @cached_property
    def model_projects(self) -> tuple[str, ...]:
        """The repositories that make the models of a shared registry: runs are in their folders."""
        return tuple(sorted({name for model in self.models if (name := self.model_project(model))}))

    @cached_property
    def registry_lineage(self) -> RegistryLineage:
        """What the lineage of any version hangs on."""
        models = self.models
        index = self._recall("index", lambda: VersionIndex(models)) if models else VersionIndex({})
        return RegistryLineage(self.workspace, index, self.model_history)

    def read_summaries(self) -> None:
        """What a search asks of every version: read once, it stays with the version."""
        for model in self.models.values():
            for version in model.newest_first:
                _ = version.summary

    @_attempted(_NO_STAGE_FILES)
    def _read_stage_files(self) -> StageFiles:
        repository = self.workspace.registry
        return self._recall("stage files", lambda: registry.read_stage_files(repository))

    @cached_property
    def stage_files(self) -> StageFiles:
        stage_files = self._read_stage_files()
        for fault in stage_files.faults:
            self.is_partial = True
            self.note(str(fault))
        return stage_files

    @cached_property
    @_attempted(_NOTHING)
    def data_history(self) -> Mapping[str, tuple[DataVersion, ...]]:
        """What each tracked file or folder held over the history, the newest first."""
        return read_data_history(self.workspace)

    @cached_property
    @_attempted(())
    def waiting_promotions(self) -> tuple[WaitingPromotion, ...]:
        workspace = self.workspace
        if self.beside is None or not decide_promotion.promotes_at_forge(workspace):
            return decide_promotion.find_waiting_promotions(workspace)
        # In a thread that a page does not wait for: it has its own view of the project.
        question = functools.partial(decide_promotion.find_waiting_promotions, self._own_view)
        heard = self._hear("promotions", question, "the forge")
        if heard is not None:
            return heard
        clone = workspace.registry_at_hand
        proposed = decide_promotion.find_proposed_branches(clone, remotes.choose_remote(clone))
        if proposed:
            self.note("promotions are those whose branches are here")
        return proposed

    @cached_property
    @_attempted(_NOTHING)
    def decisions(self) -> Mapping[str, Promotion]:
        """What main took of all models, by the name of its page, the newest first; of one that
        was decided several times the last."""
        histories = self.stage_histories
        return self._recall("decisions", lambda: _name_decisions(histories)) if histories else {}

    @_attempted(())
    def list_moves(self, stage: str) -> Sequence[StageMove]:
        """Every change of what a stage should run."""
        return self.stage_histories.list_moves(stage) if self.stage_histories else ()

    def judge_decisions(self, promotions: Sequence[Promotion]) -> tuple[HistoryEntry, ...]:
        """Some of them, with who let them in."""
        return self._judge_entries(lambda histories: histories.judge_all(promotions))

    def judge_moves(self, moves: Iterable[StageMove]) -> tuple[HistoryEntry, ...]:
        return self._judge_entries(lambda histories: histories.judge_moves(moves))

    @_attempted(())
    def _judge_entries(
        self, judge: Callable[[StageHistories], tuple[HistoryEntry, ...]]
    ) -> tuple[HistoryEntry, ...]:
        return judge(self.stage_histories) if self.stage_histories else ()

    @cached_property
    def site_decisions(self) -> frozenset[str]:
        """Those that have a page in a site of files: each takes a tenth of a second."""
        return frozenset(itertools.islice(self.decisions, _SITE_DECISIONS))

    @cached_property
    def _run_names(self) -> Sequence[str]:
        return run_folders.list_run_names(self.workspace.runs)

    @cached_property
    def site_runs(self) -> frozenset[str]:
        """The runs that have a page in a site of files."""
        return frozenset(self._run_names[-SITE_RUNS:])

    @cached_property
    def site_outputs(self) -> Mapping[OutputAddress, str]:
        """The outputs that have a page in a site of files, and the file beside each."""
        if not self.publishes_outputs:
            return {}
        return choose_site_outputs(self.workspace, self.recent_runs(SITE_RUNS))

    def has_run_page(self, run: str, is_static: bool = False) -> bool:
        """Whether a run is in this folder, and can be looked at."""
        return run in (self.site_runs if is_static else self._run_names)

    @_attempted(())
    def promotion_reviews(self, branch: str) -> tuple[Review, ...]:
        """What people said of a promotion at the forge, as it was heard last."""
        if not decide_promotion.promotes_at_forge(self.workspace):
            return ()
        question = functools.partial(
            decide_promotion.find_promotion_reviews, self._own_view, branch
        )
        return self._hear(f"reviews of {branch}", question, "the forge") or ()

    @cached_property
    @_attempted(None)
    def deployed_runs(self) -> RunsAtApi | None:
        """The runs of deployments that a Prefect API knows; None where there is no API, and in a
        site of files, which is read elsewhere."""
        if self.beside is None or self.project is None:
            return None
        from towpath.backends.prefect.runs_at_api import list_runs_at_api

        name = self.project.name
        # That there is no API is an answer, too.
        heard = self._hear("runs", lambda: (list_runs_at_api(self.root, name),), "Prefect", 15)
        return heard[0] if heard else None

    @_attempted(None)
    def find_deployed_run(self, run: str) -> WholeRunAtApi | None:
        """A run of a deployment; None where no API knows it, or none has said so yet."""
        from towpath.backends.prefect.runs_at_api import read_run_at_api

        question = functools.partial(read_run_at_api, self.root, self.name, run)
        heard = self._hear(f"run {run}", lambda: (question(),), "Prefect", 2, _RUN_PATIENCE)
        return heard[0] if heard else None

    def observe_stage(self, stage: str, waits: bool = True) -> HeardAnswer | None:
        """What ``towpath reconcile`` says of a stage, as it was heard last; None without a server:
        a site of files would tell what is no more so."""
        if self.beside is None:
            return None

        # Its own view, in a thread of its own; of a remote nothing is asked for a page.
        options = ReconcileOptions(offline=True)
        plan_now = functools.partial(plan_stage, self._own_view, stage, options)
        return self.beside.ask(f"stage {stage}", plan_now, patience=None if waits else 0)

    @cached_property
    @_attempted(None)
    def stage_histories(self) -> StageHistories | None:
        """What main took, and what came of it; who let it in is judged of what is shown alone. No
        forge is asked."""
        if self.policy is None:  # as a shared registry that was never heard: that is said already
            return None
        open_all = functools.partial(stage_history.open_stage_histories, self.workspace)
        return self._recall("histories", open_all)

    def model_history(self, model: str) -> Sequence[HistoryEntry]:
        """Every change of what stages should run of a model, oldest first; no forge is asked."""
        return self._judge_entries(lambda histories: histories.judge_model(model))

    @_attempted(())
    def read_standings(self, *stages: str) -> tuple[StageStanding, ...]:
        """What stages should run and run, and who let that in."""
        files, histories = self.stage_files.wanted, self.stage_histories
        return list_standings(stages, files, self.models, histories, self.metric_policy)

    def recent_runs(self, count: int) -> list[RecordedRun]:
        return list(run_folders.recent_runs(self.workspace.runs, count))

    @cached_property
    def metric_policy(self) -> MetricPolicy:
        return MetricPolicy(self.policy)

    def judge_metric(self, metric: str, before: float | None, after: float | None) -> str:
        return judge_change(self.metric_policy.find_sign(metric), before, after)

    def main_metric(self, tables: Iterable[Mapping[str, float]]) -> str | None:
        """The main one of the first of these that has metrics."""
        return next(map(self.metric_policy.choose_metric, filter(None, tables)), None)


def _name_decisions(histories: StageHistories) -> Mapping[str, Promotion]:
    placed = enumerate(histories.ledger.promotions)  # of those of one second the last goes first
    named: dict[str, Promotion] = {}
    for _, promotion in sorted(placed, key=lambda pair: (pair[1].time, pair[0]), reverse=True):
        name = short_promotion_name(promotion.model, promotion.version, promotion.stage)
        named.setdefault(name, promotion)
    return named


def tell_silence(seconds: float) -> str:
    """That somebody who was asked ``seconds`` ago has not answered."""
    if seconds < LONG_SILENCE:
        return "has not answered yet: load the page again in a moment"
    return f"does not answer: it was asked {_age_words(seconds)} ago"


def _age_words(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


def _short_address(address: str) -> str:
    """``acme/abalone`` of an address of that repository, whatever stands before."""
    parts = re.split(r"[/:]+", hide_credentials(address).rstrip("/").removesuffix(".git"))
    return "/".join(parts[-2:])
