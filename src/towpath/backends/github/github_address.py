"""Which repository at GitHub a project means, and the token that it is asked with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from towpath.errors import UserError

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

PUBLIC_ADDRESS = "https://api.github.com"
TOKEN_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
# A server on this machine may be spoken to in clear: nobody stands between.
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def locate_repository(project: Project, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The address and ``owner/name`` of the repository that a project names; None for none."""
    if project.forge is None:
        return None
    name = project.forge.repository or environ.get("GITHUB_REPOSITORY")
    if not name:
        hint = "in towpath.yaml: forge: {kind: github, repository: owner/name}"
        raise UserError("it is not said which repository at GitHub this is", hint=hint)
    # The environment goes before the file: Actions at an Enterprise server say there where they
    # are, and the file may have been written for the public one.
    api = environ.get("GITHUB_API_URL") or project.forge.api or PUBLIC_ADDRESS
    parts = urlsplit(api)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "as https://github.example.org/api/v3"
        raise UserError(f"`{api}` is not the address of GitHub's API", hint=hint)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise UserError(f"{api} would be told the token in clear", hint="write https:// instead")
    return api, name


def read_token(environ: Mapping[str, str]) -> str:
    """The token of whoever asks. Raises ``UserError`` where there is none, or what is none."""
    token = find_token(environ)
    if token is None:
        hint = (
            "export GITHUB_TOKEN=$(gh auth token), or one from github.com/settings/tokens with the "
            "permissions contents and pull requests"
        )
        raise UserError("GitHub wants to know who asks: there is no token", hint=hint)
    # httpx would refuse such a header with a message that quotes it, and so the token.
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError("the token holds characters that no token has", hint="copy it again")
    return token


def find_token(environ: Mapping[str, str]) -> str | None:
    """The token that the environment holds; None for none."""
    values = (environ.get(name, "").strip() for name in TOKEN_VARIABLES)
    return next(filter(None, values), None)
