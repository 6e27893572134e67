"""Bytes, and the entries that speak of them, to and from the project's remotes.

DVC's own transfer is not used: it takes a folder whose manifest has arrived for one that is whole,
and says nothing of objects that it drops because their bytes are wrong. Here nothing is given its
name before its bytes were hashed, and what was sent is read again where it arrived.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

from msgspec import Struct

from towpath.backends.dvc import dvc_yaml, tracked_files
from towpath.backends.dvc.dvc_cache import Store
from towpath.backends.dvc.dvc_config import load_config
from towpath.backends.dvc.dvc_remotes import Remote, open_remote
from towpath.config.artifact import CacheEntry
from towpath.config.foreign_values import is_md5
from towpath.errors import Fault, Malformed, StoreError
from towpath.storage.cache_entries import (
    latest_paths,
    load_entry,
    load_last,
    relative_entry_path,
    relative_last_path,
)
from towpath.storage.copy_files import hash_bytes
from towpath.storage.storage_backend import map_in_threads, object_path
from towpath.storage.verified_bytes import (
    FOLDER,
    hash_object,
    is_folder_digest,
    read_manifest,
)

Progress = Callable[[int, int], None]  # Told how many objects are done, of how many.

_ENTRIES = "towpath/entries"
_LAST = "towpath/last"
_INPUT = "input "
_SHOWN = 20


class MovedObjects(Struct, frozen=True):
    """What a transfer did: how many objects and entries it moved; the rest was there already."""

    objects: int = 0
    entries: int = 0


class PartlyMoved(StoreError):
    """Some of it did not come or go whole; ``moved`` is what did."""

    def __init__(self, moved: MovedObjects, faults: Sequence[Fault]) -> None:
        super().__init__(*_first_of(faults))
        self.moved = moved


def default_remote_of(root: Path) -> str | None:
    return load_config(Store(root).layout.dvc).default_name()


def missing_on_remote(root: Path, digests: Sequence[str], remote: str | None = None) -> list[str]:
    """Those of these objects that a remote does not have. Their bytes are not read."""
    opened_remote = open_remote(Store(root).layout, remote)
    with opened_remote.name_faults():
        return opened_remote.absent_objects(digests)


def push_objects(
    root: Path,
    digests: Iterable[str] | None = None,
    remote: str | None = None,
    progress: Progress | None = None,
    beside: Iterable[str] = (),
) -> MovedObjects:
    """Bring bytes, then the entries that speak of them, to a remote. Without ``digests`` it is all
    that the project names: tracked data, and what `dvc.lock` and the entries say. What the entries
    were made from goes along, and what ``beside`` names, where it is here. Raises StoreError, with
    every fault, for bytes that are neither here nor there, PartlyMoved where some did not arrive
    whole."""
    store = Store(root)
    opened_remote = open_remote(store.layout, remote)
    optional = [*beside]
    entries: list[CacheEntry] = []
    last_made: list[CacheEntry] = []
    if digests is None:
        last_made = [*_whole_entries(store, store.last_made.all())]
        entries = [*_whole_entries(store, store.cached_entries.all())]
        inputs = [pair for entry in entries for pair in entry.ingredients.items()]
        optional += [value for label, value in inputs if label.startswith(_INPUT) and is_md5(value)]
        optional += _named_by_project(root, is_strict=True)
    held = [digest for digest in dict.fromkeys(optional) if store.has(digest)]
    spoken = (d for entry in (*entries, *last_made) for d in _output_digests(entry))
    needed = [*(digests or ()), *held, *spoken]
    with opened_remote.name_faults():
        count = _upload_objects(store, opened_remote, needed, progress)
        files = dict(_entry_files(store, entries, last_made))
        absent = opened_remote.absent_files(list(files))
        for path in absent:
            opened_remote.upload_file(files[path], path)
        return MovedObjects(count, len(absent))


def _whole_entries(store: Store, entries: Iterable[CacheEntry]) -> Iterator[CacheEntry]:
    """Those whose bytes are all here."""
    return (entry for entry in entries if not store.missing(_output_digests(entry)))


def _entry_files(
    store: Store, entries: Iterable[CacheEntry], last_made: Iterable[CacheEntry]
) -> Iterator[tuple[str, Path]]:
    """The path of each entry on a remote, and its file here."""
    for entry in entries:
        key, writer = entry.key, entry.writer
        yield (
            f"{_ENTRIES}/{relative_entry_path(key, writer)}",
            store.cached_entries.path(key, writer),
        )
    for entry in last_made:
        yield f"{_LAST}/{relative_last_path(entry)}", store.last_made.path(entry)


def fetch_objects(
    root: Path,
    digests: Iterable[str] | None = None,
    remote: str | None = None,
    progress: Progress | None = None,
) -> MovedObjects:
    """Bring bytes, then the entries that speak of them, from a remote to this store. Then raises
    PartlyMoved, with every fault, for what the remote does not have or holds with wrong bytes; what
    only entries speak of is a warning, since those entries are left there."""
    store = Store(root)
    opened_remote = open_remote(store.layout, remote)
    with opened_remote.name_faults():
        entries = _entries_of(opened_remote) if digests is None else []
        last_made = _last_made_of(opened_remote) if digests is None else []
        named = _reachable_digests(root, store, opened_remote) if digests is None else [*digests]
        spoken = (d for entry in (*entries, *last_made) for d in _output_digests(entry))
        needed = [*named, *spoken]
        objects, lacking = _download_objects(store, opened_remote, needed, progress)
    # After their bytes: an entry that is here speaks for bytes that are here.
    moved = MovedObjects(objects, _keep_whole_entries(store, entries, last_made, lacking))
    if faults := _sort_out_lacking(lacking, named):
        raise PartlyMoved(moved, faults)
    return moved


def _keep_whole_entries(
    store: Store,
    entries: Iterable[CacheEntry],
    last_made: Iterable[CacheEntry],
    lacking: Mapping[str, Sequence[Fault]],
) -> int:
    """Keep those that are new here and whose bytes all came; how many those are."""
    whole = [entry for entry in entries if lacking.keys().isdisjoint(_output_digests(entry))]
    new = [e for e in whole if e not in list(store.entries(e.key, (e.writer,)))]
    for entry in new:
        store.remember(entry)
    came = [e for e in last_made if lacking.keys().isdisjoint(_output_digests(e))]
    latest = [entry for entry in came if not store.last_made.path(entry).exists()]
    for entry in latest:
        store.last_made.write(entry)
    return len(new) + len(latest)


def _sort_out_lacking(lacking: Mapping[str, Sequence[Fault]], named: Iterable[str]) -> list[Fault]:
    """The faults of what was ``named``; of the others that lack it warns."""
    serious = list(dict.fromkeys(fault for digest in named for fault in lacking.get(digest, ())))
    others = dict.fromkeys(chain.from_iterable(lacking.values()))
    for fault in _first_of([fault for fault in others if fault not in serious]):
        text = f"{fault}: what is remembered of it is left there"
        logging.getLogger("towpath.store").warning("%s", text)
    return serious


def _named_by_project(root: Path, is_strict: bool = False) -> list[str]:
    """The digests that a project's files name: tracked data, and what `dvc.lock` says was made."""
    # Pointers that cannot be followed are left out, for who places data says what is wrong with
    # them; where ``is_strict`` they are a StoreError.
    survey = tracked_files.survey_pointers(root)
    if is_strict and survey.faults:
        raise StoreError(*survey.faults)
    pointers = survey.pointers
    return [*(pointer.artifact.digest for pointer in pointers), *dvc_yaml.made_digests(root)]


def _reachable_digests(root: Path, store: Store, there: Remote) -> list[str]:
    # Of the user's own stages that is what is there: DVC need not have stored what they made.
    others = [digest for digest in dvc_yaml.made_digests(root, ours=False) if not store.has(digest)]
    gone = set(there.absent_objects(others))
    return [digest for digest in _named_by_project(root) if digest not in gone]


def _upload_objects(
    store: Store, there: Remote, digests: Iterable[str], progress: Progress | None
) -> int:
    """Bring files and folders to a remote; how many objects were not there whole by their size."""
    needed = _with_members(store, there, digests)
    sizes = there.file_sizes([object_path(digest) for digest in needed])
    absent = [
        digest
        for digest, size in zip(needed, sizes, strict=True)
        if size is None or _has_other_size(store, digest, size)
    ]
    _raise_faults(
        Fault(f"the bytes of {digest} are neither here nor there", hint="run what makes them again")
        for digest in store.objects.find_unverified(absent)
    )

    def send(digest: str) -> Fault | None:
        path = object_path(digest)
        there.upload_file(store.path(digest), path)
        # A mode that says: whole. Stock DVC hashes again what is writable.
        there.protect_object(digest)
        # Read again where it arrived: a server that garbles bytes says all the same that it did it.
        if hash_object(there, digest)[0] == digest.removesuffix(FOLDER):
            return None
        there.remove_file(path)
        what = f"{digest} arrived at remote `{there.name}` with wrong bytes, and was removed there"
        return Fault(what, hint="push again")

    moved_count = 0
    # No manifest goes unless every file did: one that is there speaks for its files.
    for phase in (False, True):
        some = [digest for digest in absent if is_folder_digest(digest) is phase]
        sent = _move_each(send, some, there, progress, moved_count, len(absent))
        moved_count += len(some)
        if faults := list(filter(None, sent)):
            raise PartlyMoved(MovedObjects(moved_count - len(faults)), faults)
    return len(absent)


def _move_each(
    work: Callable[[str], Fault | None],
    digests: Sequence[str],
    there: Remote,
    progress: Progress | None,
    done: int,
    total: int,
) -> list[Fault | None]:
    faults: list[Fault | None] = []
    # As many as `jobs` of its section says, else as DVC holds good for a remote of its kind.
    with ThreadPoolExecutor(there.jobs) as pool:
        for fault in pool.map(work, digests):
            faults.append(fault)
            if progress:
                progress(done + len(faults), total)
    return faults


def _with_members(store: Store, there: Remote, digests: Iterable[str]) -> list[str]:
    objects: dict[str, None] = {}
    for digest in dict.fromkeys(digests):
        objects[digest] = None
        if is_folder_digest(digest):
            objects |= dict.fromkeys(_read_folder(store, there, digest)[1].values())
    return list(objects)


def _read_folders(
    store: Store, there: Remote, digests: Iterable[str]
) -> tuple[dict[str, tuple[bytes, dict[str, str]]], dict[str, Fault]]:
    """Each folder's manifest and members, or what is wrong with it."""
    folders: dict[str, tuple[bytes, dict[str, str]]] = {}
    faults: dict[str, Fault] = {}
    for digest in digests:
        try:
            folders[digest] = _read_folder(store, there, digest)
        except StoreError as error:  # one bad manifest keeps no other folder from coming
            faults[digest] = error.faults[0]
    return folders, faults


def _download_objects(
    store: Store, there: Remote, digests: Iterable[str], progress: Progress | None
) -> tuple[int, Mapping[str, Sequence[Fault]]]:
    """Bring files and folders here: how many objects came, and for each file or folder that is
    not whole the faults. One that is missing or wrong there keeps no other from coming."""
    digest_list = tuple(dict.fromkeys(digests))
    folders, faults = _read_folders(store, there, filter(is_folder_digest, digest_list))
    members = {digest: held for digest, (_, held) in folders.items()}
    files = [digest for digest in digest_list if not is_folder_digest(digest)]
    files += [digest for held in members.values() for digest in held.values()]
    absent = store.objects.find_unverified(dict.fromkeys(files))
    receive = partial(_download_file, store, there)
    received = _move_each(receive, absent, there, progress, 0, len(absent))
    faults |= {d: fault for d, fault in zip(absent, received, strict=True) if fault}
    count = len(absent) - len(faults.keys() & set(absent))
    for digest, (content, _) in folders.items():
        # A manifest that is here speaks, to stock DVC, for files that are here too.
        if faults.keys().isdisjoint(members[digest].values()):
            count += not store.objects.is_whole(digest)
            store.objects.add_bytes(content, digest)
    parts = {digest: (digest, *members.get(digest, {}).values()) for digest in digest_list}
    lacking = {
        digest: [faults[part] for part in dict.fromkeys(objects) if part in faults]
        for digest, objects in parts.items()
    }
    return count, {digest: some for digest, some in lacking.items() if some}


def _download_file(store: Store, there: Remote, digest: str) -> Fault | None:
    scratch = store.objects.scratch_path()
    try:
        there.download_file(object_path(digest), scratch)
        return None if store.objects.adopt_file(scratch, digest) else _wrong_fault(there, digest)
    except FileNotFoundError:
        return _not_there(there, digest)
    finally:
        scratch.unlink(missing_ok=True)


def _read_folder(store: Store, there: Remote, digest: str) -> tuple[bytes, dict[str, str]]:
    """A folder's manifest, from here or there, and its members; StoreError where it is missing or
    wrong there."""
    content = store.objects.read(digest)
    if content is None:
        content = there.read(object_path(digest))
        if content is None:
            raise StoreError(_not_there(there, digest))
        if hash_bytes(content) + FOLDER != digest:
            raise StoreError(_wrong_fault(there, digest))
    try:
        return content, read_manifest(content)
    except Malformed as malformed:
        what = f"the manifest {digest} is none: {malformed.faults[0].what}"
        hint = "whoever made it made it by hand: nothing of it is used"
        raise StoreError(what, hint=hint) from malformed


def _has_other_size(store: Store, digest: str, size: int) -> bool:
    """Whether the bytes there, whose size is known, are not as many as those here."""
    path = store.path(digest)
    return size >= 0 and path.exists() and path.stat().st_size != size


def _entries_of(there: Remote) -> list[CacheEntry]:
    """The entries of a remote whose bytes are there too: those of others are misses."""
    contents = map_in_threads(there.read, there.files_under(_ENTRIES), there.jobs)
    return _with_bytes(
        there, [entry for content in contents if content and (entry := load_entry(content))]
    )


def _last_made_of(there: Remote) -> list[CacheEntry]:
    """The same of what was made last: by the latest runs of each pipeline."""
    below = [path.removeprefix(f"{_LAST}/") for path in there.files_under(_LAST)]
    paths = latest_paths(below)
    contents = map_in_threads(lambda path: there.read(f"{_LAST}/{path}"), paths, there.jobs)
    pairs = zip(paths, contents, strict=True)
    return _with_bytes(
        there, [entry for path, text in pairs if text and (entry := load_last(path, text))]
    )


def _with_bytes(there: Remote, sound: list[CacheEntry]) -> list[CacheEntry]:
    spoken = list(dict.fromkeys(digest for entry in sound for digest in _output_digests(entry)))
    gone = set(there.absent_objects(spoken))
    return [entry for entry in sound if gone.isdisjoint(_output_digests(entry))]


def _output_digests(entry: CacheEntry) -> list[str]:
    return [artifact.digest for artifact in entry.result.outputs.values()]


def _not_there(there: Remote, digest: str) -> Fault:
    hint = "push it from where it was made, or run what makes it again"
    return Fault(f"{digest} is not in {there.shown}", hint=hint)


def _wrong_fault(there: Remote, digest: str) -> Fault:
    what = f"{digest} in remote `{there.name}` holds other bytes than its name says"
    again = "then push it again from where its bytes are right"
    return Fault(what, hint=f"delete {there.object_address(digest)}, {again}")


def _raise_faults(faults: Iterable[Fault]) -> None:
    if some := _first_of(list(faults)):
        raise StoreError(*some)


def _first_of(faults: Sequence[Fault]) -> list[Fault]:
    """As many as a person reads, and how many more there are."""
    rest = len(faults) - _SHOWN
    more = [Fault(f"and {rest} more like these")] if rest > 0 else []
    return [*faults[:_SHOWN], *more]
