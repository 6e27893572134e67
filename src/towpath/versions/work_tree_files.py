"""Files that Towpath wrote in the work tree: outputs of a run, scored tables, drawings."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from towpath.config.foreign_paths import ProjectPath, resolve_inside
from towpath.config.foreign_values import Md5, list_of, parse_json, read_count, table_of
from towpath.errors import Malformed, UsageError
from towpath.scratch import replace_text, sweep_beside
from towpath.workspace import Workspace

# Scored tables and drawings are no change of the user's, so they keep no run from registering; one
# that a hand has changed since is. What a pipeline reads must be committed all the same.
_LEDGER = ".towpath/state/own-files.json"


def note_own_files(paths: Iterable[Path]) -> None:
    """Remember files that were written just now, and those in folders, in the project that each
    lies in; one in no project, or in one whose folder cannot be written, is left alone."""
    by_project: dict[Path, dict[str, tuple[int, ...]]] = {}
    for path in _walk_files(paths):
        try:
            root = Workspace.find(path.parent).root
        except UsageError:  # it lies in no project, whose run could mind it
            continue
        if stamp := _file_stamp(path):
            by_project.setdefault(root, {})[path.relative_to(root).as_posix()] = stamp
    for root, stamps in by_project.items():
        known_stamps = _read_stamps(root).items()
        kept = {name: stamp for name, stamp in known_stamps if _file_stamp(root / name)}
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
    stamps = _read_stamps(root).items()
    return frozenset(path for path, stamp in stamps if stamp == _file_stamp(root / path))


def _file_stamp(path: Path) -> tuple[int, ...] | None:
    """Size in bytes, and times in nanoseconds (of a link its own); nobody can set the inode's."""
    try:
        status = path.lstat()
    except OSError:  # gone since, or never there
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_stamps(root: Path) -> dict[str, tuple[int, ...]]:
    try:
        content = (root / _LEDGER).read_bytes()
        return table_of(list_of(read_count))(parse_json(content))
    except (OSError, Malformed):  # it is only what spares a run a question: nobody's loss
        return {}


@contextmanager
def hold_worktree(workspace: Workspace) -> Iterator[None]:
    """While this lasts, no other run brings the project's outputs up to date."""
    path = workspace.state / "state" / "outputs.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def bring_up_to_date(workspace: Workspace, pipeline: str, wanted: Mapping[str, str]) -> None:
    """Make the work tree hold these outputs, digests by path, and no others that a run put there.
    Raises ``Malformed`` for an output that a link of the work tree leads elsewhere."""
    # Nothing is touched where nothing differs, and nothing is taken away that was changed since.
    ledger = workspace.state / "state" / "outputs" / f"{pipeline}.json"
    before = _read_ledger(ledger)
    for path, digest in before.items():
        if path not in wanted and _holds_digest(workspace, path, digest):
            with suppress(Malformed):  # a link leads it elsewhere: that is not ours to take away
                resolve_inside(workspace.root, path)
                _remove_path(workspace.root, workspace.root / path)
    missing = [
        path for path, digest in wanted.items() if not _holds_digest(workspace, path, digest)
    ]
    for path in (*wanted, *before):
        with suppress(Malformed):  # a link leads it elsewhere
            sweep_beside(resolve_inside(workspace.root, path).parent)  # a killed run's copies
    for path in missing:
        workspace.store.copy_to(wanted[path], resolve_inside(workspace.root, path))
    if before != wanted:
        _write_ledger(ledger, wanted)


def adopt_outputs(workspace: Workspace, pipeline: str, outputs: Mapping[str, str]) -> None:
    """Take outputs that were pulled for outputs of a run, so that a later one may take them
    away."""
    # Only those that the work tree does hold: what was changed there is the user's.
    ledger = workspace.state / "state" / "outputs" / f"{pipeline}.json"
    before = _read_ledger(ledger)
    held = {
        path: digest for path, digest in outputs.items() if _holds_digest(workspace, path, digest)
    }
    if (after := {**before, **held}) != before:
        _write_ledger(ledger, after)


def _holds_digest(workspace: Workspace, path: str, digest: str) -> bool:
    target = workspace.root / path
    return target.exists() and workspace.store.digest(target).digest == digest


def _remove_path(root: Path, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    for folder in path.relative_to(root).parents[:-1]:
        with suppress(OSError):  # it holds something that is the user's
            (root / folder).rmdir()


def _read_ledger(ledger: Path) -> dict[str, str]:
    try:
        # It says what is to be taken away: a file that is none says nothing.
        digests = table_of(Md5)(parse_json(ledger.read_bytes()))
        return {ProjectPath(path): digest for path, digest in digests.items()}
    except (OSError, Malformed):
        return {}


def _write_ledger(ledger: Path, wanted: Mapping[str, str]) -> None:
    ledger.parent.mkdir(parents=True, exist_ok=True)
    replace_text(ledger, json.dumps(dict(wanted)))
