"""An empty Prefect database of this version, kept so that a project's first API starts at once.

Prefect makes an empty database by a hundred migrations, which take longer (5 to 10 s) than all the
rest of a start. The first server that has done so leaves a copy; later homes begin with that copy.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from towpath.engine.server import home, state
from towpath.engine.server.home import Home


def path() -> Path:
    """Where the copy for the installed version is kept."""
    return home.base() / "prefect" / f"blank-{state.installed()}.db"


def wanted(of: Home) -> Path | None:
    """Give a new home the copy; where there is none yet, say where the server shall leave one."""
    kept = path()
    if of.database.exists():
        return None
    with suppress(FileNotFoundError):
        new = of.folder / f"blank.{os.getpid()}"
        shutil.copyfile(kept, new)
        new.chmod(0o600)  # what runs hold is the owner's alone
        new.replace(of.database)
        return None
    return kept
