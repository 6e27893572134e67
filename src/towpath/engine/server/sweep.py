"""The homes of every local API, and which of them no project needs any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from towpath.engine.server import home, state
from towpath.engine.server.home import Home


def homes() -> Iterator[Home]:
    """The home of each local API of this user, running or not."""
    for folder in sorted((home.base() / "prefect").glob("*/")):
        if (folder / "leases").is_dir():
            yield Home(folder)


def abandoned() -> Iterator[Home]:
    """Homes of projects that were deleted or moved, where nothing runs."""
    for each in homes():
        root = each.project_root()
        if root and not root.is_dir() and not state.running(each):
            yield each


def sweep() -> None:
    """Remove what deleted projects left behind: a few megabytes each."""
    for each in abandoned():
        shutil.rmtree(each.folder, ignore_errors=True)
