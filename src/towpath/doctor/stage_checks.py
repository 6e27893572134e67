"""The stages: who may let a version in, what main says of their models, and their stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, main_branch, signatures
from towpath.backends.git.signatures import SIGNERS, read_allowed_signers
from towpath.delivery.promotion import commit_approvers, rulebook
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.reconcile.deployment_record import deployed_models
from towpath.delivery.reconcile.observe_stage import is_strange
from towpath.delivery.reconcile.remembered_main import find_rewritten, read_witness
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import Fault, RegistryError, TowpathError
from towpath.registry import policy_at_commit, restore_tags, stage_files
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.ownership import read_owners
from towpath.registry.version_signatures import allowed_signers
from towpath.storage.stage_store import StageStore

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.workspace import Workspace


_DECLARE = "declare `store:` with a folder that all may reach, or an S3 URL"


def examine_stage_stores(
    workspace: Workspace, project: Project, environ: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    """Each stage's store, as far as its keys are in this environment."""
    if unagreed := _unagreed_faults(workspace):
        # An address that nobody agreed to is not even opened: keys would be sent there.
        for fault in unagreed:
            yield report_lack(str(fault.place), fault.what, fault.hint or "")
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
            hint = "give each stage one of its own, with keys of its own"
            yield report_lack(about, message, hint)
        yield from _examine_store(workspace, project, name, environ)


def _unagreed_faults(workspace: Workspace) -> tuple[Fault, ...]:
    try:
        head = main_branch.seen_main_commit(workspace.registry_at_hand)
        if head is None:
            return ()
        faults = ApprovalRule(workspace.registry_at_hand, head, workspace.folder).unsound_faults()
    except RegistryError:  # a shallow clone, which is said of Git
        return ()
    naming = policy_at_commit.declaration_path(workspace.folder)
    return tuple(fault for fault in faults if fault.place and fault.place.file == naming)


def _examine_store(
    workspace: Workspace, project: Project, name: str, environ: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    about = f"stage {name}"
    declared = project.stages[name].store
    credentials = declared.credentials if declared else None
    keys = credentials.model_dump(exclude_none=True).values() if credentials else ()
    if elsewhere := ", ".join(key for key in keys if not environ.get(key)):
        # As it should be: nobody should hold the keys of every stage.
        message = f"its store is not looked at: not set here: {elsewhere}"
        hint = "right, unless you act for that stage: then set it in your environment"
        yield DoctorCheck(about, "unknown", message, hint)
        return
    try:
        store = StageStore.open(project, name, environ, workspace.main_folder)
        runs = deployed_models(store)
    except TowpathError as error:
        yield from report_faults(about, error.faults)
        return
    yield from _examine_remembered(workspace, project, store)
    count = {0: "no model runs", 1: "1 model runs"}.get(len(runs), f"{len(runs)} models run")
    yield report_well(about, f"{store.shown} answers, and says that {count} there")
    if strangers := find_strangers(workspace, runs):
        message = f"{store.shown} also holds models of another project: {', '.join(strangers)}"
        hint = "give each project a store of its own: `store:` of the stage"
        yield report_lack(about, message, hint)


def _examine_remembered(
    workspace: Workspace, project: Project, store: StageStore
) -> Iterator[DoctorCheck]:
    about = f"stage {store.name}"
    repository = workspace.registry_at_hand
    main = main_branch.seen_main_commit(repository)
    if main is None or repository.is_shallow():  # which is said elsewhere
        return
    rule = ApprovalRule(repository, main, workspace.folder)
    try:
        witness = read_witness(store)
        head = witness.head
        if head and project.forge and not rule.line.holds_commit(head) and repository.commit(head):
            # Main went on beside a commit that is here: what it lost is the forge's to say, and
            # doctor asks it nothing about promotions.
            message = f"main's line does not hold {head[:7]}, with which it was last reconciled"
            hint = f"towpath reconcile {store.name} asks the forge what was lost by that"
            yield DoctorCheck(about, "unknown", message, hint)
            return
        lost_faults = find_rewritten(rule, witness, store.name)
    except TowpathError as damaged:
        yield from report_faults(about, damaged.faults)
        return
    for fault in lost_faults:
        yield report_lack(about, fault.what, fault.hint or "")
    if witness.head and not lost_faults:
        message = f"it was last reconciled with {witness.head[:7]}, and main lost nothing since"
        yield report_well(about, message)


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
    about, level = f"stage {name}", rulebook.least_level(project, name)
    owned = f"registry/stages/{name}/model.yaml"
    owners = rulebook.find_code_owners(repository, main, owned) if main else ()
    named = tuple(dict.fromkeys((*owners, *project.stages[name].approvers)))
    if level == "forge" and project.forge is None:
        hint = "declare `forge: {kind: github, repository: owner/name}`, or a lower level"
        return report_lack(about, "is entered by a forge's reviews, and there is no forge", hint)
    if level == "forge" and not named:
        hint = f"name them in CODEOWNERS for /registry/stages/{name}/, on the main branch"
        return report_lack(about, "nobody is named who may approve what enters it", hint)
    if level == "signed" and not read_allowed_signers(allowed_signers(repository, main)).signers:
        hint = f"list them in {SIGNERS} on the main branch, as `mail ssh-ed25519 AAAA...`"
        return report_lack(about, "is entered by signatures, and no signer is allowed", hint)
    who = f" of {', '.join(named)}" if named else ""
    return report_well(about, f"is entered by an approval{who}, at least `{level}`")


def _examine_signers(
    repository: Repository, project: Project, main: str | None
) -> Iterator[DoctorCheck]:
    for fault in read_allowed_signers(allowed_signers(repository, main)).faults:
        yield report_lack(str(fault.place), fault.what, fault.hint or "")
    if project.policy.versions != "signed":
        return
    signs = signatures.read_signing_settings(repository)
    if signs.tags and commit_approvers.is_configured(repository):
        yield report_well("versions", "are signed as Git is configured, which the policy asks for")
    else:
        hint = f"{commit_approvers.CONFIGURE}; git config tag.gpgSign true"
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
    folder, models = workspace.folder, dict.fromkeys(file.model for file in stages.wanted)
    foreign = (model for model in models if not owners.owns_model(folder, model))
    nobodys = [owners.why_nobodys(m) for m in foreign if owners.project_of(m) is None]
    undeclared = stage_files.find_undeclared_stages(stages, project, owners, folder)
    yield from report_faults(_ABOUT, [*nobodys, *undeclared])
    for name in restore_tags.find_lost_versions(repository, main):
        message = f"{name} was promoted, and its tag is gone"
        yield report_lack(_ABOUT, message, restore_tags.way_to_restore(name))


def find_strangers(workspace: Workspace, models: Iterable[str]) -> list[str]:
    repository, folder = workspace.registry_at_hand, workspace.folder
    try:
        main = main_branch.seen_main_commit(repository)
        if main is None:
            return []
        decisions = MainDecisions.read(repository, main)
    except TowpathError:  # a shallow clone, which is said elsewhere
        return []
    owners = read_owners(repository, main)
    return [model for model in models if is_strange(repository, owners, folder, decisions, model)]
