"""A home of a test's own, in which nothing of the machine's settings is heard."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from towpath.backends.prefect.server import PrefectApi

CopyWorld = Callable[[Callable[[Path], object], Path], None]
"""The fixture ``copy_world``: puts what a function makes in an empty folder into another."""

IDENTITY = "[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n"
MAIN = "[init]\n\tdefaultBranch = main\n"
#: Nothing of a test has to outlive a power cut, and no repository of a test is worth tidying up:
#: to look whether it is, Git starts two more processes after each commit, push and merge.
HASTE = """\
[core]
\tfsync = none
[gc]
\tauto = 0
[maintenance]
\tauto = false
[receive]
\tautogc = false
"""

_HEARD = ("GIT_", "XDG_", "GITHUB_")


def move_in(folder: Path, settings: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder the home for the rest of a test; ``settings`` are Git's."""
    folder.mkdir()
    (folder / ".gitconfig").write_text(settings + HASTE)
    for name in [name for name in os.environ if name.startswith(_HEARD)]:
        monkeypatch.delenv(name)
    for name in ("EMAIL", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return folder


def use_api(api: PrefectApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a Prefect API for the rest of a test as a user names theirs, by the environment."""
    for name, value in name_api(api).items():
        monkeypatch.setenv(name, value)


@cache  # to prove an endpoint, the system's sockets are read: thousands while all tests run
def name_api(api: PrefectApi) -> dict[str, str]:
    """What a user would set to name a Prefect API.

    Not ``api.environment()``: that marks the address as one that a run has set for itself, and a
    command that reads the mark starts an API of its own.
    """
    secret = api.proven_endpoint.secret
    return {"PREFECT_API_URL": api.url, "PREFECT_API_AUTH_STRING": secret}
