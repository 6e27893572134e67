"""Whether what the policy asks for an approval can be had at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, signatures
from towpath.backends.git.allowed_signers import SIGNERS, read_allowed_signers
from towpath.delivery.promotion import approval, code_owners, commit_signatures
from towpath.doctor.health_check import Check, lacks, well
from towpath.registry.version_signatures import allowed_signers

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.workspace import Workspace


def check(workspace: Workspace, project: Project, main: str | None) -> Iterator[Check]:
    """For each stage: who may let a version in, and by what."""
    for name in project.stages:
        yield _stage(workspace.registry, project, main, name)
    yield from _signers(workspace.registry, project, main)


def _stage(repository: Repository, project: Project, main: str | None, name: str) -> Check:
    about, level = f"stage {name}", approval.least(project, name)
    named = _named(repository, project, main, name)
    if level == "forge" and project.forge is None:
        hint = "declare `forge: {kind: github, repository: owner/name}`, or a lower level"
        return lacks(about, "is entered by a forge's reviews, and there is no forge", hint)
    if level == "forge" and not named:
        hint = f"name them in CODEOWNERS for /registry/stages/{name}/, on the main branch"
        return lacks(about, "nobody is named who may approve what enters it", hint)
    if level == "signed" and not _has_signers(repository, main):
        hint = f"list them in {SIGNERS} on the main branch, as `mail ssh-ed25519 AAAA...`"
        return lacks(about, "is entered by signatures, and no signer is allowed", hint)
    who = f" of {', '.join(named)}" if named else ""
    return well(about, f"is entered by an approval{who}, at least `{level}`")


def _named(
    repository: Repository, project: Project, main: str | None, name: str
) -> tuple[str, ...]:
    path = f"registry/stages/{name}/model.yaml"
    written = code_owners.of(repository, main, path) if main else ()
    return tuple(dict.fromkeys((*written, *project.stages[name].approvers)))


def _has_signers(repository: Repository, main: str | None) -> bool:
    return bool(read_allowed_signers(allowed_signers(repository, main)).signers)


def _signers(repository: Repository, project: Project, main: str | None) -> Iterator[Check]:
    """The lines of signers that count for nothing, and whether versions are signed that must be."""
    for fault in read_allowed_signers(allowed_signers(repository, main)).faults:
        yield lacks(str(fault.place), fault.what, fault.hint or "")
    if project.policy.versions != "signed":
        return
    if signatures.signs_tags(repository) and commit_signatures.is_configured(repository):
        yield well("versions", "are signed as Git is configured, which the policy asks for")
    else:
        hint = f"{commit_signatures.CONFIGURE}; git config tag.gpgSign true"
        said = "must be signed, and Git here does not sign tags with an SSH key"
        yield lacks("versions", said, hint)
