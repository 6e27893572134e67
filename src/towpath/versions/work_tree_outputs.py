"""The outputs of a pipeline in the work tree: put there, and taken away when no run makes them."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.config.foreign_values import Md5, parse_json, table_of
from towpath.config.project_paths import ProjectPath, resolve_inside
from towpath.errors import Malformed
from towpath.scratch import replace_text, sweep_beside

if TYPE_CHECKING:
    from towpath.workspace import Workspace


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

    Nothing is touched where nothing differs, and nothing is taken away that was changed since.
    Raises ``Malformed`` for an output that a link of the work tree leads elsewhere.
    """
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
        with suppress(Malformed):
            sweep_beside(resolve_inside(workspace.root, path).parent)  # a killed run's copies
    for path in missing:
        workspace.store.copy_to(wanted[path], resolve_inside(workspace.root, path))
    if before != wanted:
        _write_ledger(ledger, wanted)


def adopt_outputs(workspace: Workspace, pipeline: str, outputs: Mapping[str, str]) -> None:
    """Take outputs that were pulled for outputs of a run, so that a later one may take them away.

    Only those that the work tree does hold: what was changed there is the user's.
    """
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
    """Take a file or a folder away, and the folders above it that are empty then."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    for folder in path.relative_to(root).parents[:-1]:
        with suppress(OSError):
            (root / folder).rmdir()


def _read_ledger(ledger: Path) -> dict[str, str]:
    """What a run put there last; nothing where the file is none, for it says what to take away."""
    try:
        digests = table_of(Md5)(parse_json(ledger.read_bytes()))
        return {ProjectPath(path): digest for path, digest in digests.items()}
    except (OSError, Malformed):
        return {}


def _write_ledger(ledger: Path, wanted: Mapping[str, str]) -> None:
    ledger.parent.mkdir(parents=True, exist_ok=True)
    replace_text(ledger, json.dumps(dict(wanted)))
