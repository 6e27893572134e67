"""What was made from what: one small JSON file for each execution, under its key.

``<cache>/towpath/entries/<2 hex>/<62 hex>.<writer>.json``. Writers have files of their own, so
that a laptop's entry never takes the place of one that CI wrote.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from towpath.spec.artifact import Artifact, Entry, Made
from towpath.store.copying import saying
from towpath.store.digest import is_digest
from towpath.store.layout import Layout

SCHEMA = 1
WRITERS = ("ci", "local")
"""Who writes entries, the more trusted first."""

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entries:
    """The entries of one cache."""

    layout: Layout

    def path(self, key: str, writer: str) -> Path:
        """Where the entry of a key stands, or would."""
        return self.layout.entries / relative(key, writer)

    def read(self, key: str, writers: Sequence[str] = WRITERS) -> Iterator[Entry]:
        """The entries of a key by these writers. One that is torn or foreign is none."""
        for writer in writers:
            try:
                content = self.path(key, writer).read_bytes()
            except OSError:
                continue
            entry = loads(content)
            if entry is not None and entry.key == key and entry.writer == writer:
                yield entry

    def all(self) -> Iterator[Entry]:
        """Every sound entry, in the order of their keys."""
        for path in sorted(self.layout.entries.glob("??/*.json")):
            key, _, writer = path.stem.partition(".")
            yield from self.read(path.parent.name + key, (writer,))

    def write(self, entry: Entry) -> Path:
        """Remember an execution; call it when the bytes of its outputs are stored."""
        if not _KEY.fullmatch(entry.key) or entry.writer not in WRITERS:
            raise ValueError(f"not an entry's key and writer: {entry.key}, {entry.writer}")
        path = self.path(entry.key, entry.writer)
        with saying("an entry", self.layout.cache):
            replace_file(path, dumps(entry).encode(), self.layout.scratch)
        return path


def relative(key: str, writer: str) -> str:
    """An entry's path below `towpath/entries`, in a cache and on a remote."""
    return f"{key[:2]}/{key[2:]}.{writer}.json"


def dumps(entry: Entry) -> str:
    """An entry as JSON, with the number of its schema."""
    return json.dumps({"schema": SCHEMA, **asdict(entry)}, sort_keys=True)


def loads(content: bytes) -> Entry | None:
    """The entry in a file; None where it is torn, garbage, or of another schema."""
    try:
        said = json.loads(content)
        if said.pop("schema") != SCHEMA:
            return None
        return _entry(said)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _entry(said: dict[str, Any]) -> Entry:
    result = said.pop("result")
    outputs = {name: Artifact(**artifact) for name, artifact in result["outputs"].items()}
    made = Made(outputs, dict(result["values"]), dict(result["facts"]))
    entry = Entry(result=made, **said)
    if not isinstance(entry.ingredients, Mapping) or not all(map(_is_sound, outputs.values())):
        raise ValueError("not an entry")
    return entry


def _is_sound(artifact: Artifact) -> bool:
    return (
        is_digest(artifact.digest)
        and isinstance(artifact.size, int)
        and isinstance(artifact.name, str)
        and "/" not in artifact.name
    )


def replace_file(path: Path, content: bytes, through: Path | None = None) -> None:
    """Write a file whole or not at all, by a scratch file in the folder ``through``: one
    that nobody looks into, on the same file system. Without it that is the file's own."""
    folder = through or path.parent
    scratch = folder / f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        _in(folder, lambda: scratch.write_bytes(content))
        _in(path.parent, lambda: scratch.replace(path))
    except BaseException as error:
        with suppress(OSError):
            scratch.unlink()
        if through is None or not isinstance(error, OSError) or error.errno != errno.EXDEV:
            raise
        replace_file(path, content)


def _in(folder: Path, write: Callable[[], object]) -> None:
    """Write into a folder, which is made where it is not there: mostly it is."""
    try:
        write()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        write()
