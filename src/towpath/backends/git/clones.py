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


def begin(folder: Path, address: str) -> Repository:
    """The clone of ``address`` in ``folder``, made where there is none; nothing is fetched.

    It appears whole or not at all. Raises ``RegistryError`` where the folder cannot be written.
    """
    if not (folder / "HEAD").is_file():
        try:
            _made(folder, address)
        except OSError as refused:
            raise RegistryError(f"{folder} cannot be written: {refused.strerror}") from refused
    return Repository(folder, folder, bare=True)


def _made(folder: Path, address: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as scratch:
        new = scratch / folder.name
        new.mkdir()
        git_command.call(new, "init", "-q", "--bare", "--initial-branch=main", "--template=")
        made = Repository(new, new, bare=True)
        made.call("config", f"remote.{ORIGIN}.url", address)
        made.call("config", f"remote.{ORIGIN}.fetch", f"+refs/heads/*:refs/remotes/{ORIGIN}/*")
        with suppress(FileExistsError):
            _placed(new, folder)


def _placed(new: Path, folder: Path) -> None:
    """Rename the finished clone; another run beside us may have been quicker."""
    try:
        new.rename(folder)
    except OSError:
        if not (folder / "HEAD").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)


def follow_settings(clone: Repository, model: Repository) -> None:
    """Who commits, and whether and how it is signed in one repository, holds in the other, too."""
    theirs, mine = _settings(model), _settings(clone)
    for key in mine.keys() - theirs.keys():
        clone.call("config", "--local", "--unset-all", key)
    for key, value in theirs.items():
        if mine.get(key) != value:
            clone.call("config", "--local", "--replace-all", key, value)


def _settings(repository: Repository) -> dict[str, str]:
    """A repository's own settings about persons and signatures."""
    keys = r"^(user|gpg)\.|^(commit\.gpgsign|tag\.gpgsign|tag\.forcesignannotated)$"
    said = repository.attempt("config", "--local", "--null", "--get-regexp", keys).text
    pairs = (pair.partition("\n") for pair in said.split("\0") if pair)
    # A key without `=` is true, and has no value to copy.
    return {key: value if equals else "true" for key, equals, value in pairs}


def address(repository: Repository, remote: str) -> str | None:
    """Where a remote is; without the name and the password that may stand in it."""
    said = repository.setting(f"remote.{remote}.url")
    return shown(said) if said else None


def shown(address: str) -> str:
    """An address without the name and the password that may stand in it."""
    return hide_credentials(address)


def is_remote(address: str) -> bool:
    """Whether an address is a URL, and no path of this machine."""
    return "://" in address or bool(_SHORT.fullmatch(address))


def same(one: str, other: str) -> bool:
    """Whether two addresses are of one repository, however it is spoken to."""
    return _place(one) == _place(other)


def owner_of(address: str) -> str:
    """Who a repository at a forge belongs to; empty of an address that says no such thing."""
    return _owner_and_name(address)[0]


def is_fork(address: str, repository: str) -> bool:
    """Whether an address is of a repository ``owner/name`` in another's hands."""
    owner, name = (word.lower() for word in _owner_and_name(address))
    there, _, called = repository.lower().partition("/")
    return bool(owner) and owner != there and name == called


def _owner_and_name(address: str) -> tuple[str, str]:
    """The last two words of a URL's path, as forges have them."""
    words = _place(address).split("/")[1:] if is_remote(address) else []
    return (words[-2], words[-1]) if len(words) > 1 else ("", "")


def _place(address: str) -> str:
    """Host and path: what is left of an address without scheme, user and ``.git``."""
    if short := _SHORT.fullmatch(address):
        host, path = short["host"], short["path"]
    else:
        parts = urlsplit(address)
        host, path = parts.hostname or "", parts.path if parts.scheme else address
    return f"{host.lower()}/{path.strip('/').removesuffix('.git').rstrip('/')}"
