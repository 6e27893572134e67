"""Entries to and from remotes, always after the bytes that they speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from towpath.spec.artifact import Entry
from towpath.store.digest import is_digest
from towpath.store.entries import WRITERS, loads, relative
from towpath.store.local import Store
from towpath.store.remote.door import Remote, speaking

Wanted = Callable[[Entry], bool]
"""Which entries are asked for: those of a pipeline, of a step, or all."""

_HOME = ("towpath", "entries")
_INPUT = "input "


def outputs(entry: Entry) -> list[str]:
    """The digests that an entry speaks of."""
    return [artifact.digest for artifact in entry.result.outputs.values()]


def inputs(entry: Entry) -> list[str]:
    """The digests of what an entry was made from."""
    found = (said for label, said in entry.ingredients.items() if label.startswith(_INPUT))
    return [digest for digest in found if is_digest(digest)]


def here(store: Store, wanted: Wanted) -> list[Entry]:
    """The entries of this store whose bytes are all here."""
    found = (entry for entry in store.remembered.all() if wanted(entry))
    return [entry for entry in found if not store.missing(outputs(entry))]


def there(remote: Remote, wanted: Wanted) -> list[Entry]:
    """The entries of a remote whose bytes are there too: those of others are misses."""
    with speaking(remote.name, remote.url):
        contents = remote.read_many(remote.list(remote.side_path(*_HOME)))
        found = [entry for entry in map(_sound, contents) if entry is not None and wanted(entry)]
        spoken = list(dict.fromkeys(digest for entry in found for digest in outputs(entry)))
        sizes = remote.sizes([remote.path(digest) for digest in spoken])
    gone = {digest for digest, size in zip(spoken, sizes, strict=True) if size is None}
    return [entry for entry in found if gone.isdisjoint(outputs(entry))]


def of_keys(remote: Remote, keys: Sequence[str]) -> Iterator[Entry]:
    """The entries that a remote has under these keys, the most trusted writer's first."""
    named = [(key, writer) for key in keys for writer in WRITERS]
    with speaking(remote.name, remote.url):
        contents = remote.read_many([_path(remote, key, writer) for key, writer in named])
    for (key, writer), content in zip(named, contents, strict=True):
        entry = _sound(content)
        if entry is not None and (entry.key, entry.writer) == (key, writer):
            yield entry


def send(store: Store, remote: Remote, entries: Sequence[Entry]) -> int:
    """Bring entries to a remote whose bytes are there; how many were not."""
    with speaking(remote.name, remote.url):
        sizes = remote.sizes([_path(remote, entry.key, entry.writer) for entry in entries])
        absent = [entry for entry, size in zip(entries, sizes, strict=True) if size is None]
        for entry in absent:
            local = store.remembered.path(entry.key, entry.writer)
            remote.put_file(str(local), _path(remote, entry.key, entry.writer))
    return len(absent)


def receive(store: Store, entries: Sequence[Entry]) -> int:
    """Remember a remote's entries whose bytes have come; how many were not known here."""
    new = [entry for entry in entries if entry not in list(_known(store, entry))]
    for entry in new:
        store.remember(entry)
    return len(new)


def _known(store: Store, entry: Entry) -> Iterator[Entry]:
    return store.remembered.read(entry.key, (entry.writer,))


def _path(remote: Remote, key: str, writer: str) -> str:
    return remote.side_path(*_HOME, *relative(key, writer).split("/"))


def _sound(content: bytes | None) -> Entry | None:
    return None if content is None else loads(content)
