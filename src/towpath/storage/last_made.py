"""What the good runs of a pipeline made last: a small JSON file for each run, beside the entries.

``<cache>/towpath/last/<2 hex>/<62 hex>/<run>.<writer>.json``, under a key of the pipeline and its
environment. A run's name sorts by the time it began, so the last name is the last run. Files are
written once and never changed: two machines' are simply put together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from towpath.config.artifact import CacheEntry
from towpath.scratch import replace_bytes
from towpath.storage.cache_entries import WRITERS, dump_entry, load_entry
from towpath.storage.copy_files import explain_write_errors
from towpath.storage.objects import StoreLayout

#: How many runs of a pipeline are kept of each writer, and looked at.
KEPT_RUNS = 20

_PATH = re.compile(
    r"([0-9a-f]{2})/([0-9a-f]{62})/([0-9]{8}-[0-9]{6}-[0-9a-f]{4})\.(ci|local)\.json", re.ASCII
)


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
        ours = [path for path in relative if _is_of(path, writers)]
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


def _is_of(relative: str, writers: Sequence[str]) -> bool:
    match = _PATH.fullmatch(relative)
    return match is not None and match[4] in writers


def relative_last_path(entry: CacheEntry) -> str:
    """Its path below `towpath/last`, in a cache and on a remote."""
    return f"{entry.key[:2]}/{entry.key[2:]}/{entry.made_by}.{entry.writer}.json"


def load_last(relative: str, content: bytes) -> CacheEntry | None:
    """What a file holds; None where it is torn or garbage, or not what its path says."""
    if not _PATH.fullmatch(relative):
        return None
    entry = load_entry(content)
    return entry if entry is not None and relative_last_path(entry) == relative else None


def latest_paths(paths: Sequence[str]) -> list[str]:
    """Of paths below `towpath/last` those of the latest runs of each pipeline and writer."""
    folders: dict[tuple[str, str], list[str]] = {}
    for path in sorted(paths, reverse=True):
        if match := _PATH.fullmatch(path):
            folders.setdefault((path.rpartition("/")[0], match[4]), []).append(path)
    return [path for latest in folders.values() for path in latest[:KEPT_RUNS]]
