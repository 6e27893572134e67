"""A plan carried out: under the stage's lease, a model after the other, each on its own account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from towpath.delivery.reconcile import (
    deploy_steps,
    lease,
    observe_stage,
    reconcile_plan,
    remembered_main,
)
from towpath.delivery.reconcile.deploy_steps import DeployGatesRefused
from towpath.delivery.reconcile.observe_stage import ObservedStage
from towpath.delivery.reconcile.open_stage import StageSite, open_stage_site
from towpath.delivery.reconcile.reconcile_plan import (
    BlockedChange,
    DeployVersion,
    NothingToDo,
    RemoveModel,
    StageChange,
    StagePlan,
)
from towpath.delivery.reconcile.remembered_main import MainWitness
from towpath.errors import ExitCode, Fault, Refused, StoreError, TowpathError, UsageError
from towpath.scratch import scratch_folder
from towpath.workspace import Workspace

ReconcileListener = Callable[[str, str, str], None]
"""Told the stage, the model and the step that begins now."""


class ChangeOutcome(Struct, frozen=True):
    """What one change came to. ``words`` say it; of one that failed or was refused, ``faults``.
    ``revert`` is how the main branch goes back to what runs, after a gate said no: the address of
    the pull request that proposes it, or the command."""

    change: StageChange
    state: Literal["done", "refused", "failed"]
    words: str = ""
    faults: tuple[Fault, ...] = ()
    revert: str | None = None


class AppliedPlan(Struct, frozen=True):
    plan: StagePlan
    outcomes: tuple[ChangeOutcome, ...]

    @property
    def changed_models(self) -> tuple[str, ...]:
        """The models of which the stage runs another version now, or none."""
        ended_well = (outcome.change for outcome in self.outcomes if outcome.state == "done")
        return tuple(c.model for c in ended_well if c.kind in ("deploy", "remove"))

    @property
    def exit_code(self) -> ExitCode:
        states = {outcome.state for outcome in self.outcomes}
        if "failed" in states:
            return ExitCode.FAILED
        return ExitCode.REFUSED if "refused" in states else ExitCode.DONE


class ReconcileOptions(Struct, frozen=True):
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
    site = _open_agreed_site(workspace, stage, options)
    holder = lease.find_holder(site.store)
    _refuse_rewritten(site, options)
    notes = [f"it is being reconciled by {holder}"] if holder else []
    return _make_plan(site, observe_stage.read_both_sides(site), notes)


def reconcile_stage(
    workspace: Workspace, stage: str, options: ReconcileOptions = ReconcileOptions()
) -> AppliedPlan:
    """Bring a stage to what the main branch wants of it. A model that cannot be changed leaves the
    others alone. Raises what keeps the stage as a whole from being seen: a store or a remote that
    does not answer, a lease that another holds."""
    workspace.registry_at_hand.read_identity()  # who tags: asked before anything is changed
    # Where the lease is: as main was here last, or as it is there now if that cannot be.
    try:
        early = _open_agreed_site(workspace, stage, options, fetches=options.offline)
    except (Refused, UsageError):  # main may have gone on since
        if options.offline:
            raise
        early = _open_agreed_site(workspace, stage, options)
    with lease.hold_stage_lease(early.store, options.patience) as held, scratch_folder() as folder:
        # Main's head is read under the lease: whoever comes second to it sees both of two merges,
        # in whatever order their events came.
        site = _open_agreed_site(workspace, stage, options)
        # Main may have moved the store between the two looks: the lease would guard the old one.
        if early.store.backend.shown != (shown := site.store.backend.shown):
            what = f"the main branch says now that {stage} is kept in {shown}"
            raise StoreError(what, hint="run again: it is read there from now on")
        remembered = _refuse_rewritten(site, options)
        observed = observe_stage.read_both_sides(site)
        made_plan = _make_plan(site, observed)

        def begin_step(model: str, name: str) -> None:
            held.check()  # before each step: whoever lost the lease must not act beside its holder
            if options.listener:
                options.listener(stage, model, name)

        work = deploy_steps.ReconcileWork(site, observed, folder, begin_step)
        outcomes = tuple(_carried_out(work, change) for change in made_plan.pending)
        # Last, and also where a change was refused: main was seen as it is, whatever came of it.
        remembered_main.write_witness(site.store, remembered, site.rule)
        if site.there:
            remembered_main.mark_seen(site.repository, site.there)
    return AppliedPlan(made_plan, outcomes)


def _open_agreed_site(
    workspace: Workspace, stage: str, options: ReconcileOptions, fetches: bool = True
) -> StageSite:
    offline, fetches = options.offline, fetches and not options.offline
    site = open_stage_site(workspace, stage, options.environ, options.say, offline, fetches)
    site.rule.refuse_unsound()  # before its store is opened: nobody may have agreed to the address
    return site


def _refuse_rewritten(site: StageSite, options: ReconcileOptions) -> MainWitness:
    """What the stage remembers of main; ``Refused`` with every fault where that was rewritten."""
    if options.accepts_history:
        kept = site.store.read(remembered_main.PATH)
        return MainWitness(None, kept[1] if kept else None)
    remembered = remembered_main.read_witness(site.store)
    faults = [*remembered_main.find_rewritten(site.rule, remembered, site.stage)]
    if remembered.head is None:
        faults += remembered_main.find_rewritten_here(site.rule)
    faults += remembered_main.find_displaced_since(site.rule, remembered)
    if faults:
        raise Refused(*faults)
    return remembered


def _make_plan(site: StageSite, observed: ObservedStage, notes: Iterable[str] = ()) -> StagePlan:
    return StagePlan(
        stage=site.stage,
        commit=site.main,
        changes=reconcile_plan.find_stage_changes(observed.wanted, observed.actual),
        store=site.store.backend.shown,
        target=site.target.shown,
        notes=tuple(_stage_notes(site, observed, notes)),
    )


def _stage_notes(site: StageSite, observed: ObservedStage, notes: Iterable[str]) -> Iterator[str]:
    if site.ahead:
        yield f"the main branch here is {site.ahead} commits ahead of {site.remote}: push it"
    yield from notes
    if observed.strangers:  # which are left alone
        named = ", ".join(observed.strangers)
        yield f"{site.store.backend.shown} also holds what is not of this project: {named}"
    for desired in observed.wanted.values():
        if desired.rejected is not None and observed.actual[desired.model].runs(desired):
            name = f"{desired.model}@{desired.version}"
            yield f"{name} runs, and was rejected: {desired.rejected} ({desired.way})"


def _carried_out(work: deploy_steps.ReconcileWork, change: StageChange) -> ChangeOutcome:
    if isinstance(change, BlockedChange):
        return ChangeOutcome(change, "refused", str(change), (change.fault,))
    assert not isinstance(change, NothingToDo)  # is not pending
    try:
        if isinstance(change, RemoveModel):
            words = deploy_steps.take_out(work, change)
        else:
            words = deploy_steps.deploy_version(work, change)
    except Refused as refused:
        is_by_gates = isinstance(refused, DeployGatesRefused)
        revert = propose_revert(work.site, change) if is_by_gates else None
        return ChangeOutcome(change, "refused", refused.faults[0].what, refused.faults, revert)
    except TowpathError as error:
        if error.exit_code is ExitCode.BUG:  # ours: it must not look like a store that is down
            raise
        words = error.faults[0].what if error.faults else ""
        return ChangeOutcome(change, "failed", words, error.faults)
    return ChangeOutcome(change, "done", words)


def propose_revert(site: StageSite, change: StageChange) -> str | None:
    """A pull request that goes back to the incumbent, where there is a forge; else the command."""
    if not isinstance(change, DeployVersion):
        return None
    model, stage = change.model, site.stage
    command = f"towpath demote {model} --stage {stage}"
    if change.over:
        command = f"towpath rollback {model} --stage {stage} --to {change.over}"
    if site.forge is None:
        return command
    from towpath.delivery import promotion

    why = f"A deploy gate of {stage} refused {model}@{change.version}."
    workspace = site.workspace
    try:
        if change.over:
            to = str(change.over)
            proposal = promotion.propose_rollback(workspace, model, stage, to=to, why=why)
        else:
            proposal = promotion.propose_demotion(workspace, model, stage, why=why)
    except TowpathError as refused:  # a rejected incumbent, a token that may not
        site.say(f"no revert could be proposed: {refused}")
        return command
    return proposal.url or command
