"""Is main's line whole, and came each stage file of it by a promotion that was approved?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath import registry
from towpath.audit.approvals import UNKNOWN, Approvals
from towpath.audit.audit_finding import EXPLAIN, AuditFinding, UncheckedPart, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.backends.git import commit_history
from towpath.delivery.promotion import main_line_approvals
from towpath.delivery.promotion.promotion_case import leave_version
from towpath.delivery.reconcile import remembered_main
from towpath.errors import ForgeError, Malformed, TowpathError
from towpath.registry import Promotion, policy_at_commit, stage_files
from towpath.storage.stage_store import StageStore


def check_main_line(approvals: Approvals) -> Iterator[AuditFinding | UncheckedPart]:
    """The rules that nobody agreed to who had to, and the decisions that a merge displaced."""
    rule = approvals.rule
    try:
        history = rule.rules
    except ForgeError as silent:
        yield UncheckedPart("rules", "who agreed to changes of the rules", silent.faults[0].what)
    else:
        yield from (AuditFinding("rules", fault) for fault in rule.unsound_faults())
        for change in history.changes:
            if change.level == UNKNOWN:
                yield UncheckedPart("rules", f"who agreed to {change}", change.why)
    yield from (AuditFinding("main", fault) for fault in remembered_main.find_rewritten_here(rule))
    for fault in map(main_line_approvals.displaced_fault, rule.displaced_decisions):
        # What is past stays so when it is put right: both, the way and the word, are asked for.
        hint = f"{fault.hint}; then {EXPLAIN}"
        yield make_finding("main", fault.what, str(fault.place), hint, is_past=True)


def check_remembered_main(
    approvals: Approvals, store: StageStore
) -> Iterator[AuditFinding | UncheckedPart]:
    """What a stage remembers of main, and main does not hold any more."""
    try:
        rewritten = remembered_main.find_rewritten(
            approvals.rule, remembered_main.read_witness(store), store.name
        )
    except Malformed as damaged:  # only reconcile writes there: somebody else did
        fault = damaged.faults[0]
        yield make_finding("main", fault.what, remembered_main.PATH, str(fault.hint))
        return
    except TowpathError as silent:
        yield UncheckedPart("main", f"what {store.shown} remembers", silent.faults[0].what)
        return
    yield from (AuditFinding("main", fault) for fault in rewritten)


def check_substitutes(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Objects that `git replace` or a graft hides: who reads with stock Git is shown others."""
    # No more than a finding: Towpath's own calls of Git do not obey them.
    for replaced in commit_history.find_substitutes(ledger.repository):
        what = "stock Git shows another object in its place here (git replace, grafts)"
        hint = commit_history.way_to_undo(ledger.repository, replaced)
        yield make_finding("promotion", what, replaced, hint)


def check_stage_files(
    ledger: AuditLedger, approvals: Approvals
) -> Iterator[AuditFinding | UncheckedPart]:
    for promotion in ledger.promotions:
        if ledger.is_confirmed(promotion):
            continue  # what came by a hand was looked at since, and let in by a promotion
        if promotion.fault:
            yield _promotion_finding(ledger, promotion, promotion.fault.what, stops=True)
        yield from _check_approved(ledger, approvals, promotion)
        yield from _check_chained(ledger, promotion)


def _promotion_finding(
    ledger: AuditLedger, promotion: Promotion, what: str, stops: bool = False
) -> AuditFinding:
    """A finding about one change of a stage file. Of one that ``stops`` the stage a note explains
    nothing before another change came."""
    again = main_line_approvals.decide_again(
        promotion, ledger.promotions_of(promotion.stage, promotion.model)
    )
    hint = f"{again} lets it in by its rules; or go to another version, and {EXPLAIN}"
    # A change that came by a hand is put right by a promotion that lets it in afterwards, where it
    # stands still, not by `git revert`, which would change the stage file by hand once more.
    is_last = ledger.next_change(promotion) is None
    if not is_last:
        hint = f"git show {promotion.commit[:7]}; {EXPLAIN}"
    elif promotion.version is None:
        hint = f"{again} puts it right; then {EXPLAIN}"
    place = f"{promotion.path} at {promotion.commit[:7]}"
    return make_finding("promotion", what, place, hint, is_past=not (stops and is_last))


def _check_approved(
    ledger: AuditLedger, approvals: Approvals, promotion: Promotion
) -> Iterator[AuditFinding | UncheckedPart]:
    approval = approvals.prove_approval(promotion)
    if approval.level == UNKNOWN:
        what = f"who approved {promotion} ({promotion.commit[:7]})"
        yield UncheckedPart("promotion", what, str(approval.because))
        return
    judged = approvals.rule.judge(promotion)
    because = f": {approval.because}" if approval.because else ""
    if judged.backdated:
        fault = main_line_approvals.backdated_fault(promotion, judged.backdated, ledger.log)
        yield _promotion_finding(ledger, promotion, f"{promotion}: {fault.what}")
    if approval.level == "none":
        what = f"{promotion} came by no approved promotion{because}"
        what += f": {promotion.author} put it on main"
        if reverted := ledger.find_reverted(promotion):
            what += f", and with it took {reverted} back by hand"
        yield _promotion_finding(ledger, promotion, what)
    elif not judged.is_enough:
        levels = f"`{approval.level}` and needed `{judged.needed}`"
        what = f"{promotion} was approved as {levels}{because}"
        yield _promotion_finding(ledger, promotion, what)


def _check_chained(ledger: AuditLedger, promotion: Promotion) -> Iterator[AuditFinding]:
    """`replaces` names what was there, and the digest is the version's."""
    if promotion.version is None:
        return
    earlier = ledger.previous_change(promotion)
    before = earlier.version if earlier else None
    if promotion.replaces != before and not ledger.find_reverted(promotion):
        claimed, was = promotion.replaces or "nothing", before or "nothing"
        what = f"it says that it replaces {claimed}, and {was} was there"
        yield _promotion_finding(ledger, promotion, what)
    version = ledger.find_version(promotion.model, promotion.version)
    sha256 = version.summary.get("sha256") if version else None
    if sha256 is not None and sha256 != promotion.sha256:
        what = f"its sha256 is {str(promotion.sha256)[:12]}…"
        what += f", and {version} was registered with {sha256[:12]}…"
        yield _promotion_finding(ledger, promotion, what, stops=True)


def check_ownership(ledger: AuditLedger) -> Iterator[AuditFinding]:
    try:
        policy_at_commit.read_project_at(ledger.repository, ledger.main, ledger.folder)
    except TowpathError as wrong:
        for fault in wrong.faults:
            place = str(fault.place or policy_at_commit.declaration_path(ledger.folder))
            yield make_finding("rules", fault.what, place, fault.hint or "")
    owners, project = ledger.model_owners, ledger.project
    models = dict.fromkeys(entry.model for entry in ledger.promotions)
    faults = [owners.why_nobodys(m) for m in models if not owners.owns_model(ledger.folder, m)]
    for entry in ledger.wanted_versions(ledger.stage):
        version = ledger.find_version(entry.model, entry.version)
        if version is not None and version.rejected is not None:
            what = f"{entry.stage} should run {version}, which was rejected: {version.rejected}"
            hint = leave_version(ledger.models[entry.model], entry.stage, ledger.log)
            place = stage_files.stage_file_path(entry.stage, entry.model)
            yield make_finding("promotion", what, place, hint)
    files = registry.read_stage_files(ledger.repository, ledger.main)
    faults += stage_files.find_undeclared_stages(files, project, owners, ledger.folder)
    for fault in faults:
        yield make_finding("promotion", fault.what, str(fault.place), fault.hint or "")
