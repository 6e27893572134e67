"""What a project names by digest (`.dvc` pointers, `dvc.lock`), and how it comes to the work tree.

Whoever can push writes the rows under `outs`, and what they name is written into the work tree. A
row that names no digest, or a place where no data may be, is a fault with its file and line; the
other rows are read all the same.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from towpath import documents
from towpath.backends.dvc.dvc_cache import Store
from towpath.backends.dvc.dvc_yaml import LOCK, PIPELINE, read_stages, stage_owner, text_at
from towpath.config import foreign_values as foreign
from towpath.config.artifact import Artifact
from towpath.config.project_paths import (
    DataPath,
    ProjectPath,
    is_place_of_code,
    join_inside,
    refuse_code,
    resolve_inside,
)
from towpath.errors import Fault, Malformed, Place, StoreError
from towpath.storage.verified_bytes import is_folder_digest

SUFFIX = ".dvc"
_PASSED_OVER = frozenset({"node_modules", "__pycache__"})


REMOVE = "remove the line, and ask who wrote it: towpath writes only inside the project"
ELSEWHERE = "remove the link or the line, and ask who wrote it: only the project is written to"

#: All pointers of a repository, as Git understands a path.
ALL_POINTERS = f":(glob)**/*{SUFFIX}"

# Whether a pointer file ever named a digest: then the bytes are no change that was made here.
Known = Callable[[Path, str], bool]


class OutputRow(Struct, frozen=True):
    """One row: a path from the project's root, and the artifact that belongs there."""

    path: ProjectPath
    artifact: Artifact
    place: Place


class Pointer(Struct, frozen=True):
    """What a `.dvc` file says, in line ``place``: where the data lies, absolute, and its digest."""

    file: Path
    path: Path
    artifact: Artifact
    place: Place


def is_pointer_path(path: str) -> bool:
    return path.endswith(SUFFIX)


def pointer_path(path: str) -> str:
    return f"{path.rstrip('/')}{SUFFIX}"


def write_pointer(artifact: Artifact, name: str) -> str:
    row: dict[str, Any] = {"md5": artifact.digest, "size": artifact.size}
    if artifact.files is not None:
        row["nfiles"] = artifact.files
    return documents.dump_yaml({"outs": [{**row, "hash": "md5", "path": name}]})


def find_tracked(root: Path, path: Path) -> Artifact | None:
    """The digest that a pointer gives a file or a folder, whether its bytes are here or not. Raises
    StoreError where the pointer is none, or leads where no data may be."""
    # A path inside a tracked folder is looked up in the folder's manifest, when that is here. What
    # the path holds may differ from its pointer: then it is what it holds.
    root, path = root.absolute(), _absolute_path(root, path)
    pointer = find_covering_pointer(root, path)
    if pointer is None or pointer.path == path:
        return pointer.artifact if pointer else None
    members = Store(root).objects.members(pointer.artifact.digest) or {}
    digest = members.get(path.relative_to(pointer.path).as_posix())
    return Artifact(digest, 0, path.name) if digest else None


def find_covering_pointer(root: Path, path: Path) -> Pointer | None:
    """The pointer of a file or a folder, or of the folder that it is in; None where there is none.
    Raises StoreError where the pointer is none, or leads where no data may be."""
    root, path = root.absolute(), _absolute_path(root, path)
    inside = (folder for folder in (path, *path.parents) if folder.is_relative_to(root))
    candidates = (_pointer_of(root, folder) for folder in inside)
    return next((pointer for pointer in candidates if pointer), None)


def restore_tracked(root: Path, path: Path, artifact: Artifact) -> None:
    """Put tracked bytes where they belong. Raises StoreError when they are not in the store."""
    store, path = Store(root), _absolute_path(root, path)
    if path.is_relative_to(store.root):
        resolve_inside(store.root, path.relative_to(store.root).as_posix())
    if not store.has(artifact.digest):
        shown = path.relative_to(store.root) if path.is_relative_to(store.root) else path
        what = f"{shown} is tracked by DVC, and its bytes are not here"
        raise StoreError(what, hint="`towpath pull` fetches them")
    store.copy_to(artifact.digest, path)


def read_pointers(root: Path) -> Iterator[Pointer]:
    """Every pointer of a project. Raises StoreError behind the last of them, with every fault: for
    one that is torn, and for one that leads where no data may be."""
    # The others can be followed until then.
    pointer_survey = survey_pointers(root)
    yield from pointer_survey.pointers
    if pointer_survey.faults:
        raise StoreError(*pointer_survey.faults)


class PointerSurvey(Struct, frozen=True):
    pointers: tuple[Pointer, ...]
    faults: tuple[Fault, ...]


def survey_pointers(root: Path, below: Path | None = None) -> PointerSurvey:
    root = root.absolute()
    sound: list[Pointer] = []
    faults: list[Fault] = []
    for folder, names, files in os.walk(below or root):
        # In place: `os.walk` goes on by this very list.
        names[:] = sorted(name for name in names if _is_walked(Path(folder, name)))
        for name in sorted(files):
            if name.endswith(SUFFIX) and name != SUFFIX:
                for row in _read_file(root, Path(folder, name)):
                    if isinstance(row, Fault):
                        faults.append(row)
                    else:
                        sound.append(row)
    return PointerSurvey(tuple(sound), tuple(faults))


def find_changed_pointers(root: Path, path: Path) -> list[Pointer]:
    """The pointers of a file or a folder, of what is in it and of what it is in, that say other
    bytes than are there now: a change that `dvc add` was not told of, and Git does not see."""
    store, path = Store(root), _absolute_path(root, path)
    above = [upper for upper in (path, *path.parents) if upper.is_relative_to(store.root)]
    inside = [pointer for upper in above if (pointer := _pointer_of(store.root, upper))]
    below = survey_pointers(store.root, path)
    if below.faults:
        raise StoreError(*below.faults)
    return [pointer for pointer in (*inside, *below.pointers) if _has_changed(store, pointer, path)]


def _has_changed(store: Store, pointer: Pointer, path: Path) -> bool:
    """Whether what is at a path, or in it, is not what a pointer says; of a tracked folder that
    it is in only the path counts, where the folder's manifest is here."""
    if path != pointer.path and path.is_relative_to(pointer.path):
        members = store.objects.members(pointer.artifact.digest)
        if members is not None and path.is_file():
            name = path.relative_to(pointer.path).as_posix()
            return members.get(name) != store.digest(path).digest
    is_there = pointer.path.exists()
    return is_there and store.digest(pointer.path).digest != pointer.artifact.digest


def _is_walked(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _PASSED_OVER
    return not hidden and not folder.is_symlink() and not (folder / "pyvenv.cfg").exists()


def _pointer_of(root: Path, path: Path) -> Pointer | None:
    file = path.with_name(path.name + SUFFIX) if path.name else path
    if not path.name or not file.is_file() or not file.is_relative_to(root):
        return None
    read = list(_read_file(root, file))
    if faults := [fault for fault in read if isinstance(fault, Fault)]:
        raise StoreError(*faults)
    pointers = (row for row in read if isinstance(row, Pointer))
    return next((pointer for pointer in pointers if pointer.path == path), None)


def _read_file(root: Path, file: Path) -> Iterator[Pointer | Fault]:
    """What a file points at. What is doubtful in what people wrote beside it is DVC's to judge."""
    shown = file.relative_to(root).as_posix()
    try:
        resolve_inside(root, shown)
        text = documents.text_of(file, shown)
    except Malformed as wrong:
        yield Fault(wrong.faults[0].what, Place(shown))
        return
    for read in read_pointer(text, shown):
        if isinstance(read, Fault):
            yield read
        else:
            yield Pointer(file, root / read.path, read.artifact, read.place)


def read_pointer(text: str, shown: str) -> Iterator[OutputRow | Fault]:
    node = documents.parse_yaml(text, shown).node
    if not isinstance(node, documents.Mapping):
        yield Fault("this is no pointer of DVC's", Place(shown), "`dvc add` writes it anew")
        return
    yield from read_output_rows(node, shown.rpartition("/")[0], shown)


def _absolute_path(root: Path, path: Path) -> Path:
    return Path(os.path.normpath(root.absolute() / path))


def read_output_rows(
    said: documents.Mapping, folder: str, shown: str
) -> Iterator[OutputRow | Fault]:
    """The rows of a stage or a `.dvc` file that name bytes by DVC 3's digest."""
    # What DVC keeps elsewhere (by an address) or names in another way is left out.
    outs = said.get("outs")
    if outs is None or documents.plain_data(outs.node) is None:
        return
    if not isinstance(outs.node, documents.Sequence):
        yield Fault("`outs` is no list", outs.place, "`dvc add` writes it anew")
        return
    working_folder = said.get("wdir")
    where = documents.plain_data(working_folder.node) if working_folder else "."
    for row in outs.node.items:
        if not isinstance(row, documents.Mapping):
            yield Fault("a row of `outs` is no mapping", row.place, "`dvc add` writes it anew")
        elif _is_ours(row):
            yield _read_row(row, folder, where, Place(shown, row.place.line))


def _is_ours(row: documents.Mapping) -> bool:
    """Whether DVC 3 keeps the bytes in its cache: others are at an address, or under no digest."""
    path = _row_value(row, "path")
    if _row_value(row, "hash") != "md5" or row.get("md5") is None:
        return False
    return not (isinstance(path, str) and "://" in path)


def _read_row(
    row: documents.Mapping, folder: str, where: object, place: Place
) -> OutputRow | Fault:
    try:
        path = DataPath(join_inside(join_inside_or_root(folder, where), _row_value(row, "path")))
        if not place.file.endswith("dvc.lock"):  # a stage may make code; a pointer brings data
            refuse_code(path)
        artifact = Artifact(
            foreign.read_text(_row_value(row, "md5")),
            foreign.read_count(_row_value(row, "size") or 0),
            path.rpartition("/")[2],
            foreign.read_count(_row_value(row, "nfiles") or 0) if row.get("nfiles") else None,
        )
    except Malformed as wrong:
        return Fault(f"a row of `outs` cannot be followed: {wrong.faults[0].what}", place, REMOVE)
    return OutputRow(path, artifact, place)


def join_inside_or_root(folder: str, path: object) -> str:
    """As ``join_inside``, for a folder, which may be the root: then it is empty."""
    if path in (".", "./", "", None):
        return folder
    inside = join_inside(f"{folder or '.'}", f"{path}/.root" if isinstance(path, str) else path)
    return inside.rpartition("/")[0]


def _row_value(row: documents.Mapping, key: str) -> object:
    entry = row.get(key)
    return documents.plain_data(entry.node) if entry else None


class LockedOutput(Struct, frozen=True):
    """An output, its digest, and the pipeline that made it: None for a stage of the user's own.
    ``place`` is its line in `dvc.lock`."""

    path: str
    digest: str
    pipeline: str | None
    place: Place


def locked_outputs(root: Path) -> Iterator[LockedOutput]:
    """Every output that DVC keeps inside the project. Raises StoreError behind the last of them,
    with every row that leads where no data may be; DeclarationError for what is no such file."""
    lock, declared = (text_at(root / name) for name in (LOCK, PIPELINE))
    faults: list[Fault] = []
    for owner, row in _owned_rows(lock, declared):
        if isinstance(row, OutputRow):
            yield LockedOutput(row.path, row.artifact.digest, owner, row.place)
        else:
            faults.append(row)
    if faults:
        raise StoreError(*faults)


def read_artifacts(lock: str, declared: str) -> dict[str, Artifact]:
    """What the texts of `dvc.lock` and `dvc.yaml` say our pipelines made, by path from the
    project's root; a row that leads where no data may be is left out."""
    return {
        row.path: row.artifact
        for owner, row in _owned_rows(lock, declared)
        if owner and isinstance(row, OutputRow)
    }


def _owned_rows(lock: str, declared: str) -> Iterator[tuple[str | None, OutputRow | Fault]]:
    nodes = read_stages(declared, PIPELINE)
    stages = {name: documents.plain_data(node) for name, node in nodes.items()}
    for name, stage_node in read_stages(lock, LOCK).items():
        stage = stages.get(name) or stages.get(name.partition("@")[0]) or {}
        owner = stage_owner(stage)
        for row in _stage_rows(stage_node, stage.get("wdir"), name):
            yield (str(owner) if owner else None), row


def _stage_rows(said: documents.Mapping, folder: object, stage: str) -> Iterator[OutputRow | Fault]:
    if isinstance(folder, str) and "${" in folder:
        return  # DVC's own templates: where they lead is not known here
    try:
        home = join_inside_or_root("", folder)
    except Malformed as wrong:
        what = f"`wdir` of stage `{stage}` cannot be followed: {wrong.faults[0].what}"
        yield Fault(what, Place(PIPELINE), "towpath writes only inside the project")
        return
    yield from read_output_rows(said, home, LOCK)


class _Place(Struct, frozen=True):
    """Where bytes belong, what says so in which line, and how a change there can be kept."""

    path: Path
    digest: str
    said_by: Path
    line: Place
    keep: str


def place_tracked_data(
    root: Path, known: Known | None = None, in_git: Collection[str] = ()
) -> tuple[str, ...]:
    """Bring tracked data, and the outputs that `dvc.lock` names, to where they belong. What stands
    there is replaced where the store holds it whole, and for tracked data where ``known`` says that
    it was committed once; else it is left, with a warning, and among the answers. ``in_git`` are
    the files that Git holds: those are no pointer's. At the end StoreError for what leads out of
    the project, into Git's, DVC's or our folders, or through a link that leads there."""
    store, left = Store(root), []
    faults: list[Fault] = []
    folders = (parent for path in in_git for parent in PurePosixPath(path).parents)
    held = frozenset({*in_git, *(folder.as_posix() for folder in folders)})
    for data_place in _find_places(store.root, known is not None, faults):
        try:
            _refuse_elsewhere(store, data_place)
            if _is_in_git(store, data_place, held):
                continue  # of a stage: DVC was told to leave it to Git (`cache: false`)
            _refuse_code(store, data_place)
            if store.has(data_place.digest) and not _place_bytes(store, data_place, known):
                left.append(_relative_path(data_place.path, store.root))
                _warn_of_change(store, data_place)
        except Malformed as wrong:  # the others are placed first
            faults.append(Fault(wrong.faults[0].what, data_place.line, ELSEWHERE))
    if faults:
        raise StoreError(*faults)
    return tuple(left)


def _find_places(root: Path, committed: bool, faults: list[Fault]) -> Iterator[_Place]:
    try:
        for pointer in read_pointers(root):
            keep = f"`dvc add {_relative_path(pointer.path, root)}`"
            keep += " and commit" if committed else ""
            place = pointer.place
            yield _Place(pointer.path, pointer.artifact.digest, pointer.file, place, keep)
    except StoreError as refused:
        faults += refused.faults
    try:
        for output in locked_outputs(root):
            keep = f"`cp -r {output.path}` elsewhere"
            path, said_by = root / output.path, root / "dvc.lock"
            yield _Place(path, output.digest, said_by, output.place, keep)
    except StoreError as refused:
        faults += refused.faults


def _refuse_elsewhere(store: Store, place: _Place) -> None:
    """Raise ``Malformed`` where the disk leads a place elsewhere than its text says."""
    # A link in the last part is replaced and not followed; but one that somebody set to a file
    # elsewhere is theirs, unless it leads into the cache, where DVC itself may link to.
    path = resolve_inside(store.root, _relative_path(place.path, store.root))
    if not path.is_symlink():
        return
    target = Path(os.path.realpath(path))
    homes = (store.root, store.layout.cache)
    if not any(target.is_relative_to(os.path.realpath(home)) for home in homes):
        shown = _relative_path(place.path, store.root)
        raise Malformed(f"`{shown}` is a link that leads out of the project")


def _is_in_git(store: Store, place: _Place, held: Collection[str]) -> bool:
    """Whether a stage names what Git holds; ``Malformed`` where a pointer does, as none should."""
    shown = _relative_path(place.path, store.root)
    if shown not in held:
        return False
    if place.said_by.suffix == SUFFIX:
        raise Malformed(f"`{shown}` is held by Git, and no pointer's to write")
    return True


def _refuse_code(store: Store, place: _Place) -> None:
    shown = _relative_path(place.path, store.root)
    if place.said_by.suffix != SUFFIX or not is_place_of_code(shown):
        return
    members = store.objects.members(place.digest) if is_folder_digest(place.digest) else None
    for member in members or ():
        refuse_code(ProjectPath(f"{shown}/{member}"))


def _place_bytes(store: Store, place: _Place, known: Known | None) -> bool:
    """Whether a place holds what it should now; False where something else was left there."""
    if place.path.exists():
        try:
            standing = store.digest(place.path).digest
        except StoreError:  # it cannot be named, so nobody can tell that nothing is lost
            return False
        if standing == place.digest:
            return True
        is_pointer = place.said_by.suffix == SUFFIX
        was_committed = known is None or not is_pointer or known(place.said_by, standing)
        # What a run has seen is in the store, too: a change may be there and nowhere else.
        if not store.has(standing) or not was_committed:
            return False
    store.copy_to(place.digest, place.path)
    return True


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
