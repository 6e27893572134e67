"""The processes of a local Prefect API, found by their command lines where no file tells of them.

`state.json` may be lost, unreadable, or of an older Towpath; what it told of would go on beside a
new API, on the same database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from towpath.engine.server.home import Home

_BESIDE = ("engine", "server")
KEEPER, SERVER = "keeper.py", "serve.py"
WORKER = "towpath.engine.server.worker_process"


def keepers(home: Home) -> list[int]:
    """The keepers of the API of `home`."""
    folder = str(home.folder)
    return [pid for pid, words in _own_commands() if _after(words, KEEPER, 1) == folder]


def orphans(home: Home) -> list[int]:
    """The servers of `home`; without a keeper they end by themselves, two seconds later."""
    ready = str(home.ready)
    return [pid for pid, words in _own_commands() if _after(words, SERVER, 2) == ready]


def workers(home: Home) -> list[int]:
    """The workers of `towpath up` that serve the API of `home`."""
    wanted = [WORKER, str(home.folder)]
    return [pid for pid, words in _own_commands() if wanted == list(words[3:5])]


def _own_commands() -> Iterator[tuple[int, Sequence[str]]]:
    """This user's processes: what another user runs under such a name is not ours to believe."""
    me = os.geteuid()
    for process in psutil.process_iter():
        try:
            if process.uids().effective == me and process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid, process.cmdline()
        except psutil.Error:  # gone meanwhile, or not for our eyes
            continue


def _after(words: Sequence[str], script: str, distance: int) -> str | None:
    """The word so many places after that script of ours, wherever Towpath is installed."""
    for number, word in enumerate(words[:5]):
        path = Path(word)
        if path.name == script and path.parts[-3:-1] == _BESIDE:
            return words[number + distance] if number + distance < len(words) else None
    return None
