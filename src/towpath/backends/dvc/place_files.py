"""What a project names, put where it belongs in the work tree, as `dvc pull` does.

What stands there gives way only where nothing is lost by it: what somebody changed here stays.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from towpath.backends.dvc import dvc_lock, pointer_files
from towpath.backends.dvc.dvc_cache import Store
from towpath.config.project_paths import ProjectPath, is_place_of_code, refuse_code, resolve_inside
from towpath.errors import Fault, Malformed, Place, StoreError
from towpath.storage.verified_bytes import is_folder_digest

ELSEWHERE = "remove the link or the line, and ask who wrote it: only the project is written to"

Known = Callable[[Path, str], bool]
"""Whether a pointer file ever named a digest: then the bytes are no change that was made here."""


@dataclass(frozen=True)
class _Place:
    """Where bytes belong, what says so and in which line, and how a change that stands there can
    be kept."""

    path: Path
    digest: str
    said_by: Path
    line: Place
    keep: str


def place_tracked_data(
    root: Path, known: Known | None = None, in_git: Collection[str] = ()
) -> tuple[str, ...]:
    """Bring tracked data, and the outputs that `dvc.lock` names, to where they belong.

    What stands there is replaced where the store holds it whole, and for tracked data where
    ``known`` says that it was committed once: a change that a run has seen is in the store too.
    Anything else is left, with a warning; the answer are the paths of what was left. ``in_git``
    are the files that Git holds, from the root: those are Git's to write, and no pointer's.

    Raises StoreError, when all that may be placed is, for what leads out of the project, into
    Git's, DVC's or our folders, or through a link that leads there.
    """
    store, left = Store(root), []
    faults: list[Fault] = []
    held = _with_folders(in_git)
    for data_place in _find_places(store.root, known is not None, faults):
        try:
            _refuse_elsewhere(store, data_place)
            if _is_in_git(store, data_place, held):
                continue  # of a stage: DVC was told to leave it to Git (`cache: false`)
            _refuse_code(store, data_place)
            if store.has(data_place.digest) and not _place_bytes(store, data_place, known):
                left.append(_relative_path(data_place.path, store.root))
                _warn_of_change(store, data_place)
        except Malformed as wrong:
            faults.append(Fault(wrong.faults[0].what, data_place.line, ELSEWHERE))
    if faults:
        raise StoreError(*faults)
    return tuple(left)


def _find_places(root: Path, committed: bool, faults: list[Fault]) -> Iterator[_Place]:
    """What can be placed; ``faults`` fills up with what can not."""
    try:
        for pointer in pointer_files.read_pointers(root):
            keep = f"`dvc add {_relative_path(pointer.path, root)}`"
            keep += " and commit" if committed else ""
            place = pointer.place
            yield _Place(pointer.path, pointer.artifact.digest, pointer.file, place, keep)
    except StoreError as refused:
        faults += refused.faults
    try:
        for output in dvc_lock.locked_outputs(root):
            keep = f"`cp -r {output.path}` elsewhere"
            path, said_by = root / output.path, root / "dvc.lock"
            yield _Place(path, output.digest, said_by, output.place, keep)
    except StoreError as refused:
        faults += refused.faults


def _refuse_elsewhere(store: Store, place: _Place) -> None:
    """Raise ``Malformed`` where the disk leads a place elsewhere than its text says.

    A link in the last part is replaced and not followed; but one that somebody set to a file
    elsewhere is theirs, unless it leads into the cache, where DVC itself may link to.
    """
    path = resolve_inside(store.root, _relative_path(place.path, store.root))
    if not path.is_symlink():
        return
    target = Path(os.path.realpath(path))
    homes = (store.root, store.layout.cache)
    if not any(target.is_relative_to(os.path.realpath(home)) for home in homes):
        raise Malformed(
            f"`{_relative_path(place.path, store.root)}` is a link that leads out of the project"
        )


def _with_folders(paths: Collection[str]) -> frozenset[str]:
    """The files, and every folder that holds one of them."""
    folders = {parent.as_posix() for path in paths for parent in PurePosixPath(path).parents}
    return frozenset({*paths, *folders})


def _is_in_git(store: Store, place: _Place, held: Collection[str]) -> bool:
    """Whether a stage names what Git holds; ``Malformed`` where a pointer does, which `dvc add`
    never writes."""
    shown = _relative_path(place.path, store.root)
    if shown not in held:
        return False
    if place.said_by.suffix == pointer_files.SUFFIX:
        raise Malformed(f"`{shown}` is held by Git, and no pointer's to write")
    return True


def _refuse_code(store: Store, place: _Place) -> None:
    """Raise ``Malformed`` where a tracked folder brings files that Python would import."""
    shown = _relative_path(place.path, store.root)
    if place.said_by.suffix != pointer_files.SUFFIX or not is_place_of_code(shown):
        return
    for member in (
        store.objects.members(place.digest) or {} if is_folder_digest(place.digest) else {}
    ):
        refuse_code(ProjectPath(f"{shown}/{member}"))


def _place_bytes(store: Store, place: _Place, known: Known | None) -> bool:
    """Whether a place holds what it should now; False where something else was left there."""
    if place.path.exists():
        try:
            standing = store.digest(place.path).digest
        except StoreError:
            return False
        if standing == place.digest:
            return True
        if not store.has(standing) or not _was_committed(place, standing, known):
            return False
    store.copy_to(place.digest, place.path)
    return True


def _was_committed(place: _Place, standing: str, known: Known | None) -> bool:
    is_pointer = place.said_by.suffix == pointer_files.SUFFIX
    return known is None or not is_pointer or known(place.said_by, standing)


def _warn_of_change(store: Store, place: _Place) -> None:
    logging.getLogger("towpath.store").warning(
        "%s was changed here, and is not what %s says: left as it is (%s keeps your change; "
        "move it away and `towpath pull` to have the other)",
        _relative_path(place.path, store.root),
        _relative_path(place.said_by, store.root),
        place.keep,
    )


def _relative_path(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)
