"""Data brought under DVC as `dvc add` does it, without the second that DVC takes to load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from towpath import documents
from towpath.backends.dvc import Store
from towpath.backends.dvc.tracked_files import SUFFIX, Pointer, find_covering_pointer


def track(root: Path, path: Path) -> Pointer:
    """Store a file or a folder, write its pointer, and keep it out of Git."""
    path = Path(os.path.normpath(root.absolute() / path))
    artifact = Store(root).put(path)
    row: dict[str, Any] = {"md5": artifact.digest, "size": artifact.size}
    if artifact.files is not None:
        row["nfiles"] = artifact.files
    row |= {"hash": "md5", "path": path.name}
    path.with_name(path.name + SUFFIX).write_text(documents.dump_yaml({"outs": [row]}))
    beside, line = path.with_name(".gitignore"), f"/{path.name}\n"
    known = beside.read_text() if beside.exists() else ""
    if line not in known:
        beside.write_text(known + line)
    pointer = find_covering_pointer(root, path)
    assert pointer
    return pointer
