"""A version as it is given to a target: a folder with the model, its record, and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import Malformed, RegistryError
from towpath.registry import Record
from towpath.registry.record import write
from towpath.registry.versions import Version
from towpath.spec.digests import Sha256
from towpath.spec.foreign_values import Fields, parse_json, read_text, table_of
from towpath.store.stage import StageStore

MANIFEST = "MANIFEST.json"
RECORD = "record.yaml"
SCHEMA = 1


@dataclass(frozen=True)
class Bundle:
    """A folder that holds a version's model, ``record.yaml`` and ``MANIFEST.json``."""

    folder: Path
    stage: str
    record: Record

    @property
    def model(self) -> str:
        """The model's name."""
        return self.record.model

    @property
    def version(self) -> Version:
        """The version."""
        assert self.record.version is not None  # only numbered versions are promoted
        return self.record.version

    @property
    def file(self) -> Path:
        """The model's own file or folder."""
        return self.folder / self.record.artifact.name


def build(store: StageStore, record: Record, folder: Path) -> Bundle:
    """Fetch a version from a stage's store, verified, and write what describes it beside it."""
    bundle = Bundle(folder, store.name, record)
    if record.artifact.name in ("", ".", "..", MANIFEST, RECORD):
        raise RegistryError(f"a model's file cannot be called `{record.artifact.name}`")
    folder.mkdir(parents=True, exist_ok=True)
    store.fetch(record.artifact, bundle.file, record.sha256)
    (folder / RECORD).write_text(write(record), encoding="utf-8")
    (folder / MANIFEST).write_text(_manifest(bundle), encoding="utf-8")
    return bundle


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file of a bundle but its manifest: its path in it, and its SHA-256."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                yield name, hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(folder: Path, version: str) -> bool:
    """Whether a bundle is as it was made: these files, with these bytes, of this version."""
    try:
        fields = Fields(parse_json((folder / MANIFEST).read_bytes()))
        listed = fields.get("files", table_of(Sha256))
        return fields.get("version", read_text) == version and listed == dict(files(folder))
    except (OSError, Malformed):
        return False


def _manifest(bundle: Bundle) -> str:
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
        "files": dict(files(bundle.folder)),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
