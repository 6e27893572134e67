"""The repository: who works in it, whether history, tags and work tree are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath.backends.git import (
    Repository,
    branches,
    checkouts,
    commit_history,
    large_files,
    refs,
    remotes,
)
from towpath.config import names_and_paths
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import TowpathError
from towpath.registry import registry_state, restore_tags
from towpath.registry.registry_state import CANDIDATES, TAGS
from towpath.registry.version_reference import TagName, parse_tag
from towpath.registry.version_registration import WHOLE

if TYPE_CHECKING:
    from towpath.backends.git import Repository
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
        message = "the clone was made without tags, which are the versions"
        yield report_lack("git", message, "towpath fetch")
    else:
        yield report_well("git", "the history is whole")
    if replaced := commit_history.find_substitutes(repository):
        message = f"stock Git shows others in place of {len(replaced)} objects, Towpath does not"
        hint = commit_history.way_to_undo(repository, replaced[0])
        yield DoctorCheck("git", "unknown", message, hint)


def _examine_main(repository: Repository, remote: str) -> Iterator[DoctorCheck]:
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
        message = f"the main branch of {remote} is `{remote_head}` now"
        message += f", and here it is taken to be `{kept}`"
        yield report_lack("remote", message, "towpath fetch")
    yield from _left_behind(repository, remote, remote_head or kept)


def _left_behind(repository: Repository, remote: str, main: str | None) -> Iterator[DoctorCheck]:
    # A branch here that is called as main branches are, and that main is not, nor any branch of
    # the remote: main was renamed there, and what is committed upon it goes nowhere.
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
    # The one here is held against main and mended first; where it was right, the remote's is the
    # false one, which is kept here before it is overwritten: it may be all that keeps a commit.
    keep = f"git fetch {remote} 'refs/tags/{name}:refs/towpath/set-aside/{name}/{remote}'"
    push = f"git push {remote} '+refs/tags/{name}:refs/tags/{name}'"
    way = f"{restore_tags.way_to_restore(name)}, which is held against main"
    return f"{way}; where the one here was right: {keep}; then {push}"


def _examine_remote(workspace: Workspace, repository: Repository) -> Iterator[DoctorCheck]:
    remote = remotes.choose_remote(repository)
    if remote is None:
        if workspace.shared_registry is None:
            yield report_well("git", "there is no remote: everything stays on this machine")
        return
    try:
        remote_tags = remotes.list_remote_refs(repository, remote, f"{_TAGS}*")
    except TowpathError as error:
        yield from report_faults("remote", error)
        return
    local_tags = refs.list_ref_objects(repository, _TAGS.rstrip("/"))
    missing = len(remote_tags.keys() - local_tags.keys())
    common = sorted(remote_tags.keys() & local_tags.keys())
    differing = (name for name in common if local_tags[name] != remote_tags[name])
    moved = [short for name in differing if parse_tag(short := name.removeprefix(_TAGS))]
    for short in moved:
        message = f"{short} is another tag there than here"
        yield report_lack("remote", message, _settle_tags(remote, short))
    if missing:
        yield report_lack("remote", f"{missing} of {remote}'s tags are not here", "towpath fetch")
    yield from examine_unpublished(repository, remote, remote_tags)
    yield from _examine_main(repository, remote)
    if not moved and not missing:
        yield report_well("remote", f"{remote} answers, and all its tags are here")


_TRUE = ("true", "yes", "on", "1", "")


def examine_unpublished(
    repository: Repository, remote: str, remote_tags: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    """Versions, rejections and candidates that the remote, which has these tags, does not have."""
    yield from _examine_tags(repository, remote, remote_tags)
    waiting = refs.list_ref_names(repository, CANDIDATES.rstrip("/"))
    if waiting:
        message = f"{_count_in_words(len(waiting), 'candidate')} waits here for a number"
        yield DoctorCheck("remote", "unknown", message, "towpath push")
    yield from _pruning_settings(repository, remote)


def _examine_tags(
    repository: Repository, remote: str, remote_tags: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    local_tags = refs.list_ref_objects(repository, TAGS.rstrip("/"))
    tag_names = {
        name: parse_tag(name.removeprefix(TAGS))
        for name in local_tags | registry_state.read_backed_up_tags(repository)
    }
    absent = (tag for name, tag in tag_names.items() if name not in remote_tags)
    mine = [tag for tag in absent if tag and tag.version]
    if mine:
        message = f"{_both_in_words(mine)} only here, and not on {remote}"
        yield report_lack("remote", message, "towpath push")


def _both_in_words(tags: list[TagName]) -> str:
    rejections = sum(tag.undone for tag in tags)
    counts = {"version": len(tags) - rejections, "rejection": rejections}
    words = [_count_in_words(count, what) for what, count in counts.items() if count]
    return f"{' and '.join(words)} {'is' if len(tags) == 1 else 'are'}"


def _count_in_words(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _pruning_settings(repository: Repository, remote: str) -> Iterator[DoctorCheck]:
    """Settings by which a plain ``git fetch`` deletes what only this clone has."""
    # No fault before it happens, and then it is too late: said while there is something to lose.
    for key in ("fetch.pruneTags", f"remote.{remote}.pruneTags"):
        value = repository.attempt_git("config", "--get", key)
        if value.code == 0 and value.text.lower() in _TRUE:
            message = f"`git fetch` here deletes tags that {remote} does not have ({key})"
            hint = f"git config {key} false; versions come back with towpath fetch"
            yield DoctorCheck("remote", "unknown", message, hint)
    specs = repository.attempt_git("config", "--get-all", f"remote.{remote}.fetch").text.split("\n")
    for spec in specs:
        if spec.endswith(":refs/*"):
            message = f"`git fetch --prune` here deletes what waits for its number ({spec})"
            usual = f"'+refs/heads/*:refs/remotes/{remote}/*'"
            hint = f"git config --replace-all remote.{remote}.fetch {usual} ':refs/\\*$'"
            yield DoctorCheck("remote", "unknown", message, hint)


AS_BYTES = (
    "write into .gitattributes, as a new project has it: {path} -text; then, for the bytes that "
    "were committed: mv {path} {path}.before && git checkout -- {path}"
)


def examine_checkout(workspace: Workspace) -> Iterator[DoctorCheck]:
    """What of the work tree is not as the commit has it, though Git calls it clean."""
    repository = workspace.repository
    if repository is None or repository.head() is None:
        return
    if (repository.root / ".gitmodules").is_file():
        yield from _examine_submodules(repository)
    inputs = sorted(set(_pipeline_inputs(workspace)))
    yield from _line_ends(repository, workspace, inputs)
    yield from _find_pointers(workspace, inputs)


def _examine_submodules(repository: Repository) -> Iterator[DoctorCheck]:
    for path in checkouts.absent_submodules(repository):
        yield report_lack("git", f"the submodule {path} is not set up", checkouts.SET_UP)
    for path, why in repository.state().submodules.items():
        yield report_lack("git", f"the submodule {path}: {why}", checkouts.SET_UP)


def _pipeline_inputs(workspace: Workspace) -> Iterator[str]:
    for name in workspace.pipelines:
        try:
            declared = workspace.pipeline(name)
        except TowpathError:  # `towpath check` says what is wrong with it
            continue
        for declared_input in declared.pipeline.inputs.values():
            if not names_and_paths.is_model_reference(declared_input.path):
                yield declared_input.path


def _line_ends(
    repository: Repository, workspace: Workspace, inputs: list[str]
) -> Iterator[DoctorCheck]:
    # Data that Git changes on its way to the work tree: its digest is another one elsewhere.
    folder = f"{workspace.folder}/" if workspace.folder else ""
    pathspecs = [f":(literal){folder}{path}" for path in inputs]
    listed = repository.call("ls-files", "--eol", "-z", "--", *pathspecs) if pathspecs else ""
    for row in filter(None, listed.split("\0")):
        about, _, path = row.partition("\t")
        committed, checked_out = about.split()[:2]
        is_changed = "w/" + committed.removeprefix("i/") != checked_out
        if is_changed and checked_out in ("w/crlf", "w/mixed"):
            message = f"Git changes the line ends of {path}, an input: "
            message += "its digest is another elsewhere"
            yield DoctorCheck("git", "unknown", message, AS_BYTES.format(path=path))


def _find_pointers(workspace: Workspace, inputs: list[str]) -> Iterator[DoctorCheck]:
    for input_path in inputs:
        for pointer in large_files.pointers_in(workspace.root / input_path):
            shown = os.path.relpath(pointer, workspace.root)
            message = f"{shown} is a pointer of Git LFS, not the data"
            yield report_lack("git", message, large_files.PULL)
