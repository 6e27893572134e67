"""A project's first store: `.dvc` as `dvc init` makes it, without DVC."""

from __future__ import annotations

from pathlib import Path

from towpath.errors import StoreError
from towpath.store.copying import saying
from towpath.store.layout import Layout, locate

_FILES = {
    # Neither analytics nor the search for updates may speak to a network.
    ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": (
        "# What DVC leaves out, by Git's patterns: https://dvc.org/doc/user-guide/dvcignore\n"
        ".towpath/\n"
    ),
}


def initialise(root: Path) -> Layout:
    """Make a store at the root of a repository, unless one is there or above; what is, stays."""
    try:
        return locate(root)
    except StoreError:
        pass
    with saying(".dvc", root):
        for name, text in _FILES.items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                path.write_text(text, encoding="utf-8")
    return locate(root)
