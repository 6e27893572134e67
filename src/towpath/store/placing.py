"""What a project names, put where it belongs in the work tree, as `dvc pull` does.

What stands there gives way only where nothing is lost by it: what somebody changed here stays.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import StoreError
from towpath.store import locked, tracked
from towpath.store.local import Store

Known = Callable[[Path, str], bool]
"""Whether a pointer file ever named a digest: then the bytes are no change that was made here."""


@dataclass(frozen=True)
class _Place:
    """Where bytes belong, what says so, and how a change that stands there can be kept."""

    path: Path
    digest: str
    said_by: Path
    keep: str


def place(root: Path, known: Known | None = None) -> tuple[str, ...]:
    """Bring tracked data, and the outputs that `dvc.lock` names, to where they belong.

    What stands there is replaced where the store holds it whole, and for tracked data where
    ``known`` says that it was committed once: a change that a run has seen is in the store too.
    Anything else is left, with a warning; the answer are the paths of what was left.
    """
    store, left = Store(root), []
    for found in _places(store.root, known is not None):
        if store.has(found.digest) and not _placed(store, found, known):
            left.append(_shown(store, found.path))
            _warn(store, found)
    return tuple(left)


def _places(root: Path, committed: bool) -> Iterator[_Place]:
    for pointer in tracked.pointers(root):
        keep = f"`dvc add {_relative(pointer.path, root)}`" + (" and commit" if committed else "")
        yield _Place(pointer.path, pointer.artifact.digest, pointer.file, keep)
    for output in locked.outputs(root):
        path = root / output.path
        yield _Place(path, output.digest, root / "dvc.lock", f"`cp -r {output.path}` elsewhere")


def _placed(store: Store, place: _Place, known: Known | None) -> bool:
    """Whether a place holds what it should now; False where something else was left there."""
    if place.path.exists():
        try:
            standing = store.digest(place.path).digest
        except StoreError:
            return False
        if standing == place.digest:
            return True
        if not store.has(standing) or not _committed(place, standing, known):
            return False
    store.link(place.digest, place.path)
    return True


def _committed(place: _Place, standing: str, known: Known | None) -> bool:
    is_pointer = place.said_by.suffix == tracked.SUFFIX
    return known is None or not is_pointer or known(place.said_by, standing)


def _warn(store: Store, place: _Place) -> None:
    logging.getLogger("towpath.store").warning(
        "%s was changed here, and is not what %s says: left as it is (%s keeps your change; "
        "move it away and `towpath pull` to have the other)",
        _shown(store, place.path),
        _shown(store, place.said_by),
        place.keep,
    )


def _shown(store: Store, path: Path) -> str:
    return _relative(path, store.root)


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)
