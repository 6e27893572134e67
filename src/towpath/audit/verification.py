"""Verifying: everything recomputed from main's merged stage files, and what does not agree."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.audit.approvals import Approvals, approvals
from towpath.audit.audit_finding import Finding, Unchecked
from towpath.audit.checks import (
    main_line_check,
    ownership_check,
    record_check,
    signature_check,
    stage_file_check,
    stage_tag_check,
    store_check,
    substitute_check,
)
from towpath.audit.checks.signature_check import Signed
from towpath.audit.finding_notes import Explained, Notes
from towpath.audit.ledger import Ledger, open_ledger, refuse_stage_that_never_was
from towpath.backends.git import Repository, main_branch, remotes
from towpath.errors import ForgeError, RegistryError, TowpathError
from towpath.registry import shared_registry
from towpath.storage.stage_store import StageStore

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.delivery.promotion.approval_rule import Redirect
    from towpath.delivery.promotion.rule_changes import RuleChange
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Verified:
    """What was found wrong, what could not be looked at, and how much was looked at.

    ``rule_changes`` are all changes of the rules on main, the oldest first, whoever agreed.
    ``explained`` are findings of the past that a note on main explains. ``redirect`` says by what
    ``main`` is another branch than the remote's HEAD, None where it is that one.
    """

    main: str
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    looked_at: Mapping[str, int]
    rule_changes: tuple[RuleChange, ...] = ()
    explained: tuple[Explained, ...] = ()
    signatures: tuple[Signed, ...] = ()
    redirect: Redirect | None = None


def verify(
    workspace: Workspace,
    model: str | None = None,
    stage: str | None = None,
    offline: bool = False,
    environ: Mapping[str, str] | None = None,
    signed: bool = False,
) -> Verified:
    """Hold the registry, the tags and the stores against the merged stage files.

    ``stage`` leaves out what concerns other stages alone; ``offline`` leaves out the stores and
    the forge; ``signed`` looks at every signature, too. Raises ``UsageError`` for a model or a
    stage that is not there, ``RegistryError`` in a clone without tags or without the whole history.
    """
    ahead = () if offline else tuple(_main_branch(workspace.registry))
    ledger = _open_agreed(workspace, model)
    if stage is not None:
        refuse_stage_that_never_was(ledger, stage)
        ledger = ledger.only(stage)
    known = approvals(workspace, ledger, ask=not offline)
    surveyed = signature_check.survey(ledger) if signed else ()
    kept = () if offline else _stores(workspace, ledger, environ or os.environ, known)
    found = [*ahead, *_git(ledger, known), *_check_signatures(ledger, known, surveyed), *kept]
    notes = Notes(ledger, known)
    unexplained, explained = notes.split(one for one in found if isinstance(one, Finding))
    return Verified(
        main=ledger.main,
        findings=tuple(unexplained),
        explained=tuple(explained),
        unchecked=tuple(one for one in found if isinstance(one, Unchecked)),
        looked_at={
            "promotions": len(ledger.promotions),
            "stage tags": len(ledger.assigned),
            "versions": sum(len(each.versions) for each in ledger.models.values()),
            **({"signatures": len(surveyed)} if signed else {}),
        },
        rule_changes=_rule_changes(known),
        signatures=surveyed,
        redirect=_redirect(known),
    )


def doubted_tags(workspace: Workspace, model: str) -> frozenset[str]:
    """The stage tags of a model with which something is wrong: those that may be set aside."""
    ledger = _open_agreed(workspace, model)
    found = stage_tag_check.check(ledger, approvals(workspace, ledger, ask=False))
    return frozenset(str(one.fault.place) for one in found if isinstance(one, Finding))


def _git(ledger: Ledger, known: Approvals) -> Iterator[Finding | Unchecked]:
    """All that Git alone tells."""
    yield from main_line_check.check(known)
    yield from ownership_check.check(ledger)
    yield from stage_file_check.check(ledger, known)
    yield from stage_tag_check.check(ledger, known)
    yield from record_check.check(ledger)
    yield from substitute_check.check(ledger)


def _check_signatures(
    ledger: Ledger, known: Approvals, surveyed: tuple[Signed, ...]
) -> Iterator[Finding | Unchecked]:
    demanded = signature_check.survey_demanded(ledger, known)
    yield from signature_check.check_signers(ledger)
    yield from signature_check.check_demanded(demanded)
    yield from signature_check.check(ledger, surveyed, demanded)


def _rule_changes(known: Approvals) -> tuple[RuleChange, ...]:
    try:
        return known.rule.rules.changes
    except ForgeError:  # told among what could not be looked at
        return ()


def _open_agreed(workspace: Workspace, model: str | None) -> Ledger:
    """The registry as the main branch has it that is agreed to."""
    return open_ledger(workspace, model, _agreed_main(workspace.registry))


def _agreed_main(repository: Repository) -> str | None:
    """The commit of the branch that is main as long as nobody agreed to another; None where the
    one that is taken for main is. What stands on the other one would else be held against tags
    and stores that are right.
    """
    from towpath.delivery.promotion.approval_rule import ApprovalRule

    commit = None if repository.is_shallow() else main_branch.redirecting(repository)
    if commit is None:
        return None
    redirect = ApprovalRule(repository, commit).redirect
    return commit if redirect and redirect.faults else None


def _redirect(known: Approvals) -> Redirect | None:
    try:
        return known.rule.redirect
    except ForgeError:  # told among what could not be looked at
        return None


def _main_branch(repository: Repository) -> Iterator[Unchecked]:
    """Whether the remote still takes the branch for main that is read here.

    Raises ``RegistryError`` where it does not: what would be found is of another branch.
    """
    remote = remotes.chosen(repository)
    kept = main_branch.kept_head(repository, remote) if remote else None
    if remote is None or kept is None:
        return
    try:
        now = remotes.head(repository, remote)
    except RegistryError as silent:
        what = f"whether `{kept}` is still the main branch of {remote}"
        yield Unchecked("promotion", what, silent.faults[0].what)
        return
    if now not in (None, kept):
        what = f"the main branch of {remote} is `{now}` now, and here it is taken to be `{kept}`"
        raise RegistryError(what, hint="towpath fetch")


def _origin(workspace: Workspace) -> str | None:
    """The address of the project's code, as records in a shared registry name it."""
    repository = workspace.repository
    if repository is None or not workspace.shared_registry:
        return None
    return shared_registry.origin(repository)


def _project_in_force(known: Approvals) -> Project | None:
    """The declaration whose stores are opened; None where it is not known which is in force."""
    try:
        return None if known.rule.unasked() else known.rule.rules_now().policy
    except ForgeError:
        return None


def _stores(
    workspace: Workspace, ledger: Ledger, environ: Mapping[str, str], known: Approvals
) -> Iterator[Finding | Unchecked]:
    """The project's store and those of the stages, as far as this identity is let in."""

    try:
        yield from store_check.project(ledger, workspace.store, workspace.root, _origin(workspace))
    except TowpathError as silent:
        yield Unchecked("artifact", "the project's store", silent.faults[0].what)
    project = _project_in_force(known)
    if project is None:
        what = "it is not known that the rules which name them were agreed to"
        yield Unchecked("artifact", "the stores of the stages", what)
        return
    for name in project.stages:
        if ledger.stage not in (None, name):
            continue
        try:
            store = StageStore.open(project, name, environ, workspace.home)
        except TowpathError as closed:
            # Whoever has no keys of a stage that main asks nothing of lacks nothing by that.
            if any(promotion.stage == name for promotion in ledger.promotions):
                yield Unchecked("artifact", f"the store of {name}", closed.faults[0].what)
            continue
        # A stage may remember promotions of which main, rewritten, holds none.
        yield from main_line_check.remembered(known, store)
        yield from store_check.stage(ledger, store)
        yield from store_check.target(ledger, project.stages[name], store, workspace.home)
