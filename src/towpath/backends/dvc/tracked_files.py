"""What a project names by digest (`.dvc` pointers, `dvc.lock`), and how it comes to the work tree.

Whoever can push writes the rows under `outs`, and what they name is written into the work tree. A
row that names no digest, or a place where no data may be, is a fault with its file and line; the
other rows are read all the same.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from towpath import documents
from towpath.backends.dvc.dvc_cache import Store
from towpath.backends.dvc.dvc_yaml import LOCK, PIPELINE, read_stages, stage_owner, text_at
from towpath.config import foreign_values as foreign
from towpath.config.artifact import Artifact
from towpath.config.foreign_paths import (
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


class PointerSurvey(Struct, frozen=True):
    """Every pointer of a project, and a fault for each that is torn or leads where no data may
    be."""

    pointers: tuple[Pointer, ...]
    faults: tuple[Fault, ...]


def survey_pointers(root: Path, below: Path | None = None) -> PointerSurvey:
    root = root.absolute()
    rows: list[Pointer | Fault] = []
    for folder, names, files in os.walk(below or root):
        # In place: `os.walk` goes on by this very list.
        names[:] = sorted(name for name in names if _is_walked(Path(folder, name)))
        for name in sorted(files):
            if name.endswith(SUFFIX) and name != SUFFIX:
                rows += _read_file(root, Path(folder, name))
    faults = tuple(row for row in rows if isinstance(row, Fault))
    return PointerSurvey(tuple(row for row in rows if isinstance(row, Pointer)), faults)


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
            continue
        values = documents.plain_data(row)
        path = values.get("path")
        is_address = isinstance(path, str) and "://" in path
        # Whether DVC 3 keeps the bytes in its cache: others are at an address, or under no digest.
        if values.get("hash") == "md5" and "md5" in values and not is_address:
            yield _read_row(values, folder, where, Place(shown, row.place.line))


def _read_row(
    row: Mapping[str, Any], folder: str, where: object, place: Place
) -> OutputRow | Fault:
    try:
        path = DataPath(join_inside(join_inside_or_root(folder, where), row.get("path")))
        if not place.file.endswith("dvc.lock"):  # a stage may make code; a pointer brings data
            refuse_code(path)
        artifact = Artifact(
            foreign.read_text(row["md5"]),
            foreign.read_count(row.get("size") or 0),
            path.rpartition("/")[2],
            foreign.read_count(row["nfiles"] or 0) if "nfiles" in row else None,
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
    entries = read_stages(declared, PIPELINE)
    stages = {name: documents.plain_data(entry.node) for name, entry in entries.items()}
    for name, locked in read_stages(lock, LOCK).items():
        stage = stages.get(name) or stages.get(name.partition("@")[0]) or {}
        owner = stage_owner(stage)
        assert isinstance(locked.node, documents.Mapping)
        for row in _stage_rows(locked.node, stage.get("wdir"), name):
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
    """Where bytes belong, by its path from the project's root, in which line what says so, and how
    a change there can be kept."""

    shown: str
    digest: str
    line: Place
    keep: str

    @property
    def is_pointers(self) -> bool:
        return self.line.file.endswith(SUFFIX)


def place_tracked_data(
    root: Path, known: Known = lambda *_: True, in_git: Collection[str] = ()
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
    for data_place in _find_places(store.root, faults):
        try:
            _refuse_elsewhere(store, data_place.shown)
            if data_place.shown in held:
                if data_place.is_pointers:
                    what = f"`{data_place.shown}` is held by Git, and no pointer's to write"
                    raise Malformed(what)
                continue  # of a stage: DVC was told to leave it to Git (`cache: false`)
            _refuse_code(store, data_place)
            if store.has(data_place.digest) and not _place_bytes(store, data_place, known):
                left.append(data_place.shown)
                logging.getLogger("towpath.store").warning(
                    "%s was changed here, and is not what %s says: left as it is (%s keeps your "
                    "change; move it away and `towpath pull` to have the other)",
                    data_place.shown,
                    data_place.line.file,
                    data_place.keep,
                )
        except Malformed as wrong:  # the others are placed first
            faults.append(Fault(wrong.faults[0].what, data_place.line, ELSEWHERE))
    if faults:
        raise StoreError(*faults)
    return tuple(left)


def _find_places(root: Path, faults: list[Fault]) -> Iterator[_Place]:
    survey = survey_pointers(root)
    faults += survey.faults
    for pointer in survey.pointers:
        shown = os.path.relpath(pointer.path, root)
        keep = f"`dvc add {shown}` and commit"
        yield _Place(shown, pointer.artifact.digest, pointer.place, keep)
    try:
        for output in locked_outputs(root):
            keep = f"`cp -r {output.path}` elsewhere"
            yield _Place(output.path, output.digest, output.place, keep)
    except StoreError as refused:
        faults += refused.faults


def _refuse_elsewhere(store: Store, shown: str) -> None:
    """Raise ``Malformed`` where the disk leads a place elsewhere than its text says."""
    # A link in the last part is replaced and not followed; but one that somebody set to a file
    # elsewhere is theirs, unless it leads into the cache, where DVC itself may link to.
    path = resolve_inside(store.root, shown)
    if not path.is_symlink():
        return
    target = Path(os.path.realpath(path))
    homes = (store.root, store.layout.cache)
    if not any(target.is_relative_to(os.path.realpath(home)) for home in homes):
        raise Malformed(f"`{shown}` is a link that leads out of the project")


def _refuse_code(store: Store, place: _Place) -> None:
    if not place.is_pointers or not is_place_of_code(place.shown):
        return
    members = store.objects.members(place.digest) if is_folder_digest(place.digest) else None
    for member in members or ():
        refuse_code(ProjectPath(f"{place.shown}/{member}"))


def _place_bytes(store: Store, place: _Place, known: Known) -> bool:
    """Whether a place holds what it should now; False where something else was left there."""
    path = store.root / place.shown
    if path.exists():
        try:
            standing = store.digest(path).digest
        except StoreError:  # it cannot be named, so nobody can tell that nothing is lost
            return False
        if standing == place.digest:
            return True
        was_committed = not place.is_pointers or known(store.root / place.line.file, standing)
        # What a run has seen is in the store, too: a change may be there and nowhere else.
        if not store.has(standing) or not was_committed:
            return False
    store.copy_to(place.digest, path)
    return True
