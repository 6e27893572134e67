"""Is every model some project's, and every stage file of a stage that is declared?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath import registry
from towpath.audit.audit_finding import Finding, finding
from towpath.audit.ledger import Ledger
from towpath.delivery.promotion.rollback_target import leave_version
from towpath.errors import Fault, TowpathError
from towpath.registry import policy_at_commit, stage_files


def check(ledger: Ledger) -> Iterator[Finding]:
    """Each model that was ever promoted, and each stage file that is on main."""
    yield from _declaration(ledger)
    for model in dict.fromkeys(one.model for one in ledger.promotions):
        if not ledger.owners.owns(ledger.folder, model):
            yield _finding(ledger.owners.why_nobodys(model))
    found = registry.stages(ledger.repository, ledger.main)
    for one in ledger.wanted(ledger.stage):
        version = ledger.models[one.model].at(one.version) if one.model in ledger.models else None
        if version is not None and version.rejected is not None:
            what = f"{one.stage} should run {version}, which was rejected: {version.rejected}"
            hint = leave_version(ledger.models[one.model], one.stage, ledger.log)
            yield finding("promotion", what, stage_files.path(one.stage, one.model), hint)
    for fault in stage_files.undeclared(found, ledger.project, ledger.owners, ledger.folder):
        yield _finding(fault)


def _declaration(ledger: Ledger) -> Iterator[Finding]:
    """Main's own declaration: it is there, and can be read."""
    try:
        policy_at_commit.at(ledger.repository, ledger.main, ledger.folder)
    except TowpathError as wrong:
        for fault in wrong.faults:
            place = str(fault.place or policy_at_commit.place(ledger.folder))
            yield finding("rules", fault.what, place, fault.hint or "")


def _finding(fault: Fault) -> Finding:
    return finding("promotion", fault.what, str(fault.place), fault.hint or "")
