"""Remotes: the only room that knows DVC. Importing this package imports nothing of it yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.spec.artifact import Entry
    from towpath.store.local import Store
    from towpath.store.remote.door import Remote
    from towpath.store.remote.entries import Wanted
    from towpath.store.remote.transfer import Moved, Progress

__all__ = ["copy", "default", "fetch", "listing", "lookup", "missing", "names", "push"]


def names(root: Path) -> tuple[str, ...]:
    """The remotes that the project's configuration names."""
    from towpath.store.remote import door

    return door.names(_store(root).layout)


def default(root: Path) -> str | None:
    """The remote that is meant when none is named."""
    from towpath.store.remote import door

    return door.default(_store(root).layout)


def push(
    root: Path,
    digests: Iterable[str] | None = None,
    remote: str | None = None,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
    beside: Iterable[str] = (),
) -> Moved:
    """Bring bytes, then the entries that speak of them, to a remote.

    Without ``digests`` it is all that the project names: tracked data, and what `dvc.lock` and the
    entries say. ``wanted`` chooses entries: all, or none where ``digests`` are given. What the
    entries were made from goes along, and what ``beside`` names, where it is here.
    Raises StoreError, with every fault, for bytes that are neither here nor there, or that did
    not arrive whole.
    """
    from towpath.store.remote import entries
    from towpath.store.remote.transfer import Moved, silent, upload

    store, there = _open(root, remote)
    sent = entries.here(store, wanted or _default(digests))
    optional = [*beside, *(digest for entry in sent for digest in entries.inputs(entry))]
    if digests is None:
        optional += _project(root, whole=True)
    held = [digest for digest in dict.fromkeys(optional) if store.has(digest)]
    needed = [*(digests or ()), *held, *(d for entry in sent for d in entries.outputs(entry))]
    count = upload(store, there, needed, progress or silent)
    return Moved(count, entries.send(store, there, sent))


def fetch(
    root: Path,
    digests: Iterable[str] | None = None,
    remote: str | None = None,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
) -> Moved:
    """Bring bytes, then the entries that speak of them, from a remote to this store.

    ``digests`` and ``wanted`` are as for ``push``. What came whole stays, the entries that speak of
    it too. Then raises StoreError, with every fault, for what the remote does not have or holds
    with wrong bytes; what only other entries speak of is a warning, since they are left there.
    """
    from towpath.store.remote import entries
    from towpath.store.remote.arriving import download
    from towpath.store.remote.transfer import Moved, silent

    store, there = _open(root, remote)
    come = entries.there(there, wanted or _default(digests))
    named = _reachable(root, store, remote) if digests is None else list(digests)
    needed = [*named, *(digest for entry in come for digest in entries.outputs(entry))]
    arrived = download(store, there, needed, progress or silent)
    whole = [entry for entry in come if arrived.is_whole(entries.outputs(entry))]
    moved = Moved(arrived.objects, entries.receive(store, whole))
    arrived.settle(named)
    return moved


def copy(
    root: Path,
    source: str,
    target: str,
    digests: Iterable[str],
    progress: Progress | None = None,
) -> Moved:
    """Bring bytes from one remote to another; the project's cache need not hold them.

    Raises StoreError, with every fault, for what the source does not have or has with wrong bytes.
    """
    from towpath.store.remote.transfer import Moved, silent, transfer

    store, origin = _open(root, source)
    _, goal = _open(root, target)
    return Moved(transfer(store, origin, goal, digests, progress or silent))


def missing(root: Path, digests: Sequence[str], remote: str | None = None) -> list[str]:
    """Those of these objects that a remote does not have. Their bytes are not read."""
    from towpath.store.remote.door import speaking

    _, there = _open(root, remote)
    with speaking(there.name, there.url):
        sizes = there.sizes([there.path(digest) for digest in digests])
    return [digest for digest, size in zip(digests, sizes, strict=True) if size is None]


def listing(root: Path, remote: str | None = None) -> list[str]:
    """The digests of every object on a remote, folders' manifests among them."""
    from towpath.store.remote.door import speaking

    _, there = _open(root, remote)
    home = there.side_path("files", "md5")
    with speaking(there.name, there.url):
        paths = there.list(home)
    return ["".join(path.replace("\\", "/").split("/")[-2:]) for path in paths]


def lookup(root: Path, keys: Sequence[str], remote: str | None = None) -> Iterator[Entry]:
    """The entries that a remote has under these keys; their bytes may be only there."""
    from towpath.store.remote import entries

    _, there = _open(root, remote)
    return entries.of_keys(there, keys)


def _open(root: Path, name: str | None) -> tuple[Store, Remote]:
    from towpath.store.remote import door

    store = _store(root)
    return store, door.remote(store.layout, name)


def _store(root: Path) -> Store:
    from towpath.store.local import Store

    return Store(root)


def _default(digests: Iterable[str] | None) -> Wanted:
    return lambda _: digests is None


def _project(root: Path, whole: bool = False) -> list[str]:
    """The digests that a project's files name: tracked data, and what `dvc.lock` says was made.

    Pointers that cannot be followed are left out, for who places data says what is wrong with
    them; where the list must be ``whole`` they are a StoreError.
    """
    from towpath.store import tracked
    from towpath.store.pipelines import made

    found = tracked.pointers(root) if whole else tracked.survey(root).pointers
    return [*(pointer.artifact.digest for pointer in found), *made(root)]


def _reachable(root: Path, store: Store, remote: str | None) -> list[str]:
    """What a project names and a remote can be asked for.

    Of the user's own stages that is what is there: DVC need not have stored what they made.
    """
    from towpath.store.pipelines import made

    others = [digest for digest in made(root, ours=False) if not store.has(digest)]
    gone = set(missing(root, others, remote) if others else ())
    return [digest for digest in _project(root) if digest not in gone]
