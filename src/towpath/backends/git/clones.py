"""A clone that nobody works in: bare, with each branch of its origin as that has it."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from towpath.backends.git import git_command
from towpath.backends.git.repository import Repository
from towpath.credentials import hide_credentials
from towpath.errors import RegistryError
from towpath.scratch import folder_beside

ORIGIN = "origin"
_SHORT = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]{2,}):(?P<path>(?!//).*)")  # ssh's short form


def begin_clone(folder: Path, address: str) -> Repository:
    """The clone of ``address`` in ``folder``, made where there is none; nothing is fetched.

    It appears whole or not at all. Raises ``RegistryError`` where the folder cannot be written.
    """
    if not (folder / "HEAD").is_file():
        try:
            _make_clone(folder, address)
        except OSError as refused:
            raise RegistryError(f"{folder} cannot be written: {refused.strerror}") from refused
    return Repository(folder, folder, bare=True)


def _make_clone(folder: Path, address: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as scratch:
        new = scratch / folder.name
        new.mkdir()
        git_command.call_git(new, "init", "-q", "--bare", "--initial-branch=main", "--template=")
        clone = Repository(new, new, bare=True)
        clone.call("config", f"remote.{ORIGIN}.url", address)
        clone.call("config", f"remote.{ORIGIN}.fetch", f"+refs/heads/*:refs/remotes/{ORIGIN}/*")
        with suppress(FileExistsError):
            _place_clone(new, folder)


def _place_clone(new: Path, folder: Path) -> None:
    """Rename the finished clone; another run beside us may have been quicker."""
    try:
        new.rename(folder)
    except OSError:
        if not (folder / "HEAD").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)


def follow_settings(clone: Repository, model: Repository) -> None:
    """Who commits, and whether and how it is signed in one repository, holds in the other, too."""
    theirs, mine = _signing_settings(model), _signing_settings(clone)
    for key in mine.keys() - theirs.keys():
        clone.call("config", "--local", "--unset-all", key)
    for key, value in theirs.items():
        if mine.get(key) != value:
            clone.call("config", "--local", "--replace-all", key, value)


def _signing_settings(repository: Repository) -> dict[str, str]:
    """A repository's own settings about persons and signatures."""
    keys = r"^(user|gpg)\.|^(commit\.gpgsign|tag\.gpgsign|tag\.forcesignannotated)$"
    listed = repository.attempt_git("config", "--local", "--null", "--get-regexp", keys).text
    pairs = (pair.partition("\n") for pair in listed.split("\0") if pair)
    # A key without `=` is true, and has no value to copy.
    return {key: value if equals else "true" for key, equals, value in pairs}


def remote_address(repository: Repository, remote: str) -> str | None:
    """Where a remote is; without the name and the password that may stand in it."""
    url = repository.read_setting(f"remote.{remote}.url")
    return hide_address_credentials(url) if url else None


def hide_address_credentials(address: str) -> str:
    """An address without the name and the password that may stand in it."""
    return hide_credentials(address)


def is_remote(address: str) -> bool:
    """Whether an address is a URL, and no path of this machine."""
    return "://" in address or bool(_SHORT.fullmatch(address))


def is_same_repository(one: str, other: str) -> bool:
    """Whether two addresses are of one repository, however it is spoken to."""
    return _host_and_path(one) == _host_and_path(other)


def repository_owner(address: str) -> str:
    """Who a repository at a forge belongs to; empty of an address that says no such thing."""
    return _owner_and_name(address)[0]


def is_fork(address: str, repository: str) -> bool:
    """Whether an address is of a repository ``owner/name`` in another's hands."""
    owner, name = (word.lower() for word in _owner_and_name(address))
    other_owner, _, called = repository.lower().partition("/")
    return bool(owner) and owner != other_owner and name == called


def _owner_and_name(address: str) -> tuple[str, str]:
    """The last two words of a URL's path, as forges have them."""
    words = _host_and_path(address).split("/")[1:] if is_remote(address) else []
    return (words[-2], words[-1]) if len(words) > 1 else ("", "")


def _host_and_path(address: str) -> str:
    """Host and path: what is left of an address without scheme, user and ``.git``."""
    if short := _SHORT.fullmatch(address):
        host, path = short["host"], short["path"]
    else:
        parts = urlsplit(address)
        host, path = parts.hostname or "", parts.path if parts.scheme else address
    return f"{host.lower()}/{path.strip('/').removesuffix('.git').rstrip('/')}"
