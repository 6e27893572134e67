"""Files that Towpath wrote in a project outside of its own folders: scored tables, drawings.

They are no change of the user's, so they keep no run from registering; one that a hand has changed
since is. What a pipeline reads must be committed all the same: that is looked at apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from towpath.config.foreign_values import list_of, parse_json, read_count, table_of
from towpath.errors import Malformed, UsageError
from towpath.scratch import replace_text
from towpath.workspace import Workspace

_LEDGER = ".towpath/state/own-files.json"


def note_own_files(paths: Iterable[Path]) -> None:
    """Remember files that were written just now, and those in folders, in the project that each
    lies in; one in no project, or in one whose folder cannot be written, is left alone."""
    by_project: dict[Path, dict[str, tuple[int, ...]]] = {}
    for path in _walk_files(paths):
        try:
            root = Workspace.find(path.parent).root
        except UsageError:
            continue
        if stamp := _file_stamp(path):
            by_project.setdefault(root, {})[path.relative_to(root).as_posix()] = stamp
    for root, stamps in by_project.items():
        kept = {
            name: stamp for name, stamp in _read_ledger(root).items() if _file_stamp(root / name)
        }
        try:
            (root / _LEDGER).parent.mkdir(parents=True, exist_ok=True)
            replace_text(root / _LEDGER, json.dumps({**kept, **stamps}))
        except OSError:  # it costs a run its registration, and says which file stands in the way
            continue


def _walk_files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in (Path(os.path.abspath(path)) for path in paths):  # noqa: PTH100 - links stay
        if path.is_dir() and not path.is_symlink():
            yield from (below for below in path.rglob("*") if not below.is_dir())
        else:
            yield path


def find_own_files(root: Path) -> frozenset[str]:
    """The files that are as Towpath wrote them, by path from the project's root."""
    return frozenset(
        path for path, stamp in _read_ledger(root).items() if stamp == _file_stamp(root / path)
    )


def _file_stamp(path: Path) -> tuple[int, ...] | None:
    """Size in bytes, and times in nanoseconds (of a link its own); nobody can set the inode's."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_ledger(root: Path) -> dict[str, tuple[int, ...]]:
    try:
        content = (root / _LEDGER).read_bytes()
        return table_of(list_of(read_count))(parse_json(content))
    except (OSError, Malformed):
        return {}
