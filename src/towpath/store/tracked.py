"""`.dvc` pointer files: data that Git does not hold, named by digest beside where it lies."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath import documents
from towpath.errors import Fault, Malformed, Place, StoreError
from towpath.spec.artifact import Artifact
from towpath.spec.project_paths import resolve_inside
from towpath.store.copying import saying
from towpath.store.entries import replace_file
from towpath.store.local import Store
from towpath.store.output_rows import OutputRow, read_rows

SUFFIX = ".dvc"
_PASSED_OVER = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True)
class Pointer:
    """What a `.dvc` file says: where the data lies (absolute, inside the project), and its digest.

    ``place`` is the line that says so.
    """

    file: Path
    path: Path
    artifact: Artifact
    place: Place


def tracked(root: Path, path: Path) -> Artifact | None:
    """The digest that a pointer gives a file or a folder, whether its bytes are here or not.

    A path inside a tracked folder is looked up in the folder's manifest, when that is here.
    What the path holds may differ from its pointer: then it is what it holds. Raises StoreError
    where the pointer is none, or leads where no data may be.
    """
    root, path = root.absolute(), _absolute(root, path)
    pointer = covering(root, path)
    if pointer is None or pointer.path == path:
        return pointer.artifact if pointer else None
    return _inside(Store(root), pointer, path)


def covering(root: Path, path: Path) -> Pointer | None:
    """The pointer of a file or a folder, or of the folder that it is in; None where there is none.

    Raises StoreError where the pointer is none, or leads where no data may be.
    """
    root, path = root.absolute(), _absolute(root, path)
    inside = (each for each in (path, *path.parents) if each.is_relative_to(root))
    found = (_pointer_of(root, each) for each in inside)
    return next((pointer for pointer in found if pointer), None)


def restore(root: Path, path: Path, artifact: Artifact) -> None:
    """Put tracked bytes where they belong. Raises StoreError when they are not in the store."""
    store, path = Store(root), _absolute(root, path)
    if path.is_relative_to(store.root):
        resolve_inside(store.root, path.relative_to(store.root).as_posix())
    if not store.has(artifact.digest):
        shown = path.relative_to(store.root) if path.is_relative_to(store.root) else path
        raise StoreError(
            f"{shown} is tracked by DVC, and its bytes are not here",
            hint="`towpath pull` fetches them",
        )
    store.link(artifact.digest, path)


def track(root: Path, path: Path) -> Pointer:
    """Store a file or a folder, write its pointer, and keep it out of Git: what `dvc add` does."""
    store, path = Store(root), _absolute(root, path)
    artifact = store.put(path)
    file = path.with_name(path.name + SUFFIX)
    with saying(file.name, path.parent):
        replace_file(file, documents.bytes_of(_pointed(file, path, artifact), file))
        ignore(path)
    return Pointer(file, path, artifact, Place(file.name))


def pointers(root: Path) -> Iterator[Pointer]:
    """Every pointer of a project.

    Raises StoreError behind the last of them, with every fault: for one that is torn, and for one
    that leads where no data may be. The others can be followed until then.
    """
    found = survey(root)
    yield from found.pointers
    if found.faults:
        raise StoreError(*found.faults)


@dataclass(frozen=True)
class Survey:
    """The pointers of a project that can be followed, and what is wrong with the others."""

    pointers: tuple[Pointer, ...]
    faults: tuple[Fault, ...]


def survey(root: Path, below: Path | None = None) -> Survey:
    """Every pointer of a project, or of a folder of it."""
    root = root.absolute()
    sound: list[Pointer] = []
    faults: list[Fault] = []
    for folder, names, files in os.walk(below or root):
        names[:] = sorted(name for name in names if _is_walked(Path(folder, name)))
        for name in sorted(files):
            if name.endswith(SUFFIX) and name != SUFFIX:
                read = list(_read(root, Path(folder, name)))
                sound += [each for each in read if isinstance(each, Pointer)]
                faults += [each for each in read if isinstance(each, Fault)]
    return Survey(tuple(sound), tuple(faults))


def changed(root: Path, path: Path) -> list[Pointer]:
    """The pointers of a file or a folder, of what is in it and of what it is in, that say other
    bytes than are there now: a change that `dvc add` was not told of, and Git does not see."""
    store, path = Store(root), _absolute(root, path)
    above = [each for each in (path, *path.parents) if each.is_relative_to(store.root)]
    inside = [found for each in above if (found := _pointer_of(store.root, each))]
    below = survey(store.root, path)
    if below.faults:
        raise StoreError(*below.faults)
    return [found for found in (*inside, *below.pointers) if _differs(store, found, path)]


def _differs(store: Store, pointer: Pointer, path: Path) -> bool:
    """Whether what is at a path, or in it, is not what a pointer says; of a tracked folder that
    it is in only the path counts, where the folder's manifest is here."""
    if path != pointer.path and path.is_relative_to(pointer.path):
        members = store.objects.members(pointer.artifact.digest)
        if members is not None and path.is_file():
            name = path.relative_to(pointer.path).as_posix()
            return members.get(name) != store.digest(path).digest
    there = pointer.path.exists()
    return there and store.digest(pointer.path).digest != pointer.artifact.digest


def ignore(path: Path) -> None:
    """Name a file or a folder in the `.gitignore` beside it, once."""
    beside, line = path.with_name(".gitignore"), f"/{_escaped(path.name)}"
    said = beside.read_text(encoding="utf-8") if beside.exists() else ""
    if line not in said.splitlines():
        gap = "" if not said or said.endswith("\n") else "\n"
        replace_file(beside, documents.bytes_of(f"{said}{gap}{line}\n", beside))


def _escaped(name: str) -> str:
    """A name as Git's patterns say it: `*`, `?`, `[` and a blank at the end mean more there."""
    for letter in "\\*?[":
        name = name.replace(letter, f"\\{letter}")
    return f"{name[:-1]}\\ " if name.endswith(" ") else name


def _is_walked(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _PASSED_OVER
    return not hidden and not folder.is_symlink() and not (folder / "pyvenv.cfg").exists()


def _pointer_of(root: Path, path: Path) -> Pointer | None:
    file = path.with_name(path.name + SUFFIX) if path.name else path
    if not path.name or not file.is_file() or not file.is_relative_to(root):
        return None
    read = list(_read(root, file))
    if faults := [fault for fault in read if isinstance(fault, Fault)]:
        raise StoreError(*faults)
    here = (found for found in read if isinstance(found, Pointer) and found.path == path)
    return next(here, None)


def _read(root: Path, file: Path) -> Iterator[Pointer | Fault]:
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
    """The rows of a `.dvc` file's text; ``shown`` is its path from the project's root."""
    node = documents.parse(text, shown).node
    if not isinstance(node, documents.Mapping):
        yield Fault("this is no pointer of DVC's", Place(shown), "`dvc add` writes it anew")
        return
    yield from read_rows(node, shown.rpartition("/")[0], shown)


def _inside(store: Store, pointer: Pointer, path: Path) -> Artifact | None:
    members = store.objects.members(pointer.artifact.digest) or {}
    digest = members.get(path.relative_to(pointer.path).as_posix())
    return Artifact(digest, 0, path.name) if digest else None


def _pointed(file: Path, path: Path, artifact: Artifact) -> str:
    row: dict[str, Any] = {"md5": artifact.digest, "size": artifact.size}
    if artifact.files is not None:
        row["nfiles"] = artifact.files
    elif os.access(path, os.X_OK):
        row["isexec"] = True
    row |= {"hash": "md5", "path": path.name}
    if not file.exists():
        return documents.dump({"outs": [row]})
    return documents.edit(file, lambda data: _update(data, row))


def _update(data: MutableMapping[str, Any], row: dict[str, Any]) -> None:
    """Give an existing pointer its new digest; what people wrote beside it stays."""
    outs = data.setdefault("outs", [])
    said = next((out for out in outs if out.get("path") == row["path"]), None)
    if said is None:
        outs.append(row)
        return
    for key in ("md5", "size", "nfiles", "isexec"):
        said.pop(key, None)
    said.update(row)


def _absolute(root: Path, path: Path) -> Path:
    return Path(os.path.normpath(root.absolute() / path))
