"""What was made from what, and what the good runs of a pipeline made last: small JSON files.

``<cache>/towpath/entries/<2 hex>/<62 hex>.<writer>.json`` for each execution, under its key.
Writers have files of their own, so that a laptop's entry never takes the place of one that CI
wrote.

``<cache>/towpath/last/<2 hex>/<62 hex>/<run>.<writer>.json`` for each run, under a key of the
pipeline and its environment. A run's name sorts by the time it began, so the last name is the last
run. Files are written once and never changed: two machines' are simply put together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import fields as struct_fields

from towpath.config import foreign_values as foreign
from towpath.config.artifact import CacheEntry, read_made
from towpath.config.foreign_values import Fields, parse_json
from towpath.errors import Malformed
from towpath.plain_data import list_fields
from towpath.scratch import replace_bytes
from towpath.storage.copy_files import explain_write_errors
from towpath.storage.objects import StoreLayout

SCHEMA = 1
WRITERS = ("ci", "local")  # Who writes entries, the more trusted first.

_KEY = re.compile(r"[0-9a-f]{64}")
#: How many runs of a pipeline are kept of each writer, and looked at.
KEPT_RUNS = 20

_LAST_PATH = re.compile(
    r"([0-9a-f]{2})/([0-9a-f]{62})/([0-9]{8}-[0-9]{6}-[0-9a-f]{4})\.(ci|local)\.json", re.ASCII
)


class Entries(Struct, frozen=True, dict=True):
    layout: StoreLayout

    def path(self, key: str, writer: str) -> Path:
        """Where the entry of a key stands, or would."""
        return self.layout.entries / relative_entry_path(key, writer)

    def read(self, key: str, writers: Sequence[str] = WRITERS) -> Iterator[CacheEntry]:
        """The entries of a key by these writers. One that is torn or foreign is none."""
        for writer in writers:
            try:
                content = self.path(key, writer).read_bytes()
            except OSError:
                continue
            entry = load_entry(content)
            if entry is not None and entry.key == key and entry.writer == writer:
                yield entry

    def all(self) -> Iterator[CacheEntry]:
        for path in sorted(self.layout.entries.glob("??/*.json")):
            key, _, writer = path.stem.partition(".")
            yield from self.read(path.parent.name + key, (writer,))

    def write(self, entry: CacheEntry) -> Path:
        """Remember an execution; call it when the bytes of its outputs are stored."""
        if not _KEY.fullmatch(entry.key) or entry.writer not in WRITERS:
            raise ValueError(f"not an entry's key and writer: {entry.key}, {entry.writer}")
        path = self.path(entry.key, entry.writer)
        with explain_write_errors("an entry", self.layout.cache):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(path, dump_entry(entry).encode())
        return path


def relative_entry_path(key: str, writer: str) -> str:
    """An entry's path below `towpath/entries`, in a cache and on a remote."""
    return f"{key[:2]}/{key[2:]}.{writer}.json"


def dump_entry(entry: CacheEntry) -> str:
    return json.dumps({"schema": SCHEMA, **list_fields(entry)}, sort_keys=True)


def load_entry(content: bytes) -> CacheEntry | None:
    """The entry in a file; None where it is torn, garbage, or of another schema."""
    try:
        fields = Fields(parse_json(content))
        if fields.get("schema", foreign.read_count) != SCHEMA:
            return None
        fields.refuse_others("schema", *(field.name for field in struct_fields(CacheEntry)))
        return CacheEntry(
            key=fields.get("key", foreign.read_key),
            pipeline=fields.get("pipeline", foreign.read_text),
            step=fields.get("step", foreign.read_text),
            made_by=fields.get("made_by", foreign.read_text),
            made=fields.get("made", foreign.read_moment),
            seconds=fields.get("seconds", foreign.read_duration),
            writer=fields.get("writer", foreign.one_of(*WRITERS)),
            ingredients=fields.get("ingredients", foreign.table_of(foreign.read_text)),
            result=fields.get("result", read_made),
        )
    except Malformed:
        return None


class LastMade(Struct, frozen=True):
    layout: StoreLayout

    def path(self, entry: CacheEntry) -> Path:
        """Where what a run made stands, or would."""
        return self.layout.last / relative_last_path(entry)

    def read(self, key: str, writers: Sequence[str] = WRITERS) -> Iterator[CacheEntry]:
        """What the last runs made, the latest first. A file that is torn or foreign is none."""
        folder = self.layout.last / key[:2] / key[2:]
        try:
            names = sorted((path.name for path in folder.iterdir()), reverse=True)
        except OSError:
            return
        for name in names:
            relative = f"{key[:2]}/{key[2:]}/{name}"
            entry = self._read_file(relative)
            if entry is not None and entry.writer in writers:
                yield entry

    def find_damaged(self, key: str, writers: Sequence[str] = WRITERS) -> Path | None:
        """The file of the latest run of these writers, where it cannot be read."""
        folder = self.layout.last / key[:2] / key[2:]
        names = (path.name for path in folder.glob("*.json")) if folder.is_dir() else ()
        relative = sorted(f"{key[:2]}/{key[2:]}/{name}" for name in names)
        matches = [_LAST_PATH.fullmatch(path) for path in relative]
        ours = [match[0] for match in matches if match and match[4] in writers]
        if not ours or self._read_file(ours[-1]) is not None:
            return None
        return self.layout.last / ours[-1]

    def _read_file(self, relative: str) -> CacheEntry | None:
        try:
            return load_last(relative, (self.layout.last / relative).read_bytes())
        except OSError:
            return None

    def all(self) -> Iterator[CacheEntry]:
        """Those of all pipelines."""
        for folder in sorted(self.layout.last.glob("??/*/")):
            yield from self.read(folder.parent.name + folder.name)

    def write(self, entry: CacheEntry) -> None:
        """Keep what a run made; call it when the bytes are stored. Those of long ago go."""
        path = self.path(entry)
        with explain_write_errors("what was made last", self.layout.cache):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(path, dump_entry(entry).encode())
            # Of this writer: CI believes CI's alone, and runs by hand would push those out.
            kept = sorted(path.parent.glob(f"*.{entry.writer}.json"), reverse=True)
            for old in kept[KEPT_RUNS:]:
                old.unlink(missing_ok=True)


def relative_last_path(entry: CacheEntry) -> str:
    """Its path below `towpath/last`, in a cache and on a remote."""
    return f"{entry.key[:2]}/{entry.key[2:]}/{entry.made_by}.{entry.writer}.json"


def load_last(relative: str, content: bytes) -> CacheEntry | None:
    """What a file holds; None where it is torn or garbage, or not what its path says."""
    if not _LAST_PATH.fullmatch(relative):
        return None
    entry = load_entry(content)
    return entry if entry is not None and relative_last_path(entry) == relative else None


def latest_paths(paths: Sequence[str]) -> list[str]:
    """Of paths below `towpath/last` those of the latest runs of each pipeline and writer."""
    folders: dict[tuple[str, str], list[str]] = {}
    for path in sorted(paths, reverse=True):
        if match := _LAST_PATH.fullmatch(path):
            folders.setdefault((path.rpartition("/")[0], match[4]), []).append(path)
    return [path for latest in folders.values() for path in latest[:KEPT_RUNS]]
