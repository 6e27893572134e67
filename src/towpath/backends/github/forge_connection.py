"""From a project's declaration to its forge: the address, the repository, and the token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from towpath.errors import UserError
from towpath.forge.forge import Forge

if TYPE_CHECKING:
    from towpath.backends.github import GitHub, Patience
    from towpath.config.project_declaration import Project

PUBLIC = "https://api.github.com"
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def connect_forge(
    project: Project,
    repository: str | None = None,
    environ: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> Forge | None:
    """The forge that a project names; None where it names none. Nothing is asked of it yet.

    ``repository`` is ``owner/name``, by default the one declared, else ``GITHUB_REPOSITORY``. The
    address is ``GITHUB_API_URL``, else the one declared, else GitHub's own. Raises ``UserError``
    where there is no token (``GITHUB_TOKEN``, ``GH_TOKEN``) or no repository.
    """
    variables = os.environ if environ is None else environ
    place = _forge_place(project, repository, variables)
    if place is None:
        return None
    token = _read_token(variables)

    from towpath.backends.github import GitHub, Patience

    def turn(other: Project, known: GitHub) -> Forge | None:
        other_place = _forge_place(other, repository, variables)
        if other_place is None or known.is_at(*other_place):
            return known if other_place else None
        return connect_forge(other, repository, variables, patience)

    return GitHub.from_address(*place, token, patience or Patience(), turn)


def has_own_address(project: Project, environ: Mapping[str, str] | None = None) -> bool:
    """Whether it is the declaration alone that says where the token goes: neither GitHub itself
    nor what this environment names."""
    variables = os.environ if environ is None else environ
    return bool(project.forge and project.forge.api and not variables.get("GITHUB_API_URL"))


def has_token(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this environment holds a token for a forge."""
    variables = os.environ if environ is None else environ
    return any(variables.get(name, "").strip() for name in TOKENS)


def _forge_place(
    project: Project, repository: str | None, environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """The address and ``owner/name`` of the repository that a project names; None for none."""
    if project.forge is None:
        return None
    name = repository or project.forge.repository or environ.get("GITHUB_REPOSITORY")
    if not name:
        hint = "in towpath.yaml: forge: {kind: github, repository: owner/name}"
        raise UserError("it is not said which repository at GitHub this is", hint=hint)
    return _check_address(environ.get("GITHUB_API_URL") or project.forge.api or PUBLIC), name


def _read_token(environ: Mapping[str, str]) -> str:
    token = next((value for name in TOKENS if (value := environ.get(name, "").strip())), None)
    if token is None:
        hint = (
            "export GITHUB_TOKEN=$(gh auth token), or one from github.com/settings/tokens with the "
            "permissions contents and pull requests"
        )
        raise UserError("GitHub wants to know who asks: there is no token", hint=hint)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError("the token holds characters that no token has", hint="copy it again")
    return token


def _check_address(api: str) -> str:
    parts = urlsplit(api)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "as https://github.example.org/api/v3"
        raise UserError(f"`{api}` is not the address of GitHub's API", hint=hint)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        what = f"{api} would be told the token in clear"
        raise UserError(what, hint="write https:// instead")
    return api
