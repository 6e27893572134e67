"""Bytes from a remote: what comes whole stays, and of the rest it is known what wanted it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from towpath.errors import Fault, StoreError
from towpath.store.digest import is_folder
from towpath.store.local import Store
from towpath.store.remote.door import Remote, speaking
from towpath.store.remote.transfer import (
    Progress,
    batches,
    first_of,
    manifest_of,
    members_of,
    not_there,
    wrong,
)


@dataclass(frozen=True)
class Arrival:
    """What came: how many objects, and for each file or folder that is not whole the faults."""

    objects: int = 0
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)

    def is_whole(self, digests: Iterable[str]) -> bool:
        """Whether all of these came, or were here."""
        return self.faults.keys().isdisjoint(digests)

    def settle(self, named: Iterable[str]) -> None:
        """Raise, with every fault, for what is not whole of these; warn of what else is not."""
        asked = set(named)
        serious = _distinct(f for d, faults in self.faults.items() if d in asked for f in faults)
        others = _distinct(f for faults in self.faults.values() for f in faults)
        for fault in first_of([fault for fault in others if fault not in serious]):
            _warn(f"{fault}: what is remembered of it is left there")
        if serious:
            raise StoreError(*first_of(serious))


def download(store: Store, remote: Remote, digests: Iterable[str], progress: Progress) -> Arrival:
    """Bring files and folders to this store.

    Nothing is given its name before its bytes were hashed. One that is missing there, or has wrong
    bytes there, keeps no other from coming.
    """
    with speaking(remote.name, remote.url):
        wanted = tuple(dict.fromkeys(digests))
        faults: dict[str, Fault] = {}
        manifests: dict[str, bytes] = {}
        members: dict[str, dict[str, str]] = {}
        for digest, content, held in _manifests(store, remote, wanted, faults):
            manifests[digest], members[digest] = content, held
        files = [d for d in wanted if not is_folder(d)]
        files += [each for held in members.values() for each in held.values()]
        absent = store.objects.unverified(dict.fromkeys(files))
        done = 0
        for batch in batches(absent, remote):
            faults |= _receive(store, remote, batch)
            done += len(batch)
            progress(done, len(absent))
        new = 0
        for digest, content in manifests.items():
            # A manifest that is here speaks, to stock DVC, for files that are here too.
            if faults.keys().isdisjoint(members[digest].values()):
                new += not store.objects.is_whole(digest)
                store.objects.add_bytes(content, digest)
        came = new + sum(digest not in faults for digest in absent)
    return Arrival(came, dict(_by_wanted(wanted, members, faults)))


def _manifests(
    store: Store, remote: Remote, digests: Iterable[str], faults: dict[str, Fault]
) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """The folders' manifests and what they name, from here or from there; a fault for each that
    neither has, and for each that is none."""
    for digest in filter(is_folder, digests):
        try:
            content = store.objects.read(digest) or manifest_of(remote, digest)
            yield digest, content, members_of(digest, content)
        except StoreError as error:
            faults[digest] = error.faults[0]


def _receive(store: Store, remote: Remote, digests: list[str]) -> dict[str, Fault]:
    """Bring some files; the faults of those that did not come."""
    sizes = remote.sizes([remote.path(digest) for digest in digests])
    gone = [digest for digest, size in zip(digests, sizes, strict=True) if size is None]
    scratch = {d: store.objects.incoming.path() for d in digests if d not in set(gone)}
    try:
        remote.get({remote.path(digest): str(path) for digest, path in scratch.items()})
        broken = [d for d, path in scratch.items() if not store.objects.adopt(path, d)]
    finally:
        for path in scratch.values():
            path.unlink(missing_ok=True)
    return {
        **{digest: not_there(remote, digest) for digest in gone},
        **{digest: wrong(remote, digest) for digest in broken},
    }


def _by_wanted(
    wanted: Iterable[str], members: Mapping[str, Mapping[str, str]], faults: Mapping[str, Fault]
) -> Iterator[tuple[str, tuple[Fault, ...]]]:
    for digest in wanted:
        objects = dict.fromkeys((digest, *members.get(digest, {}).values()))
        if found := tuple(faults[each] for each in objects if each in faults):
            yield digest, found


def _distinct(faults: Iterable[Fault]) -> list[Fault]:
    return list(dict.fromkeys(faults))


def _warn(message: str) -> None:
    import logging

    logging.getLogger("towpath.store").warning("%s", message)
