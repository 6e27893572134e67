"""Bytes to and from remotes: verified before they are named, and again where they arrive.

DVC's own transfer is not used: it takes a folder whose manifest has arrived for one that is whole,
and says nothing of objects that it drops because their bytes are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from towpath.errors import Fault, Malformed, StoreError
from towpath.store.copying import md5
from towpath.store.digest import FOLDER, is_folder, read_manifest
from towpath.store.local import Store
from towpath.store.remote.door import Remote, speaking

Progress = Callable[[int, int], None]
"""Told how many objects are done, of how many."""

_SHOWN = 20
_BATCH = 4


@dataclass(frozen=True)
class Moved:
    """What a transfer did: how many objects and entries it moved; the rest was there already."""

    objects: int = 0
    entries: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(self.objects + other.objects, self.entries + other.entries)


def silent(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def upload(store: Store, remote: Remote, digests: Iterable[str], progress: Progress) -> int:
    """Bring files and folders to a remote; how many objects were not there.

    Contents go before the manifests that name them. Raises StoreError, with every fault, for what
    is neither here nor there, and for what did not arrive as it was sent.
    """
    with speaking(remote.name, remote.url):
        needed = _expanded(store, remote, digests)
        absent = _absent(store, remote, needed)
        _refuse_missing(store, absent)
        return _in_batches(remote, absent, progress, lambda batch: _send(store, remote, batch))


def transfer(
    store: Store, source: Remote, target: Remote, digests: Iterable[str], progress: Progress
) -> int:
    """Bring files and folders from one remote to another, past this store's cache."""
    with speaking(source.name, source.url):
        needed = _expanded(store, source, digests)
    with speaking(target.name, target.url):
        sizes = target.sizes([target.path(digest) for digest in needed])
        absent = [digest for digest, size in zip(needed, sizes, strict=True) if size is None]
        return _in_batches(target, absent, progress, lambda batch: _relay(source, target, batch))


def _expanded(store: Store, remote: Remote, digests: Iterable[str]) -> list[str]:
    """The digests and those of their folders' files; manifests not here are read there."""
    found: dict[str, None] = {}
    for digest in dict.fromkeys(digests):
        found[digest] = None
        if is_folder(digest):
            content = store.objects.read(digest) or manifest_of(remote, digest)
            found |= dict.fromkeys(members_of(digest, content).values())
    return list(found)


def members_of(digest: str, content: bytes) -> dict[str, str]:
    """The digests that a folder's manifest names, by path. Raises StoreError where it is none."""
    try:
        return read_manifest(content)
    except Malformed as wrong:
        what = f"the manifest {digest} is none: {wrong.faults[0].what}"
        raise StoreError(
            what, hint="whoever made it made it by hand: nothing of it is used"
        ) from wrong


def manifest_of(remote: Remote, digest: str) -> bytes:
    """A folder's manifest as it is there. Raises StoreError where it is missing or wrong."""
    content = remote.read(remote.path(digest))
    if content is None:
        raise StoreError(not_there(remote, digest))
    if md5(content) + FOLDER != digest:
        raise StoreError(wrong(remote, digest))
    return content


def _absent(store: Store, remote: Remote, digests: Sequence[str]) -> list[str]:
    """What is not there, or there with another size than here."""
    sizes = remote.sizes([remote.path(digest) for digest in digests])
    return [
        digest
        for digest, size in zip(digests, sizes, strict=True)
        if size is None or (size >= 0 and _size(store, digest) not in (None, size))
    ]


def _size(store: Store, digest: str) -> int | None:
    try:
        return store.path(digest).stat().st_size
    except OSError:
        return None


def _refuse_missing(store: Store, digests: Sequence[str]) -> None:
    missing = store.objects.unverified(digests)
    _raise(
        Fault(f"the bytes of {digest} are neither here nor there", hint="run what makes them again")
        for digest in missing
    )


def _in_batches(
    remote: Remote, digests: Sequence[str], progress: Progress, move: Callable[[list[str]], None]
) -> int:
    """Move what can be moved, then raise what could not.

    No manifest moves unless every file did: one that is there speaks for its files.
    """
    faults: list[Fault] = []
    done = 0
    for batch in batches(digests, remote):
        if faults and is_folder(batch[0]):
            break
        try:
            move(batch)
        except StoreError as error:
            faults += error.faults
        done += len(batch)
        progress(done, len(digests))
    _raise(faults)
    return len(digests)


def batches(digests: Sequence[str], remote: Remote) -> Iterator[list[str]]:
    """What is moved at once, files before folders' manifests."""
    size = _BATCH * remote.jobs
    for chosen in (False, True):
        phase = [digest for digest in digests if is_folder(digest) is chosen]
        for start in range(0, len(phase), size):
            yield phase[start : start + size]


def _send(store: Store, remote: Remote, digests: list[str]) -> None:
    remote.put({digest: str(store.path(digest)) for digest in digests})
    broken = _broken(remote, digests)
    for digest in broken:
        remote.remove(digest)
    _raise(
        Fault(
            f"{digest} arrived at remote `{remote.name}` with wrong bytes, and was removed there",
            hint="push again",
        )
        for digest in broken
    )


def _relay(source: Remote, target: Remote, digests: list[str]) -> None:
    sizes = source.sizes([source.path(digest) for digest in digests])
    _raise(
        not_there(source, digest)
        for digest, size in zip(digests, sizes, strict=True)
        if size is None
    )
    target.put({digest: source.path(digest) for digest in digests}, source)
    broken = _broken(target, digests)
    for digest in broken:
        target.remove(digest)
    _raise(wrong(source, digest) for digest in broken)


def _broken(remote: Remote, digests: list[str]) -> list[str]:
    """Those whose bytes on the remote, read there again, are not what their name says."""
    found = remote.digests([remote.path(digest) for digest in digests])
    return [
        digest
        for digest, actual in zip(digests, found, strict=True)
        if actual != digest.removesuffix(FOLDER)
    ]


def not_there(remote: Remote, digest: str) -> Fault:
    """That a remote does not have an object."""
    return Fault(
        f"{digest} is not in remote `{remote.name}` ({remote.url})",
        hint="push it from where it was made, or run what makes it again",
    )


def wrong(remote: Remote, digest: str) -> Fault:
    """That a remote has an object with wrong bytes."""
    return Fault(
        f"{digest} in remote `{remote.name}` holds other bytes than its name says",
        hint=f"delete {remote.shown(digest)}, then push it again from where its bytes are right",
    )


def _raise(faults: Iterable[Fault]) -> None:
    if found := first_of(list(faults)):
        raise StoreError(*found)


def first_of(faults: Sequence[Fault]) -> list[Fault]:
    """As many as a person reads, and how many more there are."""
    rest = len(faults) - _SHOWN
    more = [Fault(f"and {rest} more like these")] if rest > 0 else []
    return [*faults[:_SHOWN], *more]
