"""The bytes of a version, held against its record before anything opens them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.gate_finding import Unjudged
from towpath.registry import VersionRecord
from towpath.storage.verified_bytes import (
    folder_manifest,
    folder_sha256,
    hash_stream,
    manifest_digest,
)


def verify_model_bytes(context: GateContext, record: VersionRecord) -> Path:
    """Where the bytes are.

    :raises Unjudged: where they are not those that were recorded.
    """
    path = context.model(record).absolute()
    if alteration := explain_altered_bytes(path, record):
        raise Unjudged(alteration)
    return path


def copy_verified_bytes(context: GateContext, record: VersionRecord, folder: Path) -> Path:
    """A copy of the bytes in a folder, under their own name, to do with as one likes.

    :raises Unjudged: where they are not those that were recorded.
    """
    path, target = context.model(record), folder / record.artifact.name
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True)
    else:
        shutil.copyfile(path, target)
    if alteration := explain_altered_bytes(target, record):
        raise Unjudged(alteration)
    return target


def explain_altered_bytes(path: Path, record: VersionRecord) -> str:
    """How the bytes differ from what was recorded; empty where they do not."""
    is_folder = record.artifact.files is not None
    if path.is_dir() != is_folder:
        return f"the record says {'a folder' if is_folder else 'a file'}, and that is none"
    digests = _of_folder(path) if is_folder else _of_file(path)
    recorded = (record.artifact.digest, record.sha256)
    for name, is_, was in zip(("md5", "sha256"), digests, recorded, strict=True):
        if is_ != was:
            return f"its {name} is {is_[:12]}..., recorded is {was[:12]}..."
    return ""


def list_model_files(path: Path) -> Iterator[Path]:
    """The file, or the files of a folder, in order."""
    if path.is_dir():
        yield from sorted(
            file for file in path.rglob("*") if not file.is_dir() or file.is_symlink()
        )
    else:
        yield path


def _of_file(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        return hash_stream(file)


def _of_folder(folder: Path) -> tuple[str, str]:
    """DVC's digest of its manifest, and the SHA-256 of its sorted ``sha256sum`` lines."""
    digests_by_path = {}
    for path in list_model_files(folder):
        if path.is_symlink():
            raise Unjudged(f"{path.relative_to(folder)} in it is a link")
        digests_by_path[path.relative_to(folder).as_posix()] = _of_file(path)
    md5 = manifest_digest(
        folder_manifest({name: md5 for name, (md5, _) in digests_by_path.items()})
    )
    return md5, folder_sha256({name: sha256 for name, (_, sha256) in digests_by_path.items()})
