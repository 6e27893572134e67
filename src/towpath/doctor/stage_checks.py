"""The stages: who may let a version in, what main says of their models, and their stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, main_branch, signatures
from towpath.backends.git.allowed_signers import SIGNERS, read_allowed_signers
from towpath.delivery.promotion import approval, code_owners, commit_signatures
from towpath.delivery.promotion.approval_rule import ApprovalRule
from towpath.delivery.reconcile.deployment_record import deployed_models
from towpath.delivery.reconcile.main_witness import find_rewritten, read_witness
from towpath.delivery.reconcile.observe_stage import is_strange
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import Fault, RegistryError, TowpathError
from towpath.registry import policy_at_commit, restore_tags, stage_files
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.ownership import read_owners
from towpath.registry.version_signatures import allowed_signers
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
        head = main_branch.seen_main_commit(workspace.registry_at_hand)
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
    if strangers := find_strangers(workspace, runs):
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
    main = main_branch.seen_main_commit(repository)
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


def examine_approvals(
    workspace: Workspace, project: Project, main: str | None
) -> Iterator[DoctorCheck]:
    """For each stage: who may let a version in, and by what."""
    for name in project.stages:
        yield _stage_check(workspace.registry, project, main, name)
    yield from _examine_signers(workspace.registry, project, main)


def _stage_check(
    repository: Repository, project: Project, main: str | None, name: str
) -> DoctorCheck:
    about, level = f"stage {name}", approval.least_level(project, name)
    named = _named_approvers(repository, project, main, name)
    if level == "forge" and project.forge is None:
        hint = "declare `forge: {kind: github, repository: owner/name}`, or a lower level"
        return report_lack(about, "is entered by a forge's reviews, and there is no forge", hint)
    if level == "forge" and not named:
        hint = f"name them in CODEOWNERS for /registry/stages/{name}/, on the main branch"
        return report_lack(about, "nobody is named who may approve what enters it", hint)
    if level == "signed" and not _has_signers(repository, main):
        hint = f"list them in {SIGNERS} on the main branch, as `mail ssh-ed25519 AAAA...`"
        return report_lack(about, "is entered by signatures, and no signer is allowed", hint)
    who = f" of {', '.join(named)}" if named else ""
    return report_well(about, f"is entered by an approval{who}, at least `{level}`")


def _named_approvers(
    repository: Repository, project: Project, main: str | None, name: str
) -> tuple[str, ...]:
    path = f"registry/stages/{name}/model.yaml"
    written = code_owners.find_code_owners(repository, main, path) if main else ()
    return tuple(dict.fromkeys((*written, *project.stages[name].approvers)))


def _has_signers(repository: Repository, main: str | None) -> bool:
    return bool(read_allowed_signers(allowed_signers(repository, main)).signers)


def _examine_signers(
    repository: Repository, project: Project, main: str | None
) -> Iterator[DoctorCheck]:
    """The lines of signers that count for nothing, and whether versions are signed that must be."""
    for fault in read_allowed_signers(allowed_signers(repository, main)).faults:
        yield report_lack(str(fault.place), fault.what, fault.hint or "")
    if project.policy.versions != "signed":
        return
    if signatures.signs_tags(repository) and commit_signatures.is_configured(repository):
        yield report_well("versions", "are signed as Git is configured, which the policy asks for")
    else:
        hint = f"{commit_signatures.CONFIGURE}; git config tag.gpgSign true"
        message = "must be signed, and Git here does not sign tags with an SSH key"
        yield report_lack("versions", message, hint)


_ABOUT = "registry"


def examine_main_models(
    workspace: Workspace, project: Project, main: str | None
) -> Iterator[DoctorCheck]:
    """Models that stages want and nobody owns, stages that nobody declares, tags that are lost."""
    if main is None:
        return
    repository = workspace.registry_at_hand
    owners = read_owners(repository, main)
    stages = registry.read_stage_files(repository, main)
    for model in dict.fromkeys(stage_file.model for stage_file in stages.wanted):
        if not owners.owns_model(workspace.folder, model) and owners.project_of(model) is None:
            yield _report_fault(owners.why_nobodys(model))
    yield from map(
        _report_fault, stage_files.find_undeclared_stages(stages, project, owners, workspace.folder)
    )
    for name in restore_tags.find_lost_versions(repository, main):
        yield report_lack(
            _ABOUT, f"{name} was promoted, and its tag is gone", restore_tags.way_to_restore(name)
        )


def find_strangers(workspace: Workspace, models: Iterable[str]) -> list[str]:
    """Of the models in a stage's store those that are another project's."""
    repository = workspace.registry_at_hand
    try:
        main = main_branch.seen_main_commit(repository)
        decisions = MainDecisions.read(repository, main) if main else None
    except TowpathError:  # a shallow clone, which is said elsewhere
        return []
    if main is None or decisions is None:
        return []
    owners = read_owners(repository, main)
    folder = workspace.folder
    return [model for model in models if is_strange(repository, owners, folder, decisions, model)]


def _report_fault(fault: Fault) -> DoctorCheck:
    place = f"{fault.place}: " if fault.place else ""
    return report_lack(_ABOUT, f"{place}{fault.what}", fault.hint or "")
