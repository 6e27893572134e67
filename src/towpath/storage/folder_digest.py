"""Digests of folders: the manifest that names their files, as DVC writes it.

A folder is named by the MD5 of its manifest with ``.dir`` behind it. The manifest is JSON, one
``{"md5", "relpath"}`` for each file, sorted by path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from towpath.config.foreign_values import (
    FOLDER_SUFFIX,
    Fields,
    Md5,
    describe_value,
    is_md5,
    parse_json,
)
from towpath.config.project_paths import ProjectPath
from towpath.errors import Malformed
from towpath.storage.copy_files import hash_bytes

FOLDER = FOLDER_SUFFIX


def is_digest(text: str) -> bool:
    """Whether a text is the digest of a file or a folder."""
    return is_md5(text)


def is_folder_digest(digest: str) -> bool:
    """Whether a digest names a folder."""
    return digest.endswith(FOLDER)


def folder_manifest(digests: Mapping[str, str]) -> bytes:
    """DVC's manifest of a folder: digests by relative path, in JSON as Python dumps it."""
    rows = [{"md5": digests[path], "relpath": path} for path in sorted(digests)]
    return json.dumps(rows, sort_keys=True).encode()


def manifest_digest(content: bytes) -> str:
    """The digest of a folder with this manifest."""
    return hash_bytes(content) + FOLDER


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
        if path in members or is_folder_digest(digest):
            raise Malformed(f"{describe_value(path)} is no file, or stands there twice")
        members[path] = digest
    _refuse_nested(members)
    return members


def _refuse_nested(members: Mapping[str, str]) -> None:
    """A file cannot be the folder of another."""
    folders = {path.rpartition("/")[0] for path in members}
    for folder in folders:
        while folder:
            if folder in members:
                raise Malformed(f"{describe_value(folder)} is a file and a folder")
            folder = folder.rpartition("/")[0]
