"""Bytes of a file or a folder read from any store, hashed before anybody believes them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import IO

from towpath.call_log import log_call
from towpath.config.artifact import Artifact
from towpath.config.foreign_paths import ProjectPath
from towpath.config.foreign_values import (
    FOLDER_SUFFIX,
    Fields,
    Md5,
    describe_value,
    parse_json,
)
from towpath.errors import Malformed, StoreError
from towpath.storage.copy_files import copy_plain, hash_bytes
from towpath.storage.storage_backend import ObjectSource, map_in_threads, object_path

_CHUNK = 1 << 20


class UnsoundBytes(StoreError):
    """A source does not have the bytes that are asked for, or has others."""


class AbsentBytes(UnsoundBytes):
    """A source does not have the bytes that are asked for."""


class BytesState(StrEnum):
    WHOLE = "whole"
    MISSING = "missing"
    ALTERED = "altered"


def verify_bytes(
    source: ObjectSource, artifact: Artifact, sha256: str | None, jobs: int = 1
) -> BytesState:
    """What a source has of a file or a folder: every byte is read."""
    try:
        hashed, whole = _hash_members(source, artifact.digest, jobs)
    except FileNotFoundError:
        return BytesState.MISSING
    except UnsoundBytes:
        return BytesState.ALTERED
    is_sound = all(digest == md5 for digest, md5 in hashed.items()) and sha256 in (None, whole)
    return BytesState.WHOLE if is_sound else BytesState.ALTERED


def _hash_members(
    source: ObjectSource, digest: str, jobs: int, scratch: Path | None = None
) -> tuple[dict[str, str], str]:
    """The MD5 of each object of a file or a folder, but the manifest; the SHA-256 of the whole."""
    members = members_of(source, digest)
    digests = list(dict.fromkeys(members.values()))
    pairs = map_in_threads(lambda d: hash_object(source, d, scratch), digests, jobs)
    hashed = dict(zip(digests, pairs, strict=True))
    whole = whole_sha256({path: hashed[member][1] for path, member in members.items()})
    return {member: md5 for member, (md5, _) in hashed.items()}, whole


def find_altered(source: ObjectSource, artifact: Artifact) -> list[str]:
    """The objects of a file or a folder whose bytes are not those of their names; the manifest
    where that is none, since nothing says then what belongs to the folder."""
    try:
        held = dict.fromkeys(members_of(source, artifact.digest).values())
    except UnsoundBytes:
        return [artifact.digest]
    return [digest for digest in held if hash_object(source, digest)[0] != digest]


def fetch_verified(
    source: ObjectSource,
    artifact: Artifact,
    into: Path,
    sha256: str | None,
    scratch: Path,
    jobs: int = 1,
) -> Path:
    """Bring a file or a folder from a source to a path, verified before it gets its name."""
    digests = receive_objects(source, artifact, sha256, scratch, jobs)
    if not is_folder_digest(artifact.digest):
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(scratch / artifact.digest, into)
        return into
    members = read_manifest((scratch / digests[-1]).read_bytes())
    last = {digest: path for path, digest in members.items()}
    into.mkdir(parents=True, exist_ok=True)
    for path, digest in members.items():
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        if path == last[digest]:  # equal files are one object: all but the last are copies of it
            shutil.move(scratch / digest, into / path)
        else:
            copy_plain(scratch / digest, into / path)
    return into


def receive_objects(
    source: ObjectSource, artifact: Artifact, sha256: str | None, scratch: Path, jobs: int
) -> list[str]:
    """The objects of a file or a folder as files of ``scratch``, the manifest last; verified."""
    try:
        hashed, whole = _hash_members(source, artifact.digest, jobs, scratch)
    except FileNotFoundError:
        what = f"{artifact.name} ({artifact.digest}) is not in {source.shown}"
        raise AbsentBytes(what, hint="push it from where it was made: towpath push") from None
    digests = list(hashed)
    wrong = [digest for digest, md5 in hashed.items() if md5 != digest]
    if wrong or sha256 not in (None, whole):
        raise _altered_error(source, artifact, wrong or [artifact.digest])
    if is_folder_digest(artifact.digest):
        hash_object(source, artifact.digest, scratch)
        digests.append(artifact.digest)
    return digests


def members_of(source: ObjectSource, digest: str) -> dict[str, str]:
    """A folder's digests by path; of a file the file alone, under no name. Raises
    ``FileNotFoundError`` where the manifest is not there, ``UnsoundBytes`` where it is none."""
    if not is_folder_digest(digest):
        return {"": digest}
    with log_call("store", "read", source.shown, digest), source.open_object(digest) as file:
        content = file.read()
    if hash_bytes(content) + FOLDER != digest:
        raise UnsoundBytes(f"the manifest {digest} in {source.shown} was altered")
    try:
        return read_manifest(content)
    except Malformed as wrong:
        what = f"the manifest {digest} in {source.shown} is none: {wrong.faults[0].what}"
        raise UnsoundBytes(
            what, hint="whoever made it made it by hand: nothing of it is used"
        ) from None


def sha256_of(source: ObjectSource, artifact: Artifact) -> str:
    """SHA-256 of a file or a folder in a source, as a record has it. Raises ``FileNotFoundError``
    where it is not there, ``UnsoundBytes`` where a manifest is none."""
    members = members_of(source, artifact.digest)
    return whole_sha256({path: hash_object(source, d)[1] for path, d in members.items()})


def hash_object(source: ObjectSource, digest: str, scratch: Path | None = None) -> tuple[str, str]:
    """An object's MD5 and SHA-256, read from beginning to end, and kept where asked."""
    with log_call("store", "hash", source.shown, digest), source.open_object(digest) as file:
        if scratch is None:
            return hash_stream(file)
        with (scratch / digest).open("wb") as kept:
            return hash_stream(file, kept.write)


def hash_stream(stream: IO[bytes], keep: Callable[[bytes], object] = len) -> tuple[str, str]:
    """The MD5 and the SHA-256 of the rest of a stream; ``keep`` is handed each piece of it."""
    named, recorded = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        named.update(chunk)
        recorded.update(chunk)
        keep(chunk)
    return named.hexdigest(), recorded.hexdigest()


def whole_sha256(members: Mapping[str, str]) -> str:
    """SHA-256 of a file, whose name in ``members`` is empty; of a folder that of its files."""
    return members[""] if list(members) == [""] else folder_sha256(members)


def folder_sha256(members: Mapping[str, str]) -> str:
    """SHA-256 of a folder: that of its sorted ``sha256sum`` lines."""
    lines = sorted(f"{digest}  {path}\n" for path, digest in members.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _altered_error(source: ObjectSource, artifact: Artifact, wrong: Sequence[str]) -> UnsoundBytes:
    paths = ", ".join(map(object_path, wrong[:5])) + (" and more" if wrong[5:] else "")
    return UnsoundBytes(
        f"{artifact.name} in {source.shown} holds other bytes than its record says",
        hint=f"move {paths} away from there, and bring it anew from where it is right",
    )


# Digests of folders: the manifest that names their files, as DVC writes it.
#
# A folder is named by the MD5 of its manifest with ``.dir`` behind it. The manifest is JSON, one
# ``{"md5", "relpath"}`` for each file, sorted by path.

FOLDER = FOLDER_SUFFIX


def is_folder_digest(digest: str) -> bool:
    return digest.endswith(FOLDER)


def folder_manifest(digests: Mapping[str, str]) -> bytes:
    """DVC's manifest of a folder: digests by relative path, in JSON as Python dumps it."""
    rows = [{"md5": digests[path], "relpath": path} for path in sorted(digests)]
    return json.dumps(rows, sort_keys=True).encode()


def manifest_digest(content: bytes) -> str:
    return hash_bytes(content) + FOLDER


def read_manifest(content: bytes) -> dict[str, str]:
    """Digests by relative path. That its bytes are those of its name says nothing: whoever makes a
    manifest gives it its name. Raises ``Malformed`` for what is no manifest, and for one that names
    a file outside of its folder, in a folder of Git's, DVC's or ours, or twice."""
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
