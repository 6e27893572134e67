"""What a project stands on beside its own files: Git itself, the bytes' remote, the Prefect API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.dvc.dvc_config import load_config, locate_store
from towpath.backends.git import git_command, main_branch, remotes
from towpath.delivery.promotion import rules_in_force
from towpath.doctor.health_check import DoctorCheck, report_lack, report_well
from towpath.errors import StoreError

if TYPE_CHECKING:
    from towpath.workspace import Workspace

#: Older ones lack options that every command uses.
OLDEST = (2, 31)
#: Workflows without which nothing checks a promotion, or brings it about.
NEEDED = ("promotion", "reconcile")
_PATIENCE = 2.0  # seconds for the Prefect API


def examine_git_version(workspace: Workspace) -> Iterator[DoctorCheck]:
    """Git's version."""
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
    # Loading DVC for it would take a second.
    try:
        name = load_config(locate_store(workspace.root).dvc).default_name()
    except StoreError:  # no `.dvc` here or above
        name = None
    if name is None:
        message = "versions can be pushed, and the bytes of data and models cannot: no DVC remote"
        yield DoctorCheck(
            "store", "unknown", message, "dvc remote add --default store s3://bucket/path"
        )
    else:
        yield report_well("store", f"bytes are pushed to the DVC remote {name}")


def examine_workflows(workspace: Workspace) -> Iterator[DoctorCheck]:
    """The workflows that the forge runs, as main has them."""
    if workspace.policy.forge is None:
        return
    repository = workspace.registry_at_hand
    present = rules_in_force.list_workflow_names(repository, main_branch.main_commit(repository))
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
    wrong = server_state.find_api_trouble(api_setting.url, _PATIENCE)
    if wrong:
        hint = "start it, or remove that setting and Towpath starts its own"
        yield report_lack(
            "prefect", f"the API {api_setting.url} ({api_setting.origin}) {wrong}", hint
        )
    else:
        yield report_well("prefect", f"the API {api_setting.url} answers")
