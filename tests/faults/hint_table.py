"""Each place of the source that gives a hint of an audit, of ``doctor`` or of ``reconcile``."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

MODULES = (
    "audit/checks/*.py",
    "audit/ledger.py",
    "audit/verification.py",
    "doctor/*.py",
    "delivery/promotion/main_line_approvals.py",
    "delivery/promotion/rule_changes.py",
    "delivery/reconcile/**/*.py",
    "registry/main_decisions.py",
    "registry/ownership.py",
    "registry/stage_files.py",
)
"""Where findings are made, from the package's folder."""

ARGUMENT = {"make_finding": 3, "report_lack": 2, "DoctorCheck": 3, "Fault": 2}
"""Which argument of a maker of findings is the hint, where it is not given by its name."""


def count_hints(package: Path) -> Counter[str]:
    """How many hints each function gives: by ``module::function``."""
    counted: Counter[str] = Counter()
    for pattern in MODULES:
        for path in sorted(package.glob(pattern)):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = (f"{path.relative_to(package)}::{name}" for name in _hints(tree, ()))
            counted.update(names)
    return counted


def _hints(node: ast.AST, inside: tuple[str, ...]) -> Iterator[str]:
    """The function around each call that is given a hint."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _has_hint(child):
            yield ".".join(inside)
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        yield from _hints(child, (*inside, child.name) if named else inside)  # type: ignore[attr-defined]


def _has_hint(call: ast.Call) -> bool:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    by_name = any(word.arg == "hint" for word in call.keywords)
    return by_name or len(call.args) > ARGUMENT.get(name, len(call.args))


BY_HAND = "by hand: "
"""What begins the reason why a hint names no command: only a person can do it."""

HINTED: dict[str, tuple[int, tuple[str, ...]]] = {
    "audit/checks/main_line_check.py::check_main_line": (1, ("a line of main was re-parented",)),
    "audit/checks/main_line_check.py::check_remembered_main": (
        1,
        ("the stage's memory of main is torn",),
    ),
    "audit/checks/main_line_check.py::_promotion_finding": (
        1,
        (
            "a stage file is torn",
            "a promotion is dated back",
            "a version was put in by hand",
            "a promotion brought code",
            "a stage file lies about the digest",
        ),
    ),
    "audit/checks/record_check.py::_check_version": (
        5,
        (
            "the version's tag was moved",
            "the tag holds a torn record",
            "the tag holds another's record",
            "the version's tag says otherwise",
        ),
    ),
    "audit/checks/record_check.py::_check_tags": (
        2,
        ("the version's tag is a lightweight one", "the version's tag is of 2099"),
    ),
    "audit/checks/record_check.py::_check_copy": (
        6,
        (
            "the version's tag is lost",
            "a promoted version without its record",
            "main's record was removed",
            "main's record was altered",
            "the version's tag was moved",
        ),
    ),
    "audit/checks/record_check.py::_check_evidence": (
        2,
        ("a promotion was reverted", "the evidence was removed"),
    ),
    "audit/checks/record_check.py::_find_touched": (1, ("the evidence was altered",)),
    "audit/checks/signature_check.py::check_demanded": (
        1,
        ("a version that runs, and must be signed",),
    ),
    "audit/checks/signature_check.py::check_signers": (
        1,
        ("a line that is no signer's", "a signer's key that is never valid"),
    ),
    "audit/checks/signature_check.py::check_signatures": (
        1,
        ("tests/faults/test_signed_versions.py::test_no_signers_on_main_is_one_finding",),
    ),
    "audit/checks/signature_check.py::_wrong_signature": (
        1,
        (
            "tests/faults/test_signed_versions.py::test_an_unsigned_version_is_found",
            "tests/faults/test_signed_versions.py::test_a_key_that_main_does_not_name",
            "tests/faults/test_signed_versions.py::test_a_signature_of_another_message",
        ),
    ),
    "audit/checks/stage_tag_check.py::_tag_finding": (
        1,
        ("a forged stage tag", "a stage tag of 2099", "a stage tag under another's name"),
    ),
    "audit/checks/stage_tag_check.py::_explain_stray": (1, ("the version's tag is lost",)),
    "audit/checks/main_line_check.py::check_ownership": (
        3,
        (
            "the version was rejected",
            "both versions were rejected",
            "main's declaration is broken",
            "main's declaration is gone",
            "a stage was dropped",
        ),
    ),
    "audit/checks/store_check.py::_explain_altered": (
        1,
        ("the bytes were altered", "the bytes were altered, and there is no remote"),
    ),
    "audit/checks/store_check.py::_look_on_remote": (
        2,
        (
            "the bytes of what a stage wants are gone",
            "the bytes of a version are gone for good",
            "the bytes are neither here nor on the remote",
        ),
    ),
    "audit/checks/store_check.py::_check_bytes": (
        2,
        ("the stage's bytes were altered", "the stage's bytes are gone"),
    ),
    "audit/checks/store_check.py::check_target_folder": (1, ("the target was altered",)),
    "audit/checks/store_check.py::_check_deployments": (
        2,
        (
            "a torn deployment record",
            "the deployment record is another's promotion",
            "the deployment record is another stage's",
            "the deployment record lies about the past",
            "a model that nobody asked for",
        ),
    ),
    "audit/checks/main_line_check.py::check_substitutes": (1, ("an object is replaced",)),
    "audit/ledger.py::open_ledger": (2, ("verify in a clone without tags", "verify elsewhere")),
    "audit/verification.py::_main_branch": (1, ("verify after main was renamed",)),
    "doctor/environment_checks.py::examine_git_version": (
        1,
        (f"{BY_HAND}another Git must be installed",),
    ),
    "doctor/environment_checks.py::examine_bytes_remote": (1, ("no place for the bytes",)),
    "doctor/environment_checks.py::examine_workflows": (1, ("no workflows",)),
    "doctor/environment_checks.py::examine_prefect": (1, ("a Prefect API that does not answer",)),
    "doctor/environment_checks.py::_forge_answers": (1, (f"{BY_HAND}it says who may approve",)),
    "doctor/environment_checks.py::_examine_push": (
        2,
        (
            "tests/doctor/test_doctor.py::test_a_forge_s_runner_does_not_have",
            "tests/doctor/test_doctor.py::test_a_forge_nobody_is_named_at",
        ),
    ),
    "doctor/environment_checks.py::_examine_rules": (
        2,
        ("tests/doctor/test_doctor.py::test_a_forge_that_enforces_nothing_and_then_all",),
    ),
    "doctor/health_check.py::report_lack": (1, (f"{BY_HAND}it hands on what it is given",)),
    "doctor/health_check.py::report_faults": (
        1,
        (
            "Git does not know who it is",
            "a model that is nobody's",
            "a stage that is not declared",
        ),
    ),
    "doctor/environment_checks.py::examine_checkout": (
        3,
        (
            "a submodule that is not set up",
            "a submodule that is not as committed",
            f"{BY_HAND}Git LFS must be installed",
        ),
    ),
    "doctor/environment_checks.py::_line_ends": (1, ("data whose line ends change",)),
    "doctor/environment_checks.py::examine_repository": (1, ("no repository",)),
    "doctor/environment_checks.py::_examine_history": (
        4,
        (
            "nothing is committed",
            "a clone that is shallow",
            "a clone without tags",
            "objects that are replaced",
            "a graft",
        ),
    ),
    "doctor/environment_checks.py::_examine_main": (
        2,
        ("a main branch of another name", "a remote without a HEAD"),
    ),
    "doctor/environment_checks.py::_left_behind": (1, ("a branch that main is not any more",)),
    "doctor/environment_checks.py::_examine_remote": (
        2,
        (
            "a tag that the remote has otherwise",
            "a tag that was moved here",
            "tags that are not here",
        ),
    ),
    "doctor/stage_checks.py::_stage_check": (
        3,
        ("no signer may sign", "reviews without a forge", "nobody who may approve"),
    ),
    "doctor/stage_checks.py::_examine_signers": (
        2,
        (
            "a line that is no signer's, for doctor",
            "versions that must be signed, and Git does not",
        ),
    ),
    "doctor/stage_checks.py::examine_stage_stores": (
        3,
        (
            "stores that nobody agreed to",
            "two stages in one store",
            "tests/doctor/test_doctor.py::test_a_forge_s_runner_does_not_have",
        ),
    ),
    "doctor/stage_checks.py::_examine_store": (
        2,
        ("keys that are elsewhere", "a store that two projects share"),
    ),
    "doctor/stage_checks.py::_examine_remembered": (
        2,
        ("a memory of main of another repository", "main at a forge that took another way"),
    ),
    "doctor/stage_checks.py::examine_main_models": (1, ("a promoted version without its tag",)),
    "doctor/environment_checks.py::examine_unpublished": (
        2,
        ("a candidate that waits", "versions that are only here"),
    ),
    "doctor/environment_checks.py::_pruning_settings": (
        2,
        ("a setting that prunes tags", "a setting that mirrors everything"),
    ),
    "delivery/promotion/main_line_approvals.py::displaced_fault": (
        1,
        ("a line of main was re-parented",),
    ),
    "delivery/promotion/main_line_approvals.py::ApprovalRule.unasked_faults": (
        1,
        ("tests/faults/test_rules_in_force.py::test_what_only_a_forge_proves_is_asked_again",),
    ),
    "delivery/promotion/main_line_approvals.py::_redirect_fault": (
        1,
        ("tests/faults/test_main_line_faults.py::test_a_redirected_main_s_hint_is_followed",),
    ),
    "delivery/promotion/main_line_approvals.py::backdated_fault": (
        1,
        ("a promotion that is dated back",),
    ),
    "delivery/promotion/rule_changes.py::RuleHistory._unagreed_fault": (
        1,
        ("rules that nobody agreed to",),
    ),
    "delivery/reconcile/apply_plan.py::reconcile_stage": (
        1,
        (f"{BY_HAND}it runs into a change of main",),
    ),
    "delivery/reconcile/stage_sources.py::StageData.__call__": (
        1,
        (f"{BY_HAND}it asks where the data is",),
    ),
    "delivery/reconcile/deployment_record.py::_load_record": (1, ("a torn record of what runs",)),
    "delivery/reconcile/deployment_record.py::record_deployment": (
        1,
        (f"{BY_HAND}it runs into another who writes",),
    ),
    "delivery/reconcile/deploy_steps.py::_require_approval": (
        2,
        (
            f"{BY_HAND}it runs into a change of main",
            "a stage file that was removed by hand",
            "a promotion that was reverted",
            "a version that was put in by hand",
        ),
    ),
    "delivery/reconcile/deploy_steps.py::_gate_fault": (
        1,
        (f"{BY_HAND}it is the place of the gate",),
    ),
    "delivery/reconcile/lease.py::_take_lease": (1, ("another holds the stage",)),
    "delivery/reconcile/lease.py::HeldLease.check": (
        1,
        (
            "tests/delivery/reconcile/test_reconcile_lease.py::test_a_lease_is_renewed_and_one_that_was_lost",
        ),
    ),
    "delivery/reconcile/observe_stage.py::_unasked_model": (1, ("a model nobody asked for",)),
    "delivery/reconcile/observe_stage.py::_desired_version": (
        2,
        ("a version whose tag is lost", "a tag that was moved"),
    ),
    "delivery/reconcile/observe_stage.py::_find_fault": (1, ("a digest of another",)),
    "delivery/reconcile/reconcile_plan.py::_derive_change": (
        1,
        ("a rejected version that does not run yet",),
    ),
    "delivery/reconcile/open_stage.py::_require_stage": (1, ("a stage that is not there",)),
    "delivery/reconcile/smoke_test.py::run_smoke_test": (
        1,
        ("tests/delivery/reconcile/test_reconcile_targets.py::test_a_version_is_tried_beside",),
    ),
    "delivery/reconcile/deploy_steps.py::take_out": (
        1,
        (f"{BY_HAND}it runs into a change of main",),
    ),
    "delivery/reconcile/deploy_steps.py::_deploy_bundle": (
        1,
        ("tests/delivery/reconcile/test_reconcile_targets.py::test_a_command_that_fails_or_lies",),
    ),
    "delivery/reconcile/targets/command_target.py::CommandTarget._run_program": (
        1,
        (f"{BY_HAND}it is a setting",),
    ),
    "delivery/reconcile/targets/folder_target.py::FolderTarget._report_refusals": (
        1,
        (
            "tests/delivery/reconcile/test_reconcile_faults.py::test_a_target_that_cannot_be_written",
        ),
    ),
    "delivery/reconcile/targets/prefect_target.py::PrefectTarget.prepare": (
        1,
        (f"{BY_HAND}it is a setting",),
    ),
    "delivery/reconcile/remembered_main.py::read_witness": (1, ("a memory of main that is torn",)),
    "delivery/reconcile/remembered_main.py::find_rewritten": (
        1,
        ("main was rewritten", "main was rewritten, and is put back"),
    ),
    "delivery/reconcile/remembered_main.py::_unknown_commit": (
        2,
        (
            "another repository uses the store",
            "a clone is behind what a stage was reconciled with",
        ),
    ),
    "registry/main_decisions.py::MainDecisions._other_digests": (
        1,
        ("a tag that holds another record",),
    ),
    "registry/main_decisions.py::MainDecisions.find_contradictions": (
        3,
        ("main's record was changed", "a tag that holds another record"),
    ),
    "registry/main_decisions.py::read_promotions": (1, ("a clone that is shallow",)),
    "registry/ownership.py::Owners.why_nobodys": (
        4,
        (
            "a model that is nobody's",
            "a second project that is none",
            "a model that came to two projects",
            "a model of a project that is not there",
            "a claim that says nothing",
        ),
    ),
    "registry/ownership.py::claim_model": (1, (f"{BY_HAND}it is no finding",)),
    "registry/ownership.py::refuse_other": (1, (f"{BY_HAND}it is no finding",)),
    "registry/ownership.py::refuse_foreign_model": (1, (f"{BY_HAND}it is no finding",)),
    "registry/stage_files.py::find_undeclared_stages": (
        1,
        ("a stage was dropped", "a stage that is not declared"),
    ),
    "registry/stage_files.py::parse_stage_file": (1, ("a stage file that cannot be read",)),
}
