"""Is every model some project's, and every stage file of a stage that is declared?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath import registry
from towpath.audit.audit_finding import AuditFinding, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.delivery.promotion.promotion_rules import leave_version
from towpath.errors import Fault, TowpathError
from towpath.registry import policy_at_commit, stage_files


def check_ownership(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Each model that was ever promoted, and each stage file that is on main."""
    yield from _check_declaration(ledger)
    for model in dict.fromkeys(entry.model for entry in ledger.promotions):
        if not ledger.model_owners.owns_model(ledger.folder, model):
            yield _ownership_finding(ledger.model_owners.why_nobodys(model))
    files_on_main = registry.read_stage_files(ledger.repository, ledger.main)
    for entry in ledger.wanted_versions(ledger.stage):
        version = (
            ledger.models[entry.model].find_number(entry.version)
            if entry.model in ledger.models
            else None
        )
        if version is not None and version.rejected is not None:
            what = f"{entry.stage} should run {version}, which was rejected: {version.rejected}"
            hint = leave_version(ledger.models[entry.model], entry.stage, ledger.log)
            yield make_finding(
                "promotion", what, stage_files.stage_file_path(entry.stage, entry.model), hint
            )
    for fault in stage_files.find_undeclared_stages(
        files_on_main, ledger.project, ledger.model_owners, ledger.folder
    ):
        yield _ownership_finding(fault)


def _check_declaration(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Main's own declaration: it is there, and can be read."""
    try:
        policy_at_commit.read_project_at(ledger.repository, ledger.main, ledger.folder)
    except TowpathError as wrong:
        for fault in wrong.faults:
            place = str(fault.place or policy_at_commit.declaration_path(ledger.folder))
            yield make_finding("rules", fault.what, place, fault.hint or "")


def _ownership_finding(fault: Fault) -> AuditFinding:
    return make_finding("promotion", fault.what, str(fault.place), fault.hint or "")
