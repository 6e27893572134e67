"""The forge that a project names, which is GitHub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from towpath.backends.github import github_address
from towpath.backends.github.github_forge import GitHub
from towpath.backends.github.github_requests import Patience

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.forge import Forge


def connect_forge(
    project: Project, environ: Mapping[str, str] | None = None, patience: Patience | None = None
) -> Forge | None:
    """The forge that a project names; None where it names none. Nothing is asked of it yet. The
    repository is the one declared, else ``GITHUB_REPOSITORY``; the address is ``GITHUB_API_URL``,
    else the one declared, else GitHub's own. Raises ``UserError`` where there is no token
    (``GITHUB_TOKEN``, ``GH_TOKEN``) or no repository."""
    variables = os.environ if environ is None else environ
    place = github_address.locate_repository(project, variables)
    if place is None:
        return None
    token = github_address.read_token(variables)
    return GitHub.from_address(*place, token, patience or Patience(), variables)


def has_own_address(project: Project, environ: Mapping[str, str] | None = None) -> bool:
    """Whether the declaration alone, not the environment, says where the token goes."""
    variables = os.environ if environ is None else environ
    return bool(project.forge and project.forge.api and not variables.get("GITHUB_API_URL"))


def has_token() -> bool:
    return github_address.find_token(os.environ) is not None
