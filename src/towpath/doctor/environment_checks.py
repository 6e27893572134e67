"""What a project stands on: Git, its history, tags and work tree, the bytes' remote, Prefect's API,
the forge."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from towpath import forge
from towpath.backends.dvc.dvc_config import load_config, locate_store
from towpath.backends.git import (
    Repository,
    checkouts,
    commit_history,
    git_command,
    large_files,
    main_branch,
    refs,
    remotes,
)
from towpath.config import names_and_paths
from towpath.delivery.promotion import forge_requirements
from towpath.delivery.promotion.rules_in_force import connect_to_set_up
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import StoreError, TowpathError
from towpath.forge import Forbidden, Forge
from towpath.planning.declared_pipelines import read_declared
from towpath.registry import registry_state, restore_tags
from towpath.registry.registry_state import CANDIDATES, TAGS
from towpath.registry.version_reference import parse_tag
from towpath.registry.version_registration import WHOLE
from towpath.workspace import Workspace

OLDEST = (2, 31)  # older ones lack options that every command uses
NEEDED = ("promotion", "reconcile")  # without them nothing checks a promotion, or brings it about
_PATIENCE = 2.0  # seconds for the Prefect API: whoever runs doctor sits before the terminal


def examine_repository(workspace: Workspace, offline: bool) -> Iterator[DoctorCheck]:
    try:
        repository = workspace.repository
    except TowpathError as error:
        yield from report_faults("git", error.faults)
        return
    if repository is None:
        yield report_lack("git", "there is no Git repository here", "git init, and commit")
        return
    try:
        yield report_well("git", f"commits are {repository.read_identity()}'s")
    except TowpathError as error:
        yield from report_faults("git", error.faults)
    yield from _examine_history(repository)
    if not offline:
        yield from _examine_remote(workspace, repository)


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
        kept = main_branch.kept_head(repository, remote)
    except TowpathError as error:
        yield from report_faults("remote", error.faults)
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
    names = [name for name in main_branch.USUAL if main and name != main]
    local_names = [name for name in names if refs.list_ref_names(repository, f"refs/heads/{name}")]
    if not local_names:
        return
    try:  # the view of it here keeps a branch that was renamed there
        remote_refs = remotes.list_remote_refs(
            repository, remote, *(f"refs/heads/{name}" for name in local_names)
        )
    except TowpathError as error:
        yield from report_faults("remote", error.faults)
        return
    for name in local_names:
        if f"refs/heads/{name}" not in remote_refs:
            message = f"the branch `{name}` here is no main branch: that of {remote} is `{main}`"
            hint = (
                f"git switch {main}, and merge what of `{name}` is missed there; then "
                f"git branch -m {name} {name}-before-{main} keeps it under another name"
            )
            yield report_lack("git", message, hint)


def _examine_remote(workspace: Workspace, repository: Repository) -> Iterator[DoctorCheck]:
    remote = remotes.choose_remote(repository)
    if remote is None:
        if workspace.shared_registry is None:
            yield report_well("git", "there is no remote: everything stays on this machine")
        return
    try:
        remote_tags = remotes.list_remote_refs(repository, remote, f"{TAGS}*")
    except TowpathError as error:
        yield from report_faults("remote", error.faults)
        return
    local_tags = refs.list_ref_objects(repository, TAGS.rstrip("/"))
    missing = len(remote_tags.keys() - local_tags.keys())
    common = sorted(remote_tags.keys() & local_tags.keys())
    differing = (name for name in common if local_tags[name] != remote_tags[name])
    shorts = (name.removeprefix(TAGS) for name in differing)
    moved = [(short, tag) for short in shorts if (tag := parse_tag(short))]
    for short, tag in moved:
        message = f"{short} is another tag there than here"
        # The one here is held against main and mended first; where it was right, the remote's is
        # the false one, which is kept here before it is overwritten: it may be all that keeps a
        # commit.
        keep = f"git fetch {remote} 'refs/tags/{short}:refs/towpath/set-aside/{short}/{remote}'"
        push = f"git push {remote} '+refs/tags/{short}:refs/tags/{short}'"
        way = f"{restore_tags.way_to_restore(short)}, which is held against main"
        if tag.undone:  # of a rejection main says nothing
            way = f"where the one there is right: git tag -d '{short}'; towpath fetch"
        hint = f"{way}; where the one here was right: {keep}; then {push}"
        yield report_lack("remote", message, hint)
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
    local_tags = refs.list_ref_objects(repository, TAGS.rstrip("/"))
    tag_names = {
        name: parse_tag(name.removeprefix(TAGS))
        for name in local_tags | registry_state.read_backed_up_tags(repository)
    }
    absent = (tag for name, tag in tag_names.items() if name not in remote_tags)
    mine = [tag for tag in absent if tag and tag.version]
    if mine:
        rejections = sum(tag.undone for tag in mine)
        counts = {"version": len(mine) - rejections, "rejection": rejections}
        words = [f"{n} {what}{'' if n == 1 else 's'}" for what, n in counts.items() if n]
        are = "is" if len(mine) == 1 else "are"
        message = f"{' and '.join(words)} {are} only here, and not on {remote}"
        yield report_lack("remote", message, "towpath push")
    waiting = refs.list_ref_names(repository, CANDIDATES.rstrip("/"))
    if waiting:
        candidates = "1 candidate" if len(waiting) == 1 else f"{len(waiting)} candidates"
        message = f"{candidates} waits here for a number"
        yield DoctorCheck("remote", "unknown", message, "towpath push")
    yield from _pruning_settings(repository, remote)


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
        for path in checkouts.absent_submodules(repository):
            yield report_lack("git", f"the submodule {path} is not set up", checkouts.SET_UP)
        for path, why in repository.state().submodules.items():
            yield report_lack("git", f"the submodule {path}: {why}", checkouts.SET_UP)
    inputs = sorted(set(_pipeline_inputs(workspace)))
    yield from _line_ends(repository, workspace, inputs)
    for input_path in inputs:
        for pointer in large_files.pointers_in(workspace.root / input_path):
            message = (
                f"{os.path.relpath(pointer, workspace.root)} is a pointer of Git LFS, not the data"
            )
            yield report_lack("git", message, large_files.PULL)


def _pipeline_inputs(workspace: Workspace) -> Iterator[str]:
    for name in workspace.pipelines:
        try:
            declared = read_declared(workspace, name)
        except TowpathError:  # `towpath check` says what is wrong with it
            continue
        for declared_input in declared.pipeline.inputs.values():
            path = declared_input.path
            if declared_input.last is not None:
                path = declared_input.otherwise or ""
            if path and not names_and_paths.is_model_reference(path):
                yield path


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


def examine_git_version(workspace: Workspace) -> Iterator[DoctorCheck]:
    version_text = git_command.call_git(workspace.root, "--version").text.strip()
    match = re.search(r"(\d+)\.(\d+)", version_text)
    if match and (int(match[1]), int(match[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield report_lack("git", f"this is {version_text}", f"install Git {oldest} or later")
    else:
        yield report_well("git", version_text)


def examine_bytes_remote(workspace: Workspace) -> Iterator[DoctorCheck]:
    """Where data and models go when the repository is pushed somewhere."""
    repository = workspace.repository
    if repository is None or remotes.choose_remote(repository) is None:
        return
    # By our own reader of DVC's configuration: loading DVC for it would take a second.
    try:
        name = load_config(locate_store(workspace.root).dvc).default_name()
    except StoreError:  # no `.dvc` here or above
        name = None
    if name is None:
        message = "versions can be pushed, and the bytes of data and models cannot: no DVC remote"
        hint = "dvc remote add --default store s3://bucket/path"
        yield DoctorCheck("store", "unknown", message, hint)
    else:
        yield report_well("store", f"bytes are pushed to the DVC remote {name}")


def examine_workflows(workspace: Workspace) -> Iterator[DoctorCheck]:
    if workspace.policy.forge is None:
        return
    repository = workspace.registry_at_hand
    present = forge_requirements.list_workflow_names(
        repository, main_branch.main_commit(repository)
    )
    missing = [name for name in NEEDED if name not in present]
    if missing:
        files = ", ".join(f"{name}.yml" for name in missing)
        hint = "unless another CI does it, take .github/workflows from a new project: towpath new"
        yield DoctorCheck("workflows", "unknown", f"main has no .github/workflows/{files}", hint)
    else:
        yield report_well("workflows", ", ".join(present))


def examine_prefect(workspace: Workspace) -> Iterator[DoctorCheck]:
    from towpath.backends.prefect.server import remote_api, server_state

    api_setting = remote_api.find_configured_api(workspace.root)
    if api_setting is None:
        yield report_well("prefect", "no API is configured: a run starts one of its own")
        return
    url = api_setting.url
    if trouble := server_state.find_api_trouble(url, _PATIENCE):
        hint = "start it, or remove that setting and Towpath starts its own"
        yield report_lack("prefect", f"the API {url} ({api_setting.origin}) {trouble}", hint)
    else:
        yield report_well("prefect", f"the API {url} answers")


_ABOUT = "forge"


def examine_forge(workspace: Workspace, environ: Mapping[str, str]) -> Iterator[DoctorCheck]:
    """The forge that the rules in force name, as this environment's token sees it."""
    try:
        connected_forge = connect_to_set_up(workspace, environ)
        if connected_forge is None:
            yield report_well(_ABOUT, "there is none: `towpath approve` merges what is promoted")
            return
        yield _forge_answers(connected_forge)
    except TowpathError as error:
        yield from report_faults(_ABOUT, error.faults)
        return
    yield from _examine_push(workspace, connected_forge)
    yield from _examine_rules(workspace, connected_forge)


def _forge_answers(connected: Forge) -> DoctorCheck:
    about = f"asked about {connected.repository}"
    try:
        return report_well(_ABOUT, f"{connected.name} answers {connected.user()}, {about}")
    except Forbidden:  # an app's token, as in GitHub's own workflows: it works, and is nobody's
        message = f"{connected.name} answers, {about}; the token is no person's"
        return DoctorCheck(_ABOUT, "unknown", message, "towpath approve needs a person's token")


def _examine_push(workspace: Workspace, connected: Forge) -> Iterator[DoctorCheck]:
    # Promotions are pushed to the remote, and their pull requests opened at the forge.
    repository, home = workspace.registry, connected.repository
    remote = remotes.choose_remote(repository)
    address = remotes.remote_address(repository, remote) if remote else None
    if address is None:
        hint = f"git remote add origin https://github.com/{home}.git"
        yield report_lack(_ABOUT, "there is no remote to push a promotion to", hint)
    elif remotes.is_fork(address, home):
        message = f"promotions are pushed to the fork {address}, and proposed to {home}"
        yield report_well(_ABOUT, message)
    elif not address.removesuffix(".git").lower().endswith(home.lower()):
        message = f"promotions are pushed to {address}, and looked for in {home}"
        hint = "one of `git remote` and `forge: {repository: ...}` is another's"
        yield report_lack(_ABOUT, message, hint)


def _examine_rules(workspace: Workspace, connected: Forge) -> Iterator[DoctorCheck]:
    try:
        actual = connected.rules()
    except TowpathError as error:  # not every token may read them, which is no lack of the forge's
        yield from report_faults(_ABOUT, error.faults, "unknown")
        return
    missing = forge.find_lacking_rules(forge_requirements.required_forge_rules(workspace), actual)
    for lack in missing:
        yield report_lack(_ABOUT, str(lack), "towpath forge setup --apply")
    silent = forge_requirements.queue_lacks(workspace, actual)
    for lack in silent:
        hint = (
            f"write {forge_requirements.QUEUED} of each, as the workflows of a new project have it"
        )
        yield report_lack(_ABOUT, str(lack), hint)
    if not missing and not silent:
        yield report_well(_ABOUT, "it enforces what the declaration relies on")
