"""The stages' stores: declared, apart from one another, and open to who asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath.backends.git import branches
from towpath.delivery.promotion.approval_rule import ApprovalRule
from towpath.delivery.reconcile.deployment_record import deployed_models
from towpath.delivery.reconcile.main_witness import find_rewritten, read_witness
from towpath.doctor import main_checks
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import Fault, RegistryError, TowpathError
from towpath.registry import policy_at_commit
from towpath.storage.stage_store import StageStore

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project, StoreDeclaration
    from towpath.workspace import Workspace

_DECLARE = "declare `store:` with a folder that all may reach, or an S3 URL"


def examine_stage_stores(
    workspace: Workspace, project: Project, environ: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    """Each stage's store. One whose keys are not in this environment is not looked at, since
    nobody should hold the keys of every stage; nor is any where main says what nobody agreed to.
    """
    if unagreed := _unagreed_faults(workspace):
        yield from (
            report_lack(str(fault.place), fault.what, fault.hint or "") for fault in unagreed
        )
        return
    urls = Counter(stage.store.url.rstrip("/") for stage in project.stages.values() if stage.store)
    for name, stage in project.stages.items():
        about = f"stage {name}"
        if stage.store is None and project.forge:
            message = "its store is a folder of this machine, which a forge's runner does not have"
            yield report_lack(about, message, _DECLARE)
            continue
        if stage.store and urls[stage.store.url.rstrip("/")] > 1:
            message = f"another stage has its store too, {stage.store.url}"
            yield report_lack(
                about, message, "give each stage one of its own, with keys of its own"
            )
        yield from _examine_store(workspace, project, name, environ)


def _unagreed_faults(workspace: Workspace) -> tuple[Fault, ...]:
    """Why the stores that main names are none to open; nothing where main cannot tell."""
    try:
        head = branches.seen_main_commit(workspace.registry_at_hand)
        if head is None:
            return ()
        faults = ApprovalRule(workspace.registry_at_hand, head, workspace.folder).unsound_faults()
    except RegistryError:
        return ()
    naming = policy_at_commit.declaration_path(workspace.folder)
    return tuple(fault for fault in faults if fault.place and fault.place.file == naming)


def _examine_store(
    workspace: Workspace, project: Project, name: str, environ: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    about = f"stage {name}"
    if elsewhere := _keys_elsewhere(project.stages[name].store, environ):
        message = f"its store is not looked at: not set here: {elsewhere}"
        hint = "right, unless you act for that stage: then set it in your environment"
        yield DoctorCheck(about, "unknown", message, hint)
        return
    try:
        store = StageStore.open(project, name, environ, workspace.main_folder)
        runs = deployed_models(store)
    except TowpathError as error:
        yield from report_faults(about, error)
        return
    yield from _examine_remembered(workspace, project, store)
    yield report_well(
        about, f"{store.shown} answers, and says that {_count_models(len(runs))} there"
    )
    if strangers := main_checks.find_strangers(workspace, runs):
        message = f"{store.shown} also holds models of another project: {', '.join(strangers)}"
        yield report_lack(
            about, message, "give each project a store of its own: `store:` of the stage"
        )


def _keys_elsewhere(store: StoreDeclaration | None, environ: Mapping[str, str]) -> str:
    """The variables that hold a store's keys, and that are not set."""
    keys = store.credentials.model_dump(exclude_none=True) if store and store.credentials else {}
    return ", ".join(name for name in keys.values() if not environ.get(name))


def _count_models(count: int) -> str:
    return {0: "no model runs", 1: "1 model runs"}.get(count, f"{count} models run")


def _examine_remembered(
    workspace: Workspace, project: Project, store: StageStore
) -> Iterator[DoctorCheck]:
    """What the stage remembers of main, held against main as this clone knows it."""
    about = f"stage {store.name}"
    repository = workspace.registry_at_hand
    main = branches.seen_main_commit(repository)
    if main is None or repository.is_shallow():  # which is said elsewhere
        return
    rule = ApprovalRule(repository, main, workspace.folder)
    try:
        witness = read_witness(store)
        if witness.head and project.forge and _took_another_way(rule, witness.head):
            message = (
                f"main's line does not hold {witness.head[:7]}, with which it was last reconciled"
            )
            hint = f"towpath reconcile {store.name} asks the forge what was lost by that"
            yield DoctorCheck(about, "unknown", message, hint)
            return
        lost_faults = find_rewritten(rule, witness, store.name)
    except TowpathError as damaged:
        yield from report_faults(about, damaged)
        return
    for fault in lost_faults:
        yield report_lack(about, fault.what, fault.hint or "")
    if witness.head and not lost_faults:
        message = f"it was last reconciled with {witness.head[:7]}, and main lost nothing since"
        yield report_well(about, message)


def _took_another_way(rule: ApprovalRule, head: str) -> bool:
    """Whether main went on beside a commit that is here: what it lost is the forge's to say."""
    return not rule.line.holds_commit(head) and rule.repository.commit(head) is not None
