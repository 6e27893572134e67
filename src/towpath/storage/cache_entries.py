"""What was made from what: one small JSON file for each execution, under its key.

``<cache>/towpath/entries/<2 hex>/<62 hex>.<writer>.json``. Writers have files of their own, so
that a laptop's entry never takes the place of one that CI wrote.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
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


class Entries(Struct, frozen=True, dict=True):
    layout: StoreLayout

    def path(self, key: str, writer: str) -> Path:
        """Where the entry of a key stands, or would."""
        return Path(f"{self._folder}/{relative_entry_path(key, writer)}")

    @cached_property
    def _folder(self) -> str:
        return os.fspath(self.layout.entries)  # once: a plan asks for ten thousand entries

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
