"""A plan carried out: under the stage's lease, a model after the other, each on its own account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from towpath.delivery.reconcile import deploy_steps, lease, observe_stage, reconcile_plan
from towpath.delivery.reconcile.deploy_permission import DeployGatesRefused, DeployJudge
from towpath.delivery.reconcile.main_witness import (
    PATH,
    MainWitness,
    find_displaced_since,
    find_rewritten,
    find_rewritten_here,
    mark_seen,
    read_witness,
    write_witness,
)
from towpath.delivery.reconcile.observe_stage import ObservedStage
from towpath.delivery.reconcile.reconcile_plan import (
    BlockedChange,
    DeployVersion,
    NothingToDo,
    RemoveModel,
    StageChange,
    StagePlan,
)
from towpath.delivery.reconcile.stage_site import RegistryView, StageSite, open_registry_view
from towpath.errors import ExitCode, Fault, Refused, StoreError, TowpathError, UsageError
from towpath.scratch import scratch_folder

if TYPE_CHECKING:
    from towpath.workspace import Workspace


ReconcileListener = Callable[[str, str, str], None]
"""Told the stage, the model and the step that begins now."""


@dataclass(frozen=True)
class ChangeOutcome:
    """What one change came to. ``words`` say it; of one that failed or was refused, ``faults``.

    ``revert`` is how the main branch goes back to what runs, after a gate said no: the address of
    the pull request that proposes it, or the command.
    """

    change: StageChange
    state: Literal["done", "refused", "failed"]
    words: str = ""
    faults: tuple[Fault, ...] = ()
    revert: str | None = None


@dataclass(frozen=True)
class AppliedPlan:
    """A plan that was carried out, as far as it could be."""

    plan: StagePlan
    outcomes: tuple[ChangeOutcome, ...]

    @property
    def exit_code(self) -> ExitCode:
        """The worst that happened."""
        states = {outcome.state for outcome in self.outcomes}
        if "failed" in states:
            return ExitCode.FAILED
        return ExitCode.REFUSED if "refused" in states else ExitCode.DONE


@dataclass(frozen=True)
class ReconcileOptions:
    """How a reconcile is called. ``patience`` is for another's lease, in seconds; ``environ``
    holds credentials (default: the process's environment). ``accepts_history`` says that a person
    has looked at a main branch that was rewritten, and takes it as it is."""

    offline: bool = False
    environ: Mapping[str, str] | None = None
    say: Callable[[str], object] = len
    listener: ReconcileListener | None = None
    patience: float | None = None
    accepts_history: bool = False


def plan_stage(
    workspace: Workspace, stage: str, options: ReconcileOptions = ReconcileOptions()
) -> StagePlan:
    """What reconciling a stage would do; nothing is changed, and no lease is needed."""
    site = StageSite.open_stage(
        open_registry_view(workspace, options.offline), stage, options.environ, options.say
    )
    site.rule.refuse_unsound()  # no store is opened that nobody agreed to
    notes = list(_plan_notes(site.view))
    if holder := lease.find_holder(site.store):
        notes.append(f"it is being reconciled by {holder}")
    _refuse_rewritten(site, options)
    observed = observe_stage.read_both_sides(site)
    return _make_plan(site, observed, (*notes, *_stage_notes(site, observed)))


def reconcile_stage(
    workspace: Workspace, stage: str, options: ReconcileOptions = ReconcileOptions()
) -> AppliedPlan:
    """Bring a stage to what the main branch wants of it.

    Main's head is read under the stage's lease: of two merges both are seen, in whatever order
    their events came. A model that cannot be changed leaves the others alone. Raises what keeps
    the stage as a whole from being seen: a store or a remote that does not answer, a lease that
    another holds.
    """
    workspace.registry_at_hand.read_identity()  # who tags: asked before anything is changed
    early = _early_site(workspace, stage, options)
    with lease.hold_stage_lease(early.store, options.patience) as held:
        site = StageSite.open_stage(
            open_registry_view(workspace, options.offline), stage, options.environ, options.say
        )
        site.rule.refuse_unsound()
        _refuse_another(early, site)
        remembered = _refuse_rewritten(site, options)
        observed = observe_stage.read_both_sides(site)
        made_plan = _make_plan(
            site, observed, (*_plan_notes(site.view), *_stage_notes(site, observed))
        )

        def step(model: str, name: str) -> None:
            held.check()
            if options.listener:
                options.listener(stage, model, name)

        with _scratch_path() as folder:
            work = deploy_steps.ReconcileWork(
                site, observed, DeployJudge(site, folder), folder, step
            )
            outcomes = tuple(_carried_out(work, change) for change in made_plan.pending)
        write_witness(site.store, remembered, site.rule)
        if site.view.there:
            mark_seen(site.view.repository, site.view.there)
    return AppliedPlan(made_plan, outcomes)


def _early_site(workspace: Workspace, stage: str, options: ReconcileOptions) -> StageSite:
    """Where the lease is, as main was here last, or as it is there now if that cannot be: the
    store of a declaration that nobody agreed to is not even opened. Raises ``Refused``."""
    if not options.offline:
        last_view = open_registry_view(workspace, fetches=False)
        try:
            early = StageSite.open_stage(last_view, stage, options.environ, options.say)
            early.rule.refuse_unsound()
        except (Refused, UsageError):  # main may have gone on since
            pass
        else:
            return early
    site = StageSite.open_stage(
        open_registry_view(workspace, options.offline), stage, options.environ, options.say
    )
    site.rule.refuse_unsound()
    return site


def _refuse_rewritten(site: StageSite, options: ReconcileOptions) -> MainWitness:
    """Nothing is done upon a main branch that was rewritten; what the stage remembers of it.

    Raises ``Refused`` with every fault.
    """
    if options.accepts_history:
        return MainWitness(None, _read_mark(site))
    remembered = read_witness(site.store)
    faults = [*find_rewritten(site.rule, remembered, site.stage)]
    if remembered.head is None:
        faults += find_rewritten_here(site.rule)
    faults += find_displaced_since(site.rule, remembered)
    if faults:
        raise Refused(*faults)
    return remembered


def _read_mark(site: StageSite) -> str | None:
    kept = site.store.read(PATH)
    return kept[1] if kept else None


def _refuse_another(early: StageSite, site: StageSite) -> None:
    """The lease is held where the stage's store was: it must still be there."""
    if early.store.backend.shown != site.store.backend.shown:
        what = f"the main branch says now that {site.stage} is kept in {site.store.backend.shown}"
        raise StoreError(what, hint="run again: it is read there from now on")


def _make_plan(site: StageSite, observed: ObservedStage, notes: tuple[str, ...]) -> StagePlan:
    return StagePlan(
        stage=site.stage,
        commit=site.view.main,
        changes=reconcile_plan.find_stage_changes(observed.wanted, observed.actual),
        store=site.store.backend.shown,
        target=site.target.shown,
        notes=notes,
    )


def _plan_notes(view: RegistryView) -> Iterator[str]:
    if view.ahead:
        yield f"the main branch here is {view.ahead} commits ahead of {view.remote}: push it"


def _stage_notes(site: StageSite, observed: ObservedStage) -> Iterator[str]:
    """Models in the stage's store that are another project's: they are left alone."""
    if observed.strangers:
        named = ", ".join(observed.strangers)
        yield f"{site.store.backend.shown} also holds what is not of this project: {named}"
    for desired in observed.wanted.values():
        if desired.rejected is not None and observed.actual[desired.model].runs(desired):
            yield (
                f"{desired.model}@{desired.version} runs, and was rejected: "
                f"{desired.rejected} ({desired.way})"
            )


def _carried_out(work: deploy_steps.ReconcileWork, change: StageChange) -> ChangeOutcome:
    if isinstance(change, BlockedChange):
        return ChangeOutcome(change, "refused", str(change), (change.fault,))
    assert not isinstance(change, NothingToDo)  # is not pending
    try:
        words = (
            deploy_steps.take_out(work, change)
            if isinstance(change, RemoveModel)
            else deploy_steps.deploy_version(work, change)
        )
    except DeployGatesRefused as refused:
        revert = propose_revert(work.site, change)
        return ChangeOutcome(change, "refused", _first_fault(refused), refused.faults, revert)
    except Refused as refused:
        return ChangeOutcome(change, "refused", _first_fault(refused), refused.faults)
    except TowpathError as error:
        if error.exit_code is ExitCode.BUG:
            raise
        return ChangeOutcome(change, "failed", _first_fault(error), error.faults)
    return ChangeOutcome(change, "done", words)


def _first_fault(error: TowpathError) -> str:
    return error.faults[0].what if error.faults else ""


@contextmanager
def _scratch_path() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield Path(folder)


def propose_revert(site: StageSite, change: StageChange) -> str | None:
    """A pull request that goes back to the incumbent, where there is a forge; else the command."""
    if not isinstance(change, DeployVersion):
        return None
    if site.forge is None:
        return revert_command(site.stage, change)
    from towpath.delivery import promotion

    why = f"A deploy gate of {site.stage} refused {change.model}@{change.version}."
    try:
        proposal = (
            promotion.propose_rollback(
                site.view.workspace, change.model, site.stage, to=str(change.over), why=why
            )
            if change.over
            else promotion.propose_demotion(site.view.workspace, change.model, site.stage, why=why)
        )
    except TowpathError as refused:  # a rejected incumbent, a token that may not
        site.say(f"no revert could be proposed: {refused}")
        return revert_command(site.stage, change)
    return proposal.url or revert_command(site.stage, change)


def revert_command(stage: str, change: DeployVersion) -> str:
    """What a person types."""
    if change.over is None:
        return f"towpath demote {change.model} --stage {stage}"
    return f"towpath rollback {change.model} --stage {stage} --to {change.over}"
