"""DVC's digests of folders: which files count, and the manifest that names them.

A folder is named by the MD5 of its manifest with ``.dir`` behind it. The manifest is JSON, one
``{"md5", "relpath"}`` for each file, sorted by path. What a manifest cannot say is refused or left
out, as DVC does: a link to a file is the file, empty folders and modes are not kept, files that
`.dvcignore` names are left out. A link to a folder is refused: DVC would leave it out and say
nothing, and so would the digest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from towpath.errors import Malformed, StoreError
from towpath.spec.digests import FOLDER_SUFFIX, Md5, describe, is_md5
from towpath.spec.foreign_values import Fields, parse_json
from towpath.spec.project_paths import ProjectPath, is_reserved
from towpath.store.copying import md5
from towpath.store.ignore import IGNORE_FILE, Ignore
from towpath.store.statcache import Stamp

FOLDER = FOLDER_SUFFIX


class Found(NamedTuple):
    """A regular file under a folder: its absolute path, its path below the folder, its stamp."""

    path: str
    relative: str
    stamp: Stamp


def is_digest(text: str) -> bool:
    """Whether a text is the digest of a file or a folder."""
    return is_md5(text)


def is_folder(digest: str) -> bool:
    """Whether a digest names a folder."""
    return digest.endswith(FOLDER)


def manifest(digests: Mapping[str, str]) -> bytes:
    """DVC's manifest of a folder: digests by relative path, in JSON as Python dumps it."""
    rows = [{"md5": digests[path], "relpath": path} for path in sorted(digests)]
    return json.dumps(rows, sort_keys=True).encode()


def manifest_digest(content: bytes) -> str:
    """The digest of a folder with this manifest."""
    return md5(content) + FOLDER


def read_manifest(content: bytes) -> dict[str, str]:
    """Digests by relative path. That its bytes are those of its name says nothing: whoever makes
    a manifest gives it its name.

    Raises ``Malformed`` for what is no manifest, and for one that names a file outside of its
    folder, in a folder of Git's, DVC's or ours, or twice.
    """
    rows = parse_json(content)
    if not isinstance(rows, list):
        raise Malformed("a manifest is a list")
    members: dict[str, str] = {}
    for row in map(Fields, rows):
        path, digest = row.get("relpath", ProjectPath), row.get("md5", Md5)
        if path in members or is_folder(digest):
            raise Malformed(f"{describe(path)} is no file, or stands there twice")
        members[path] = digest
    _refuse_nested(members)
    return members


def _refuse_nested(members: Mapping[str, str]) -> None:
    """A file cannot be the folder of another."""
    folders = {path.rpartition("/")[0] for path in members}
    for folder in folders:
        while folder:
            if folder in members:
                raise Malformed(f"{describe(folder)} is a file and a folder")
            folder = folder.rpartition("/")[0]


def files_under(folder: Path, ignore: Ignore) -> Iterator[Found]:
    """The files that a folder's digest is made of.

    Raises StoreError, with every fault, for links to folders, broken links, pipes and the like,
    and for a `.dvcignore` inside the folder.
    """
    faults: list[str] = []
    yield from _walk(os.fspath(folder), "", ignore, faults)
    if faults:
        raise StoreError(*faults)


def _walk(folder: str, below: str, ignore: Ignore, faults: list[str]) -> Iterator[Found]:
    with os.scandir(folder) as rows:
        entries = sorted(rows, key=lambda entry: entry.name)
    if below and any(entry.name == ".dvc" and entry.is_dir() for entry in entries):
        return  # a project of its own, which DVC leaves out
    for entry in entries:
        relative = f"{below}{entry.name}"
        is_directory = entry.is_dir(follow_symlinks=False)
        if ignore.ignores(relative, is_directory):
            continue
        if is_reserved(entry.name):
            faults.append(_refusal(entry))
        elif is_directory:
            yield from _walk(entry.path, f"{relative}/", ignore, faults)
        elif entry.name != IGNORE_FILE and entry.is_file():
            yield Found(entry.path, relative, Stamp.of(entry.stat()))
        else:
            faults.append(_refusal(entry))


def _refusal(entry: os.DirEntry[str]) -> str:
    """Why a thing in a folder cannot be stored."""
    if is_reserved(entry.name):
        return f"{entry.path}: what is called so may not stand inside a stored folder"
    if entry.name == IGNORE_FILE:
        return f"{entry.path}: a {IGNORE_FILE} may not stand inside a stored folder"
    if entry.is_dir():
        return f"{entry.path} is a link to a folder, which a folder's digest leaves out"
    if not Path(entry.path).exists():
        return f"{entry.path} is a link to nothing"
    return f"{entry.path} is neither a file nor a folder"
