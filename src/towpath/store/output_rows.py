"""The rows under `outs` in a `.dvc` file and in `dvc.lock`: the one reader of what they say.

Whoever can push writes them, and what they name is written into the work tree. A row that names
no digest, or a place where no data may be, is a fault with its file and line; the other rows
are read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath import documents
from towpath.errors import Fault, Malformed, Place
from towpath.spec import foreign_values as foreign
from towpath.spec.artifact import Artifact
from towpath.spec.project_paths import DataPath, ProjectPath, join_inside, refuse_code

REMOVE = "remove the line, and ask who wrote it: towpath writes only inside the project"


@dataclass(frozen=True)
class OutputRow:
    """One row: a path from the project's root, and the artifact that belongs there."""

    path: ProjectPath
    artifact: Artifact
    place: Place


def read_rows(said: documents.Mapping, folder: str, shown: str) -> Iterator[OutputRow | Fault]:
    """The rows of a stage or a `.dvc` file that name bytes by DVC 3's digest.

    ``folder`` is that of the file, from the project's root, ``shown`` the file's name in faults.
    What DVC keeps elsewhere (by an address) or names in another way is left out.
    """
    outs = said.get("outs")
    if outs is None or _plain(outs.node) is None:
        return
    if not isinstance(outs.node, documents.Sequence):
        yield Fault("`outs` is no list", outs.place, "`dvc add` writes it anew")
        return
    at = said.get("wdir")
    where = _plain(at.node) if at else "."
    for row in outs.node.items:
        if not isinstance(row, documents.Mapping):
            yield Fault("a row of `outs` is no mapping", row.place, "`dvc add` writes it anew")
        elif _is_ours(row):
            yield _read_row(row, folder, where, Place(shown, row.place.line))


def _is_ours(row: documents.Mapping) -> bool:
    """Whether DVC 3 keeps the bytes in its cache: others are at an address, or under no digest."""
    path = _value(row, "path")
    if _value(row, "hash") != "md5" or row.get("md5") is None:
        return False
    return not (isinstance(path, str) and "://" in path)


def _read_row(
    row: documents.Mapping, folder: str, where: object, place: Place
) -> OutputRow | Fault:
    try:
        path = DataPath(join_inside(join_inside_or_root(folder, where), _value(row, "path")))
        if not place.file.endswith("dvc.lock"):  # a stage may make code; a pointer brings data
            refuse_code(path)
        artifact = Artifact(
            foreign.read_text(_value(row, "md5")),
            foreign.read_count(_value(row, "size") or 0),
            path.rpartition("/")[2],
            foreign.read_count(_value(row, "nfiles") or 0) if row.get("nfiles") else None,
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


def _value(row: documents.Mapping, key: str) -> object:
    entry = row.get(key)
    return _plain(entry.node) if entry else None


def _plain(node: documents.Node) -> object:
    found: object = documents.plain(node)
    return found
