"""What a project stands on beside its own files: Git itself, the bytes' remote, the Prefect API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.dvc.dvc_config import load_config, locate
from towpath.backends.git import git_command, main_branch, remotes
from towpath.delivery.promotion import forge_demands
from towpath.doctor.health_check import Check, lacks, well
from towpath.errors import StoreError

if TYPE_CHECKING:
    from towpath.workspace import Workspace

#: Older ones lack options that every command uses.
OLDEST = (2, 31)
#: Workflows without which nothing checks a promotion, or brings it about.
NEEDED = ("promotion", "reconcile")
_PATIENCE = 2.0  # seconds for the Prefect API


def git_itself(workspace: Workspace) -> Iterator[Check]:
    """Git's version."""
    said = git_command.call(workspace.root, "--version").text.strip()
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        yield lacks("git", f"this is {said}", f"install Git {wanted} or later")
    else:
        yield well("git", said)


def bytes_remote(workspace: Workspace) -> Iterator[Check]:
    """Where data and models go when the repository is pushed somewhere."""
    repository = workspace.repository
    if repository is None or remotes.chosen(repository) is None:
        return
    # Loading DVC for it would take a second.
    try:
        name = load_config(locate(workspace.root).dvc).default_name()
    except StoreError:  # no `.dvc` here or above
        name = None
    if name is None:
        said = "versions can be pushed, and the bytes of data and models cannot: no DVC remote"
        yield Check("store", "unknown", said, "dvc remote add --default store s3://bucket/path")
    else:
        yield well("store", f"bytes are pushed to the DVC remote {name}")


def workflows(workspace: Workspace) -> Iterator[Check]:
    """The workflows that the forge runs, as main has them."""
    if workspace.policy.forge is None:
        return
    repository = workspace.registry_at_hand
    there = forge_demands.workflows(repository, main_branch.main(repository))
    missing = [name for name in NEEDED if name not in there]
    if missing:
        files = ", ".join(f"{name}.yml" for name in missing)
        hint = "unless another CI does it, take .github/workflows from a new project: towpath new"
        yield Check("workflows", "unknown", f"main has no .github/workflows/{files}", hint)
    else:
        yield well("workflows", ", ".join(there))


def prefect(workspace: Workspace) -> Iterator[Check]:
    """The Prefect API that is configured; without one, a run starts its own."""
    from towpath.backends.prefect.server import remote_api, server_state

    found = remote_api.find(workspace.root)
    if found is None:
        yield well("prefect", "no API is configured: a run starts one of its own")
        return
    wrong = server_state.trouble(found.url, _PATIENCE)
    if wrong:
        hint = "start it, or remove that setting and Towpath starts its own"
        yield lacks("prefect", f"the API {found.url} ({found.origin}) {wrong}", hint)
    else:
        yield well("prefect", f"the API {found.url} answers")
