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


def _change_place(one: Promotion) -> str:
    return f"{one.path} at {one.commit[:7]}"


def _way_to_right(ledger: AuditLedger, one: Promotion) -> str:
    """How a change that came by a hand is put right: by a promotion that lets it in afterwards,
    where it stands still; what is past is explained. Undoing it by `git revert` would change the
    stage file by hand once more."""
    if ledger.next_change(one) is not None:
        return f"git show {one.commit[:7]}; {finding_notes.EXPLAIN}"
    again = decide_again(one, ledger.promotions_of(one.stage, one.model))
    if one.version is None:
        return f"{again} puts it right; then {finding_notes.EXPLAIN}"
    return f"{again} lets it in by its rules; or go to another version, and {finding_notes.EXPLAIN}"


def _check_readable(ledger: AuditLedger, one: Promotion) -> Iterator[AuditFinding]:
    if one.fault:
        yield make_finding(
            "promotion", one.fault.what, _change_place(one), _way_to_right(ledger, one)
        )


def _check_approved(
    ledger: AuditLedger, approvals: Approvals, one: Promotion
) -> Iterator[AuditFinding | UncheckedPart]:
    approval = approvals.prove_approval(one)
    if approval.level == UNKNOWN:
        yield UncheckedPart(
            "promotion", f"who approved {one} ({one.commit[:7]})", str(approval.because)
        )
        return
    judged = approvals.judged(one)
    because = f": {approval.because}" if approval.because else ""
    if judged.backdated:
        fault = backdated_fault(one, judged.backdated, ledger.log)
        yield make_finding(
            "promotion", f"{one}: {fault.what}", _change_place(one), _way_to_right(ledger, one)
        )
    if approval.level == "none":
        what = f"{one} came by no approved promotion{because}: {one.author} put it on main"
        if reverted := ledger.find_reverted(one):
            what += f", and with it took {reverted} back by hand"
        yield make_finding("promotion", what, _change_place(one), _way_to_right(ledger, one))
    elif not judged.is_enough:
        what = f"{one} was approved as `{approval.level}` and needed `{judged.needed}`{because}"
        yield make_finding("promotion", what, _change_place(one), _way_to_right(ledger, one))


def _check_chained(ledger: AuditLedger, one: Promotion) -> Iterator[AuditFinding]:
    """`replaces` names what was there, and the digest is the version's."""
    mine = list(ledger.promotions_of(one.stage, one.model))
    place = mine.index(one)
    before = mine[place - 1].version if place else None
    if one.version is None:
        return
    if one.replaces != before and not ledger.find_reverted(one):
        claimed, was = one.replaces or "nothing", before or "nothing"
        what = f"it says that it replaces {claimed}, and {was} was there"
        yield make_finding("promotion", what, _change_place(one), _way_to_right(ledger, one))
    model = ledger.models.get(one.model)
    version = model.find_number(one.version) if model else None
    sha256 = version.summary.get("sha256") if version else None
    if sha256 is not None and sha256 != one.sha256:
        written_sha256, registered_sha256 = str(one.sha256)[:12], sha256[:12]
        what = (
            f"its sha256 is {written_sha256}…, and {version} was registered with "
            f"{registered_sha256}…"
        )
        yield make_finding("promotion", what, _change_place(one), _way_to_right(ledger, one))
