"""The repository: who works in it, and whether history and tags are whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, branches, commit_history, refs, remotes
from towpath.doctor import unpublished_checks
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import TowpathError
from towpath.registry import restore_tags
from towpath.registry.version_reference import parse_tag
from towpath.registry.version_registration import WHOLE

if TYPE_CHECKING:
    from towpath.workspace import Workspace

_TAGS = "refs/tags/"


def examine_repository(workspace: Workspace, offline: bool) -> Iterator[DoctorCheck]:
    """The project's own repository; of a shared registry's clone, its tags."""
    try:
        repository = workspace.repository
    except TowpathError as error:
        yield from report_faults("git", error)
        return
    if repository is None:
        yield report_lack("git", "there is no Git repository here", "git init, and commit")
        return
    yield from _examine_identity(repository)
    yield from _examine_history(repository)
    if not offline:
        yield from _examine_remote(workspace, repository)


def find_main_commit(workspace: Workspace) -> str | None:
    """The main branch's commit, where the registry is kept; None before the first one."""
    repository = workspace.registry
    branch = branches.find_main_branch(repository)
    return (branch.far or branch.near) if branch else None


def _examine_identity(repository: Repository) -> Iterator[DoctorCheck]:
    try:
        yield report_well("git", f"commits are {repository.read_identity()}'s")
    except TowpathError as error:
        yield from report_faults("git", error)


def _examine_history(repository: Repository) -> Iterator[DoctorCheck]:
    if repository.head() is None:
        yield report_lack("git", "nothing is committed yet", "git add . && git commit")
    elif repository.is_shallow():
        yield report_lack("git", "the clone is shallow: history was cut off", WHOLE)
    elif remotes.is_tagless(repository):
        yield report_lack(
            "git", "the clone was made without tags, which are the versions", "towpath fetch"
        )
    else:
        yield report_well("git", "the history is whole")
    if replaced := commit_history.find_substitutes(repository):
        message = f"stock Git shows others in place of {len(replaced)} objects, Towpath does not"
        yield DoctorCheck(
            "git", "unknown", message, commit_history.way_to_undo(repository, replaced[0])
        )


def _examine_main(repository: Repository, remote: str) -> Iterator[DoctorCheck]:
    """Which branch is main: as the remote says it now, and as it was last asked here."""
    try:
        remote_head = remotes.remote_head_branch(repository, remote)
        kept = branches.kept_head(repository, remote)
    except TowpathError as error:
        yield from report_faults("remote", error)
        return
    if remote_head is None and kept is None:
        message = f"{remote} does not say which of its branches is main: its HEAD names none"
        yield report_lack("remote", message, f"git remote set-head {remote} <branch>")
    elif remote_head is not None and kept not in (None, remote_head):
        message = (
            f"the main branch of {remote} is `{remote_head}` now, and here it is taken "
            f"to be `{kept}`"
        )
        yield report_lack("remote", message, "towpath fetch")
    yield from _left_behind(repository, remote, remote_head or kept)


def _left_behind(repository: Repository, remote: str, main: str | None) -> Iterator[DoctorCheck]:
    """A branch here that is called as main branches are, and that main is not, nor any branch of
    the remote: main was renamed there, and what is committed upon it goes nowhere."""
    names = [name for name in branches.USUAL if main and name != main]
    local_names = [name for name in names if refs.list_ref_names(repository, f"refs/heads/{name}")]
    if not local_names:
        return
    try:  # the view of it here keeps a branch that was renamed there
        remote_refs = remotes.list_remote_refs(
            repository, remote, *(f"refs/heads/{name}" for name in local_names)
        )
    except TowpathError as error:
        yield from report_faults("remote", error)
        return
    for name in local_names:
        if f"refs/heads/{name}" not in remote_refs:
            message = f"the branch `{name}` here is no main branch: that of {remote} is `{main}`"
            hint = (
                f"git switch {main}, and merge what of `{name}` is missed there; then "
                f"git branch -m {name} {name}-before-{main} keeps it under another name"
            )
            yield report_lack("git", message, hint)


def _settle_tags(remote: str, name: str) -> str:
    """How one of two tags of a name prevails: the one here is held against main and mended first;
    where it was right, it is the remote's that is false, which is kept here."""
    keep = f"git fetch {remote} 'refs/tags/{name}:refs/towpath/set-aside/{name}/{remote}'"
    push = f"git push {remote} '+refs/tags/{name}:refs/tags/{name}'"
    return (
        f"{restore_tags.way_to_restore(name)}, which is held against main; where the one here "
        f"was right: "
        f"{keep}; then {push}"
    )


def _examine_remote(workspace: Workspace, repository: Repository) -> Iterator[DoctorCheck]:
    remote = remotes.choose_remote(repository)
    if remote is None and workspace.shared_registry is None:
        yield report_well("git", "there is no remote: everything stays on this machine")
    if remote is None:
        return
    try:
        remote_tags = remotes.list_remote_refs(repository, remote, f"{_TAGS}*")
    except TowpathError as error:
        yield from report_faults("remote", error)
        return
    local_tags = refs.list_ref_objects(repository, _TAGS.rstrip("/"))
    missing = sum(1 for name in remote_tags if name not in local_tags)
    moved = [
        tag_name
        for tag_name in sorted(remote_tags)
        if local_tags.get(tag_name, remote_tags[tag_name]) != remote_tags[tag_name]
        and parse_tag(tag_name.removeprefix(_TAGS))
    ]
    for name in moved:
        short = name.removeprefix(_TAGS)
        message = f"{short} is another tag there than here"
        yield report_lack("remote", message, _settle_tags(remote, short))
    if missing:
        yield report_lack("remote", f"{missing} of {remote}'s tags are not here", "towpath fetch")
    yield from unpublished_checks.examine_unpublished(repository, remote, remote_tags)
    yield from _examine_main(repository, remote)
    if not moved and not missing:
        yield report_well("remote", f"{remote} answers, and all its tags are here")
