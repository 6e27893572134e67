"""Data that lies elsewhere: brought in, and pinned in a pointer as `dvc import-url` pins it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from towpath import documents
from towpath.backends.dvc.dvc_config import locate_store
from towpath.backends.dvc.dvc_remotes import name_source_faults, open_repository
from towpath.backends.dvc.tracked_files import pointer_path
from towpath.errors import Fault, Place, StoreError
from towpath.scratch import remove_scratch, scratch_beside


class PinnedSource(Struct, frozen=True):
    """Where a pointer says that its bytes came from, and the line that says so."""

    address: str
    place: Place


def read_pinned_source(root: Path, path: str) -> PinnedSource | None:
    """Where the pointer of a file or a folder says that it came from; None where there is no
    pointer, or one of data that was added here. Raises StoreError for one that cannot be read."""
    shown = pointer_path(path)
    if not (root / shown).is_file():
        return None
    node = documents.parse_yaml(documents.text_of(root / shown, shown), shown).node
    deps = node.get("deps") if isinstance(node, documents.Mapping) else None
    if deps is None:
        return None
    rows = documents.plain_data(deps.node)
    first = rows[0] if isinstance(rows, list) and rows else None
    address = first.get("path") if isinstance(first, dict) else None
    if not isinstance(address, str):
        what = "`deps` names no address that the data came from"
        raise StoreError(
            Fault(what, Place(shown, deps.place.line), f"rm {shown}: the run writes it anew")
        )
    return PinnedSource(address, Place(shown, deps.place.line))


def import_data(root: Path, address: str, path: str) -> None:
    """Bring a file or a folder, put it into the store and at ``path``, and write its pointer.

    Raises StoreError where it does not come; then nothing of it is left.
    """
    target = root.absolute() / path.rstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    with name_source_faults(address):
        open_repository(locate_store(root)).imp_url(address, os.fspath(target))


def replace_data(root: Path, address: str, path: str) -> None:
    """Bring what is at another address than a pointer was brought from, and write the pointer anew.
    Raises StoreError, and leaves what was there, where it does not come."""
    pointer = root / pointer_path(path)
    standing = [place for place in (root / path.rstrip("/"), pointer) if place.exists()]
    # Beside it, so that it is one rename back; DVC itself brings nothing to where something is.
    aside = {place: scratch_beside(place) for place in standing}
    for place, kept in aside.items():
        place.rename(kept)
    try:
        import_data(root, address, path)
    except BaseException:
        for place, kept in aside.items():
            kept.rename(place)
        raise
    for kept in aside.values():
        remove_scratch(kept)


def has_remote_changed(root: Path, path: str, address: str) -> bool:
    """Whether there is something else now at the address that a pointer was brought from."""
    with name_source_faults(address), _locked_stage(root, path) as stage:
        return any(dependency.status() for dependency in stage.deps)


def update_data(root: Path, path: str, address: str) -> bool:
    """Look again at the address of a pointer, and bring what is there now; whether it is other
    bytes than before. Raises StoreError, and leaves what was there, where it does not come."""
    with name_source_faults(address), _locked_stage(root, path) as stage:
        before = stage.outs[0].hash_info
        stage.update()
        stage.dump()
        return bool(stage.outs[0].hash_info != before)


@contextmanager
def _locked_stage(root: Path, path: str) -> Iterator[Any]:
    repository = open_repository(locate_store(root))
    # DVC asserts that who looks at a stage holds its lock.
    with repository.lock:
        (stage,) = repository.stage.collect(os.fspath(root.absolute() / pointer_path(path)))
        yield stage
