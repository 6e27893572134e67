"""What `dvc.lock` says was made: files and folders by path, with digest and owner."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath import documents
from towpath.store.merging import LOCK, PIPELINE, stages_of
from towpath.store.stages import OWNER


@dataclass(frozen=True)
class Output:
    """One output: its path from the project's root, its digest, the pipeline that made it.

    ``pipeline`` is None for an output of a stage of the user's own.
    """

    path: str
    digest: str
    pipeline: str | None = None


def outputs(root: Path) -> Iterator[Output]:
    """Every output that DVC keeps inside the project, of our stages and of others."""
    declared = _stages(root, PIPELINE)
    for name, said in _stages(root, LOCK).items():
        stage = declared.get(name) or declared.get(name.partition("@")[0]) or {}
        owner = (stage.get("meta") or {}).get(OWNER)
        for row in said.get("outs") or ():
            path = _inside(root, stage.get("wdir") or ".", row)
            if path is not None:
                yield Output(path, row["md5"], str(owner) if owner else None)


def _stages(root: Path, name: str) -> Mapping[str, Mapping[str, Any]]:
    path = root / name
    return stages_of(documents.text_of(path, name), name) if path.exists() else {}


def _inside(root: Path, folder: str, row: Mapping[str, Any]) -> str | None:
    """An output's path from the root; None where it lies elsewhere, or has no digest of DVC 3's."""
    if row.get("hash") != "md5" or "md5" not in row or "://" in row["path"] or "${" in folder:
        return None
    path = Path(os.path.normpath(root.absolute() / folder / row["path"]))
    return (
        path.relative_to(root.absolute()).as_posix()
        if path.is_relative_to(root.absolute())
        else None
    )
