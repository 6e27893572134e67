"""The repository: who works in it, and whether history and tags are whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, commit_history, main_branch, refs, remotes
from towpath.doctor import unpublished_checks
from towpath.doctor.health_check import Check, faults, lacks, well
from towpath.errors import TowpathError
from towpath.registry import restore_tags
from towpath.registry.registration_readiness import WHOLE
from towpath.registry.version_reference import parse_tag

if TYPE_CHECKING:
    from towpath.workspace import Workspace

_TAGS = "refs/tags/"


def check(workspace: Workspace, offline: bool) -> Iterator[Check]:
    """The project's own repository; of a shared registry's clone, its tags."""
    try:
        repository = workspace.repository
    except TowpathError as error:
        yield from faults("git", error)
        return
    if repository is None:
        yield lacks("git", "there is no Git repository here", "git init, and commit")
        return
    yield from _identity(repository)
    yield from _history(repository)
    if not offline:
        yield from _remote(workspace, repository)


def main(workspace: Workspace) -> str | None:
    """The main branch's commit, where the registry is kept; None before the first one."""
    repository = workspace.registry
    branch = main_branch.find(repository)
    return (branch.far or branch.near) if branch else None


def _identity(repository: Repository) -> Iterator[Check]:
    try:
        yield well("git", f"commits are {repository.identity()}'s")
    except TowpathError as error:
        yield from faults("git", error)


def _history(repository: Repository) -> Iterator[Check]:
    if repository.head() is None:
        yield lacks("git", "nothing is committed yet", "git add . && git commit")
    elif repository.is_shallow():
        yield lacks("git", "the clone is shallow: history was cut off", WHOLE)
    elif remotes.is_tagless(repository):
        yield lacks(
            "git", "the clone was made without tags, which are the versions", "towpath fetch"
        )
    else:
        yield well("git", "the history is whole")
    if replaced := commit_history.substitutes(repository):
        said = f"stock Git shows others in place of {len(replaced)} objects, Towpath does not"
        yield Check("git", "unknown", said, commit_history.way_to_undo(repository, replaced[0]))


def _main(repository: Repository, remote: str) -> Iterator[Check]:
    """Which branch is main: as the remote says it now, and as it was last asked here."""
    try:
        now, kept = remotes.head(repository, remote), main_branch.kept_head(repository, remote)
    except TowpathError as error:
        yield from faults("remote", error)
        return
    if now is None and kept is None:
        said = f"{remote} does not say which of its branches is main: its HEAD names none"
        yield lacks("remote", said, f"git remote set-head {remote} <branch>")
    elif now is not None and kept not in (None, now):
        said = f"the main branch of {remote} is `{now}` now, and here it is taken to be `{kept}`"
        yield lacks("remote", said, "towpath fetch")
    yield from _left_behind(repository, remote, now or kept)


def _left_behind(repository: Repository, remote: str, main: str | None) -> Iterator[Check]:
    """A branch here that is called as main branches are, and that main is not, nor any branch of
    the remote: main was renamed there, and what is committed upon it goes nowhere."""
    names = [name for name in main_branch.USUAL if main and name != main]
    here = [name for name in names if refs.names(repository, f"refs/heads/{name}")]
    if not here:
        return
    try:  # the view of it here keeps a branch that was renamed there
        there = remotes.there(repository, remote, *(f"refs/heads/{name}" for name in here))
    except TowpathError as error:
        yield from faults("remote", error)
        return
    for name in here:
        if f"refs/heads/{name}" not in there:
            said = f"the branch `{name}` here is no main branch: that of {remote} is `{main}`"
            hint = (
                f"git switch {main}, and merge what of `{name}` is missed there; then "
                f"git branch -m {name} {name}-before-{main} keeps it under another name"
            )
            yield lacks("git", said, hint)


def _settle(remote: str, name: str) -> str:
    """How one of two tags of a name prevails: the one here is held against main and mended first;
    where it was right, it is the remote's that is false, which is kept here."""
    keep = f"git fetch {remote} 'refs/tags/{name}:refs/towpath/set-aside/{name}/{remote}'"
    push = f"git push {remote} '+refs/tags/{name}:refs/tags/{name}'"
    return (
        f"{restore_tags.way(name)}, which is held against main; where the one here was right: "
        f"{keep}; then {push}"
    )


def _remote(workspace: Workspace, repository: Repository) -> Iterator[Check]:
    remote = remotes.chosen(repository)
    if remote is None and workspace.shared_registry is None:
        yield well("git", "there is no remote: everything stays on this machine")
    if remote is None:
        return
    try:
        there = remotes.there(repository, remote, f"{_TAGS}*")
    except TowpathError as error:
        yield from faults("remote", error)
        return
    here = refs.objects(repository, _TAGS.rstrip("/"))
    missing = sum(1 for name in there if name not in here)
    moved = [one for one in sorted(there) if here.get(one, there[one]) != there[one]]
    moved = [one for one in moved if parse_tag(one.removeprefix(_TAGS))]
    for name in moved:
        short = name.removeprefix(_TAGS)
        said = f"{short} is another tag there than here"
        yield lacks("remote", said, _settle(remote, short))
    if missing:
        yield lacks("remote", f"{missing} of {remote}'s tags are not here", "towpath fetch")
    yield from unpublished_checks.check(repository, remote, there)
    yield from _main(repository, remote)
    if not moved and not missing:
        yield well("remote", f"{remote} answers, and all its tags are here")
