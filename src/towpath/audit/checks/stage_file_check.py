"""Did each stage file come by a promotion: merged, approved at the level asked for, and alone?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit import finding_notes
from towpath.audit.approvals import UNKNOWN, Approvals
from towpath.audit.audit_finding import AuditFinding, UncheckedPart, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.delivery.promotion.approval_rule import backdated_fault, decide_again
from towpath.registry import Promotion


def check_stage_files(
    ledger: AuditLedger, approvals: Approvals
) -> Iterator[AuditFinding | UncheckedPart]:
    """Every change of a stage file on the main branch."""
    for promotion in ledger.promotions:
        if ledger.is_confirmed(promotion):
            continue  # what came by a hand was looked at since, and let in by a promotion
        yield from _check_readable(ledger, promotion)
        yield from _check_approved(ledger, approvals, promotion)
        yield from _check_chained(ledger, promotion)


def _change_place(promotion: Promotion) -> str:
    return f"{promotion.path} at {promotion.commit[:7]}"


def _way_to_right(ledger: AuditLedger, promotion: Promotion) -> str:
    """How a change that came by a hand is put right: by a promotion that lets it in afterwards,
    where it stands still; what is past is explained. Undoing it by `git revert` would change the
    stage file by hand once more."""
    if ledger.next_change(promotion) is not None:
        return f"git show {promotion.commit[:7]}; {finding_notes.EXPLAIN}"
    again = decide_again(promotion, ledger.promotions_of(promotion.stage, promotion.model))
    if promotion.version is None:
        return f"{again} puts it right; then {finding_notes.EXPLAIN}"
    return f"{again} lets it in by its rules; or go to another version, and {finding_notes.EXPLAIN}"


def _check_readable(ledger: AuditLedger, promotion: Promotion) -> Iterator[AuditFinding]:
    if promotion.fault:
        yield make_finding(
            "promotion",
            promotion.fault.what,
            _change_place(promotion),
            _way_to_right(ledger, promotion),
        )


def _check_approved(
    ledger: AuditLedger, approvals: Approvals, promotion: Promotion
) -> Iterator[AuditFinding | UncheckedPart]:
    approval = approvals.prove_approval(promotion)
    if approval.level == UNKNOWN:
        yield UncheckedPart(
            "promotion", f"who approved {promotion} ({promotion.commit[:7]})", str(approval.because)
        )
        return
    judged = approvals.judged(promotion)
    because = f": {approval.because}" if approval.because else ""
    if judged.backdated:
        fault = backdated_fault(promotion, judged.backdated, ledger.log)
        yield make_finding(
            "promotion",
            f"{promotion}: {fault.what}",
            _change_place(promotion),
            _way_to_right(ledger, promotion),
        )
    if approval.level == "none":
        what = (
            f"{promotion} came by no approved promotion{because}: {promotion.author} put it on main"
        )
        if reverted := ledger.find_reverted(promotion):
            what += f", and with it took {reverted} back by hand"
        yield make_finding(
            "promotion", what, _change_place(promotion), _way_to_right(ledger, promotion)
        )
    elif not judged.is_enough:
        what = (
            f"{promotion} was approved as `{approval.level}` and needed `{judged.needed}`{because}"
        )
        yield make_finding(
            "promotion", what, _change_place(promotion), _way_to_right(ledger, promotion)
        )


def _check_chained(ledger: AuditLedger, promotion: Promotion) -> Iterator[AuditFinding]:
    """`replaces` names what was there, and the digest is the version's."""
    mine = list(ledger.promotions_of(promotion.stage, promotion.model))
    place = mine.index(promotion)
    before = mine[place - 1].version if place else None
    if promotion.version is None:
        return
    if promotion.replaces != before and not ledger.find_reverted(promotion):
        claimed, was = promotion.replaces or "nothing", before or "nothing"
        what = f"it says that it replaces {claimed}, and {was} was there"
        yield make_finding(
            "promotion", what, _change_place(promotion), _way_to_right(ledger, promotion)
        )
    model = ledger.models.get(promotion.model)
    version = model.find_number(promotion.version) if model else None
    sha256 = version.summary.get("sha256") if version else None
    if sha256 is not None and sha256 != promotion.sha256:
        written_sha256, registered_sha256 = str(promotion.sha256)[:12], sha256[:12]
        what = (
            f"its sha256 is {written_sha256}…, and {version} was registered with "
            f"{registered_sha256}…"
        )
        yield make_finding(
            "promotion", what, _change_place(promotion), _way_to_right(ledger, promotion)
        )
