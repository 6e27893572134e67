"""Verifying: everything recomputed from main's merged stage files, and what does not agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath.audit import audit_finding
from towpath.audit.approvals import Approvals, ask_rule, open_approvals
from towpath.audit.audit_finding import AuditFinding, ExplainedFinding, UncheckedPart
from towpath.audit.checks import (
    main_line_check,
    record_check,
    signature_check,
    stage_tag_check,
    store_check,
)
from towpath.audit.checks.signature_check import SurveyedSignature
from towpath.audit.ledger import AuditLedger, open_ledger, refuse_stage_that_never_was
from towpath.backends.git import Repository, main_branch, remotes
from towpath.errors import RegistryError

if TYPE_CHECKING:
    from towpath.delivery.promotion.main_line_approvals import MainRedirect
    from towpath.delivery.promotion.rule_changes import RuleChange
    from towpath.workspace import Workspace


class VerificationReport(Struct, frozen=True):
    """What was found wrong, what could not be looked at, and how much was looked at.

    ``rule_changes`` are all changes of the rules on main, the oldest first, whoever agreed.
    ``explained`` are findings of the past that a note on main explains. ``redirect`` says by what
    ``main`` is another branch than the remote's HEAD, None where it is that one.
    """

    main: str
    findings: tuple[AuditFinding, ...]
    unchecked: tuple[UncheckedPart, ...]
    looked_at: Mapping[str, int]
    rule_changes: tuple[RuleChange, ...] = ()
    explained: tuple[ExplainedFinding, ...] = ()
    signatures: tuple[SurveyedSignature, ...] = ()
    redirect: MainRedirect | None = None


def verify_registry(
    workspace: Workspace,
    model: str | None = None,
    stage: str | None = None,
    offline: bool = False,
    signed: bool = False,
) -> VerificationReport:
    """Hold the registry, the tags and the stores against the merged stage files.

    ``stage`` leaves out what concerns other stages alone; ``offline`` leaves out the stores and
    the forge; ``signed`` looks at every signature, too. Raises ``UsageError`` for a model or a
    stage that is not there, ``RegistryError`` in a clone without tags or without the whole history.
    """
    ahead = () if offline else tuple(_main_branch(workspace.registry))
    ledger = open_ledger(workspace, model, _agreed_main(workspace.registry))
    if stage is not None:
        refuse_stage_that_never_was(ledger, stage)
        ledger = replace(ledger, stage=stage)
    approvals = open_approvals(workspace, ledger, ask=not offline)
    approvals.rule.read_ahead(ledger.promotions)
    surveyed = signature_check.survey_signatures(ledger) if signed else ()
    results = [*ahead, *_check_git(ledger, approvals, surveyed)]
    if not offline:
        results += store_check.check_stores(workspace, ledger, approvals)
    findings = (result for result in results if isinstance(result, AuditFinding))
    unexplained, explained = audit_finding.split_explained(findings, approvals)
    counts = {
        "promotions": len(ledger.promotions),
        "stage tags": len(ledger.stage_tags),
        "versions": sum(len(model.versions) for model in ledger.models.values()),
    }
    return VerificationReport(
        main=ledger.main,
        findings=unexplained,
        explained=explained,
        unchecked=tuple(result for result in results if isinstance(result, UncheckedPart)),
        looked_at=counts | ({"signatures": len(surveyed)} if signed else {}),
        rule_changes=ask_rule(lambda: approvals.rule.rules.changes, ()),
        signatures=surveyed,
        redirect=ask_rule(lambda: approvals.rule.main_redirect, None),
    )


def doubted_tags(workspace: Workspace, model: str) -> frozenset[str]:
    """The stage tags of a model with which something is wrong: those that may be set aside."""
    ledger = open_ledger(workspace, model, _agreed_main(workspace.registry))
    approvals = open_approvals(workspace, ledger, ask=False)
    findings = stage_tag_check.check_stage_tags(ledger, approvals)
    return frozenset(str(finding.fault.place) for finding in findings)


def _check_git(
    ledger: AuditLedger, approvals: Approvals, surveyed: tuple[SurveyedSignature, ...]
) -> Iterator[AuditFinding | UncheckedPart]:
    yield from main_line_check.check_main_line(approvals)
    yield from main_line_check.check_ownership(ledger)
    yield from main_line_check.check_stage_files(ledger, approvals)
    yield from stage_tag_check.check_stage_tags(ledger, approvals)
    yield from record_check.check_records(ledger)
    yield from main_line_check.check_substitutes(ledger)
    demanded = signature_check.survey_demanded(ledger, approvals)
    yield from signature_check.check_signers(ledger)
    yield from signature_check.check_demanded(demanded)
    yield from signature_check.check_signatures(ledger, surveyed, demanded)


def _agreed_main(repository: Repository) -> str | None:
    """The commit of the branch that is main as long as nobody agreed to another; None where the
    one that is taken for main is."""
    from towpath.delivery.promotion.main_line_approvals import ApprovalRule

    # What stands on the other one would else be held against tags and stores that are right.
    commit = None if repository.is_shallow() else main_branch.redirecting_commit(repository)
    if commit is None:
        return None
    redirect = ApprovalRule(repository, commit).main_redirect
    return commit if redirect and redirect.faults else None


def _main_branch(repository: Repository) -> Iterator[UncheckedPart]:
    """Whether the remote still takes the branch for main that is read here."""
    remote = remotes.choose_remote(repository)
    kept = main_branch.kept_head(repository, remote) if remote else None
    if remote is None or kept is None:
        return
    try:
        remote_head = remotes.remote_head_branch(repository, remote)
    except RegistryError as silent:
        what = f"whether `{kept}` is still the main branch of {remote}"
        yield UncheckedPart("promotion", what, silent.faults[0].what)
        return
    if remote_head not in (None, kept):  # all that would be found is of another branch
        what = f"the main branch of {remote} is `{remote_head}` now"
        raise RegistryError(f"{what}, and here it is taken to be `{kept}`", hint="towpath fetch")
