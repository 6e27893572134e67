"""Whether what the policy asks for an approval can be had at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, signatures
from towpath.backends.git.allowed_signers import SIGNERS, read_allowed_signers
from towpath.delivery.promotion import approval, code_owners, commit_approvers
from towpath.doctor.health_check import DoctorCheck, report_lack, report_well
from towpath.registry.version_signatures import allowed_signers

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.workspace import Workspace


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
    if signatures.signs_tags(repository) and commit_approvers.is_configured(repository):
        yield report_well("versions", "are signed as Git is configured, which the policy asks for")
    else:
        hint = f"{commit_approvers.CONFIGURE}; git config tag.gpgSign true"
        message = "must be signed, and Git here does not sign tags with an SSH key"
        yield report_lack("versions", message, hint)
