"""A plan carried out: under the stage's lease, a model after the other, each on its own account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from towpath.delivery.reconcile import (
    deploy_steps,
    lease,
    observe_stage,
    reconcile_plan,
    revert_proposal,
)
from towpath.delivery.reconcile.deploy_permission import GatesRefused, Judge
from towpath.delivery.reconcile.main_witness import (
    PATH,
    Witness,
    find_displaced_since,
    find_rewritten,
    find_rewritten_here,
    mark_seen,
    read_witness,
    write_witness,
)
from towpath.delivery.reconcile.observe_stage import Seen
from towpath.delivery.reconcile.stage_changes import Blocked, Change, Nothing, Plan, Remove
from towpath.delivery.reconcile.stage_site import Site, View, view
from towpath.errors import ExitCode, Fault, Refused, StoreError, TowpathError, UsageError
from towpath.scratch import scratch_folder

if TYPE_CHECKING:
    from towpath.workspace import Workspace

Listener = Callable[[str, str, str], None]
"""Told the stage, the model and the step that begins now."""


@dataclass(frozen=True)
class Outcome:
    """What one change came to. ``words`` say it; of one that failed or was refused, ``faults``.

    ``revert`` is how the main branch goes back to what runs, after a gate said no: the address of
    the pull request that proposes it, or the command.
    """

    change: Change
    state: Literal["done", "refused", "failed"]
    words: str = ""
    faults: tuple[Fault, ...] = ()
    revert: str | None = None


@dataclass(frozen=True)
class Applied:
    """A plan that was carried out, as far as it could be."""

    plan: Plan
    outcomes: tuple[Outcome, ...]

    @property
    def exit_code(self) -> ExitCode:
        """The worst that happened."""
        states = {one.state for one in self.outcomes}
        if "failed" in states:
            return ExitCode.FAILED
        return ExitCode.REFUSED if "refused" in states else ExitCode.DONE


@dataclass(frozen=True)
class Options:
    """How a reconcile is called. ``patience`` is for another's lease, in seconds; ``environ``
    holds credentials (default: the process's environment). ``accepts_history`` says that a person
    has looked at a main branch that was rewritten, and takes it as it is."""

    offline: bool = False
    environ: Mapping[str, str] | None = None
    say: Callable[[str], object] = len
    listener: Listener | None = None
    patience: float | None = None
    accepts_history: bool = False


def plan(workspace: Workspace, stage: str, options: Options = Options()) -> Plan:
    """What reconciling a stage would do; nothing is changed, and no lease is needed."""
    site = Site.of(view(workspace, options.offline), stage, options.environ, options.say)
    site.rule.refuse_unsound()  # no store is opened that nobody agreed to
    notes = list(_notes(site.view))
    if holder := lease.holder(site.store):
        notes.append(f"it is being reconciled by {holder}")
    _refuse_rewritten(site, options)
    seen = observe_stage.look(site)
    return _planned(site, seen, (*notes, *_beside(site, seen)))


def apply(workspace: Workspace, stage: str, options: Options = Options()) -> Applied:
    """Bring a stage to what the main branch wants of it.

    Main's head is read under the stage's lease: of two merges both are seen, in whatever order
    their events came. A model that cannot be changed leaves the others alone. Raises what keeps
    the stage as a whole from being seen: a store or a remote that does not answer, a lease that
    another holds.
    """
    workspace.registry_at_hand.identity()  # who tags: asked before anything is changed
    early = _early_site(workspace, stage, options)
    with lease.held(early.store, options.patience) as held:
        site = Site.of(view(workspace, options.offline), stage, options.environ, options.say)
        site.rule.refuse_unsound()
        _refuse_another(early, site)
        remembered = _refuse_rewritten(site, options)
        seen = observe_stage.look(site)
        made = _planned(site, seen, (*_notes(site.view), *_beside(site, seen)))

        def step(model: str, name: str) -> None:
            held.check()
            if options.listener:
                options.listener(stage, model, name)

        with _scratch() as folder:
            work = deploy_steps.Work(site, seen, Judge(site, folder), folder, step)
            outcomes = tuple(_carried_out(work, change) for change in made.pending)
        write_witness(site.store, remembered, site.rule)
        if site.view.there:
            mark_seen(site.view.repository, site.view.there)
    return Applied(made, outcomes)


def _early_site(workspace: Workspace, stage: str, options: Options) -> Site:
    """Where the lease is, as main was here last, or as it is there now if that cannot be: the
    store of a declaration that nobody agreed to is not even opened. Raises ``Refused``."""
    if not options.offline:
        known = view(workspace, fetches=False)
        try:
            early = Site.of(known, stage, options.environ, options.say)
            early.rule.refuse_unsound()
        except (Refused, UsageError):  # main may have gone on since
            pass
        else:
            return early
    site = Site.of(view(workspace, options.offline), stage, options.environ, options.say)
    site.rule.refuse_unsound()
    return site


def _refuse_rewritten(site: Site, options: Options) -> Witness:
    """Nothing is done upon a main branch that was rewritten; what the stage remembers of it.

    Raises ``Refused`` with every fault.
    """
    if options.accepts_history:
        return Witness(None, _mark(site))
    remembered = read_witness(site.store)
    faults = [*find_rewritten(site.rule, remembered, site.stage)]
    if remembered.head is None:
        faults += find_rewritten_here(site.rule)
    faults += find_displaced_since(site.rule, remembered)
    if faults:
        raise Refused(*faults)
    return remembered


def _mark(site: Site) -> str | None:
    kept = site.store.read(PATH)
    return kept[1] if kept else None


def _refuse_another(early: Site, site: Site) -> None:
    """The lease is held where the stage's store was: it must still be there."""
    if early.store.backend.shown != site.store.backend.shown:
        what = f"the main branch says now that {site.stage} is kept in {site.store.backend.shown}"
        raise StoreError(what, hint="run again: it is read there from now on")


def _planned(site: Site, seen: Seen, notes: tuple[str, ...]) -> Plan:
    return Plan(
        stage=site.stage,
        commit=site.view.main,
        changes=reconcile_plan.compare(seen.wanted, seen.actual),
        store=site.store.backend.shown,
        target=site.target.shown,
        notes=notes,
    )


def _notes(known: View) -> Iterator[str]:
    if known.ahead:
        yield f"the main branch here is {known.ahead} commits ahead of {known.remote}: push it"


def _beside(site: Site, seen: Seen) -> Iterator[str]:
    """Models in the stage's store that are another project's: they are left alone."""
    if seen.strangers:
        named = ", ".join(seen.strangers)
        yield f"{site.store.backend.shown} also holds what is not of this project: {named}"
    for one in seen.wanted.values():
        if one.rejected is not None and seen.actual[one.model].runs(one):
            yield f"{one.model}@{one.version} runs, and was rejected: {one.rejected} ({one.way})"


def _carried_out(work: deploy_steps.Work, change: Change) -> Outcome:
    if isinstance(change, Blocked):
        return Outcome(change, "refused", str(change), (change.fault,))
    assert not isinstance(change, Nothing)  # is not pending
    try:
        words = (
            deploy_steps.take_out(work, change)
            if isinstance(change, Remove)
            else deploy_steps.put(work, change)
        )
    except GatesRefused as refused:
        revert = revert_proposal.propose(work.site, change)
        return Outcome(change, "refused", _first(refused), refused.faults, revert)
    except Refused as refused:
        return Outcome(change, "refused", _first(refused), refused.faults)
    except TowpathError as error:
        if error.exit_code is ExitCode.BUG:
            raise
        return Outcome(change, "failed", _first(error), error.faults)
    return Outcome(change, "done", words)


def _first(error: TowpathError) -> str:
    return error.faults[0].what if error.faults else ""


@contextmanager
def _scratch() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield Path(folder)
