"""A version as it is given to a target: a folder with the model, its record, and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from towpath.errors import RegistryError, TowpathError
from towpath.registry import VersionRecord
from towpath.registry.version_record import parse_version_record, write_version_record
from towpath.registry.version_reference import VersionNumber
from towpath.storage.stage_store import StageStore
from towpath.storage.verified_bytes import folder_sha256

MANIFEST = "MANIFEST.json"
RECORD = "record.yaml"
SCHEMA = 1


class Bundle(Struct, frozen=True):
    """A folder that holds a version's model, ``record.yaml`` and ``MANIFEST.json``."""

    folder: Path
    stage: str
    record: VersionRecord

    @property
    def model(self) -> str:
        return self.record.model

    @property
    def version(self) -> VersionNumber:
        assert self.record.version is not None  # only numbered versions are promoted
        return self.record.version

    @property
    def model_file(self) -> Path:
        return self.folder / self.record.artifact.name


def build_bundle(store: StageStore, record: VersionRecord, folder: Path) -> Bundle:
    bundle = Bundle(folder, store.name, record)
    if record.artifact.name in ("", ".", "..", MANIFEST, RECORD):
        raise RegistryError(f"a model's file cannot be called `{record.artifact.name}`")
    folder.mkdir(parents=True, exist_ok=True)
    store.fetch_bytes(record.artifact, bundle.model_file, record.sha256)
    (folder / RECORD).write_text(write_version_record(record), encoding="utf-8")
    (folder / MANIFEST).write_text(_bundle_manifest(bundle), encoding="utf-8")
    return bundle


def hash_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file in a folder but a bundle's manifest: its path in it, and its SHA-256."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                yield name, hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(folder: Path, record: VersionRecord, stage: str) -> bool:
    """Whether a bundle is what a record from Git says, file by file, and nothing besides."""
    # By Git's record, for what lies in the folder vouches for nothing: whoever alters the model
    # alters what describes it, too.
    bundle, name = Bundle(folder, stage, record), record.artifact.name
    try:
        # A link could lead to bytes that whoever made it changes after they were looked at.
        if folder.is_symlink() or any(path.is_symlink() for path in folder.rglob("*")):
            return False
        is_folder = record.artifact.files is not None
        if {path.name for path in folder.iterdir()} != {name, RECORD, MANIFEST}:
            return False
        if bundle.model_file.is_dir() != is_folder:
            return False
        files = dict(hash_files(bundle.model_file if is_folder else folder))
        if (folder_sha256(files) if is_folder else files[name]) != record.sha256:
            return False
        if parse_version_record((folder / RECORD).read_text("utf-8"), RECORD) != record:
            return False
        beside = json.loads((folder / MANIFEST).read_bytes())
        return bool(beside == json.loads(_bundle_manifest(bundle)))
    # What was put there may be no text, no JSON, JSON without end, or a file that none may read.
    except (OSError, ValueError, TypeError, RecursionError, TowpathError):
        return False


def _bundle_manifest(bundle: Bundle) -> str:
    record = bundle.record
    data = {
        "schema": SCHEMA,
        "model": record.model,
        "version": str(record.version),
        "stage": bundle.stage,
        "path": record.artifact.name,
        "kind": record.kind,
        "sha256": record.sha256,
        "md5": record.artifact.digest,
        "files": dict(hash_files(bundle.folder)),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
