"""Which outputs of steps a site of files has pages of: those whose bytes are here, and small."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.errors import TowpathError

if TYPE_CHECKING:
    from towpath.config.artifact import Artifact
    from towpath.execution.run_record import RecordedRun
    from towpath.workspace import Workspace

MOST_SITE_BYTES = 1 << 20  # of an output, and of what its page holds of a folder
_ALL_BYTES = 64 << 20  # of all of them
_MOST_PAGES = 500
_MOST_BINARY = 20  # tables that a process of its own reads, each half a second
_BINARY = (".parquet", ".feather", ".arrow")

RASTERS = (".png", ".jpg", ".jpeg", ".gif")
# Which every web server has a type for, and no browser takes for a page: what has no type it may
# look into, and what it then takes for HTML has the site's origin.
_INERT = (*RASTERS, ".csv", ".tsv", ".json", ".txt")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


class OutputAddress(Struct, frozen=True):
    """An output, by the names in its page's address."""

    run: str
    step: str
    output: str


def choose_site_outputs(
    workspace: Workspace, runs: Iterable[RecordedRun]
) -> Mapping[OutputAddress, str]:
    """The outputs that have a page, the newest runs' first, each with the name of the file that
    stands beside it: "" for a folder, which has none."""
    chosen: dict[OutputAddress, str] = {}
    bytes_left, binaries = _ALL_BYTES, set[str]()
    for run in runs:
        for step in run.steps.values():
            for name, artifact in step.made.outputs.items():
                if len(chosen) >= _MOST_PAGES:
                    return chosen
                if artifact.size > min(MOST_SITE_BYTES, bytes_left):
                    continue
                if artifact.name.lower().endswith(_BINARY):
                    if len(binaries | {artifact.digest}) > _MOST_BINARY:
                        continue
                    binaries.add(artifact.digest)
                if find_stored_bytes(workspace, artifact):
                    bytes_left -= artifact.size
                    chosen[OutputAddress(run.id, step.name, name)] = _name_file(name, artifact)
    return chosen


def find_stored_bytes(workspace: Workspace, artifact: Artifact) -> Path | None:
    """The file in the project's store; None where it is not there, or is not as large as it was.
    What stands in it is not read again here: `towpath verify` does."""
    try:
        path = workspace.store.path(artifact.digest)
    except TowpathError:
        return None
    if path.is_symlink() or not path.is_file():
        return None
    is_whole = artifact.files is not None or path.stat().st_size == artifact.size
    return path if is_whole else None


def _name_file(name: str, artifact: Artifact) -> str:
    """Of a name that a record gives nothing is taken by which a server would carry it out."""
    if artifact.files is not None:
        return ""
    suffix = Path(artifact.name).suffix.lower()
    stem = name if _PLAIN_NAME.fullmatch(name) else "output"
    return stem + (suffix if suffix in _INERT else ".zip")
