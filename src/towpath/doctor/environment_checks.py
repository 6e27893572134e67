"""What a project stands on beside its files: Git, the bytes' remote, the Prefect API, the forge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath import forge
from towpath.backends.dvc.dvc_config import load_config, locate_store
from towpath.backends.git import branches, git_command, remotes
from towpath.delivery.promotion import rules_in_force
from towpath.delivery.promotion.rules_in_force import connect_to_set_up
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import StoreError, TowpathError
from towpath.forge import Forbidden

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.workspace import Workspace


OLDEST = (2, 31)  # older ones lack options that every command uses
NEEDED = ("promotion", "reconcile")  # without them nothing checks a promotion, or brings it about
_PATIENCE = 2.0  # seconds for the Prefect API: whoever runs doctor sits before the terminal


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
    """The workflows that the forge runs, as main has them."""
    if workspace.policy.forge is None:
        return
    repository = workspace.registry_at_hand
    present = rules_in_force.list_workflow_names(repository, branches.main_commit(repository))
    missing = [name for name in NEEDED if name not in present]
    if missing:
        files = ", ".join(f"{name}.yml" for name in missing)
        hint = "unless another CI does it, take .github/workflows from a new project: towpath new"
        yield DoctorCheck("workflows", "unknown", f"main has no .github/workflows/{files}", hint)
    else:
        yield report_well("workflows", ", ".join(present))


def examine_prefect(workspace: Workspace) -> Iterator[DoctorCheck]:
    """The Prefect API that is configured; without one, a run starts its own."""
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
        yield from report_faults(_ABOUT, error)
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
        yield from report_faults(_ABOUT, error, "unknown")
        return
    missing = forge.find_lacking_rules(rules_in_force.required_forge_rules(workspace), actual)
    for lack in missing:
        yield report_lack(_ABOUT, str(lack), "towpath forge setup --apply")
    silent = rules_in_force.queue_lacks(workspace, actual)
    for lack in silent:
        hint = f"write {rules_in_force.QUEUED} of each, as the workflows of a new project have it"
        yield report_lack(_ABOUT, str(lack), hint)
    if not missing and not silent:
        yield report_well(_ABOUT, "it enforces what the declaration relies on")
