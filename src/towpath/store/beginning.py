"""A project's first store: `.dvc` as `dvc init` makes it, without DVC."""

from __future__ import annotations

from collections.abc import Mapping
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


def missing_files(root: Path) -> Mapping[str, str]:
    """The text of each file that a first store at this root lacks, by its path; none where there
    is a store above."""
    if not (root / ".dvc").exists():
        try:
            locate(root)
            return {}
        except StoreError:
            pass
    return {name: text for name, text in _FILES.items() if not (root / name).exists()}


def initialise(root: Path) -> Layout:
    """Make a store at the root of a repository, unless one is there or above; what is, stays."""
    try:
        return locate(root)
    except StoreError:
        pass
    with saying(".dvc", root):
        for name, text in missing_files(root).items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return locate(root)
