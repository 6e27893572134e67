"""A version as it is given to a target: a folder with the model, its record, and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import RegistryError, TowpathError
from towpath.registry import VersionRecord
from towpath.registry.version_record import parse_version_record, write_version_record
from towpath.registry.version_reference import VersionNumber
from towpath.storage.stage_store import StageStore
from towpath.storage.verified_bytes import folder_sha256

MANIFEST = "MANIFEST.json"
RECORD = "record.yaml"
SCHEMA = 1


@dataclass(frozen=True)
class Bundle:
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
        """The model's own file or folder."""
        return self.folder / self.record.artifact.name


def build_bundle(store: StageStore, record: VersionRecord, folder: Path) -> Bundle:
    """Fetch a version from a stage's store, verified, and write what describes it beside it."""
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
    bundle = Bundle(folder, stage, record)
    try:
        return _is_plain(bundle) and _is_described(bundle)
    # What was put there may be no text, no JSON, JSON without end, or a file that none may read.
    except (OSError, ValueError, TypeError, RecursionError, TowpathError):
        return False


def _is_plain(bundle: Bundle) -> bool:
    folder = bundle.folder
    # A link could lead to bytes that whoever made it changes after they were looked at.
    if folder.is_symlink() or any(path.is_symlink() for path in folder.rglob("*")):
        return False
    names = {path.name for path in folder.iterdir()}
    expected_names = {bundle.record.artifact.name, RECORD, MANIFEST}
    return names == expected_names and _model_sha256(bundle) == bundle.record.sha256


def _is_described(bundle: Bundle) -> bool:
    content = (bundle.folder / RECORD).read_text(encoding="utf-8")
    if parse_version_record(content, RECORD) != bundle.record:
        return False
    beside = json.loads((bundle.folder / MANIFEST).read_bytes())
    return bool(beside == json.loads(_bundle_manifest(bundle)))


def _model_sha256(bundle: Bundle) -> str:
    is_folder = bundle.model_file.is_dir()
    if is_folder != (bundle.record.artifact.files is not None):
        return ""
    if is_folder:
        return folder_sha256(dict(hash_files(bundle.model_file)))
    return dict(hash_files(bundle.folder))[bundle.record.artifact.name]


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
