"""A commit laid out in a folder beside the work tree: with its submodules, or its code alone.

Git is asked for bytes alone: no hook and no filter of the commit's has a say.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate, groupby
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from towpath.backends.git import refs
from towpath.backends.git.git_command import AS_COMMITTED
from towpath.backends.git.repository import Repository
from towpath.errors import RegistryError, UsageError
from towpath.scratch import scratch_beside, scratch_folder, sweep_beside

GITLINK = "160000"
SET_UP = "git submodule update --init --recursive"
_LINK = "120000"
_FILES = frozenset({"100644", "100755"})
_AT_ONCE = 64 << 20  # bytes that are in memory at a time, but for one large file


class Submodule(Struct, frozen=True):
    """One by its path from the top of the outermost repository, and the commit that is pinned.
    ``folder`` is where this work tree has it; ``repository`` None where it was not set up there."""

    path: str
    commit: str
    folder: Path
    repository: Repository | None


def pinned_submodules(
    repository: Repository, commit: str | None = None, below: str = ""
) -> list[Submodule]:
    """The submodules that a commit pins, or without one the index; without those in them."""
    if commit is None:
        listed = repository.call("ls-files", "-s", "-z")
    else:
        listed = repository.call("ls-tree", "-r", "-z", "--full-tree", commit)
    rows = (row.split("\t", 1) for row in listed.split("\0") if row.startswith(GITLINK))
    submodules = []
    for fields, path in rows:
        folder = repository.root / path
        own = Repository.find_repository(folder) if (folder / ".git").exists() else None
        pinned = fields.split(" ")[1 if commit is None else 2]
        submodules.append(Submodule(f"{below}{path}", pinned, folder, own))
    return submodules


def absent_submodules(repository: Repository, below: str = "") -> Iterator[str]:
    """The paths of those that were not set up in a work tree, nested ones included."""
    for submodule in pinned_submodules(repository, below=below):
        if submodule.repository is None:
            yield submodule.path
        else:
            yield from absent_submodules(submodule.repository, f"{submodule.path}/")


def lay_out(repository: Repository, commit: str, folder: Path) -> None:
    """Put the files of every submodule that ``commit`` pins, nested ones too, into a folder with
    the rest. ``RegistryError`` where one is not set up here, or its remote lacks the commit."""
    for submodule in pinned_submodules(repository, commit):
        place = folder / submodule.path
        source = submodule.repository
        if source is None:
            what = f"the submodule {submodule.path} is not set up in this clone"
            raise RegistryError(what, hint=SET_UP)
        _bring_commit(source, submodule)
        with scratch_folder() as scratch:
            # An index of its own: the submodule's holds what its user has staged.
            env = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
            source.call("read-tree", submodule.commit, env=env)
            source.call(*AS_COMMITTED, "checkout-index", "-aqf", f"--prefix={place}/", env=env)
        lay_out(source, submodule.commit, place)


def _bring_commit(source: Repository, submodule: Submodule) -> None:
    """Have the pinned commit here, from the submodule's own remote where it is not."""
    if source.commit(submodule.commit) is None:
        source.attempt_git("fetch", "--quiet", "--no-tags", "origin", submodule.commit, alone=True)
    if source.commit(submodule.commit) is None:
        what = f"the submodule {submodule.path} has no commit {submodule.commit} here"
        raise RegistryError(what, hint=f"git -C '{source.root}' fetch, with its whole history")


@contextmanager
def laid_out(repository: Repository, commit: str, keep: Path | None = None) -> Iterator[Path]:
    """The files of ``commit``, and of its submodules, in a scratch folder, or in the new folder
    ``keep``, which stays. Raises ``RegistryError`` where this clone does not have a commit."""
    if repository.commit(commit) is None:
        hint = "git fetch the repository of the code, with its whole history"
        raise RegistryError(f"this clone does not have the commit {commit}", hint=hint)
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise UsageError(f"{keep} is there already", hint="name a folder that is not")
        yield _add_work_tree(repository, commit, keep.absolute())
        return
    with scratch_folder() as scratch:
        folder = Path(scratch).resolve() / "tree"
        try:
            yield _add_work_tree(repository, commit, folder)
        finally:
            repository.attempt_git("worktree", "remove", "--force", "--force", str(folder))


def _add_work_tree(repository: Repository, commit: str, folder: Path) -> Path:
    repository.call(*AS_COMMITTED, "worktree", "add", "-q", "--detach", str(folder), commit)
    lay_out(repository, commit, folder)
    return folder


class _Entry(NamedTuple):
    path: str
    mode: str
    blob: str
    size: int


def lay_out_code(repository: Repository, commit: str, below: str, home: Path) -> Path:
    """The folder with the files that ``commit`` has in ``below`` (empty: all of them).
    ``RegistryError`` for a commit that is not here, and for a tree that no folder can hold."""
    # It lies in ``home``, once for each commit, and is made anew where anything in it is not as the
    # tree says. A link is laid out where it stays inside; submodules are left out.
    # What lies there vouches for nothing: each file is held against Git's tree at each call.
    entries = list(_list_entries(repository, commit, below))
    part = f"-{hashlib.sha256(below.encode()).hexdigest()[:8]}" if below else ""
    folder = home / f"{commit}{part}"
    if _is_as(folder, entries):
        return folder
    new_folder = scratch_beside(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
        sweep_beside(home)
        _write_entries(repository, entries, new_folder)
        # The new folder takes the place of what was altered; of two who make it, one wins.
        old = scratch_beside(folder)
        with suppress(FileNotFoundError):
            folder.rename(old)
        try:
            new_folder.rename(folder)
        except OSError:  # another run was quicker: its folder serves if it is right
            if not _is_as(folder, entries):
                raise
        finally:
            if old.is_symlink():
                old.unlink()
            shutil.rmtree(old, ignore_errors=True)
    except OSError as refused:
        what = f"the code of {commit[:7]} cannot be laid out in {folder}: {refused.strerror}"
        raise RegistryError(what) from refused
    finally:
        shutil.rmtree(new_folder, ignore_errors=True)
    return folder


def _list_entries(repository: Repository, commit: str, below: str) -> Iterator[_Entry]:
    prefix = f"{below}/" if below else ""
    words = ("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    listing = repository.attempt_git(*words, *(("--", f"{below}/") if below else ()))
    if listing.code:
        hint = "git fetch the repository of the code, with its whole history"
        raise RegistryError(f"this clone does not have the commit {commit}", hint=hint)
    for row in listing.text.split("\0"):
        facts, _, path = row.partition("\t")
        if not path.startswith(prefix) or not path:
            continue
        mode, _, blob, size = facts.split()
        if {"", ".", ".."}.intersection(path.split("/")) or ".git" in path.lower().split("/"):
            raise RegistryError(f"{commit[:7]} holds {path!r}, which no folder can")
        if mode in _FILES or mode == _LINK:
            yield _Entry(path.removeprefix(prefix), mode, blob, int(size))


def _write_entries(repository: Repository, entries: list[_Entry], folder: Path) -> None:
    folder.mkdir()
    ends = accumulate(entry.size for entry in entries)
    for _, pairs in groupby(zip(entries, ends, strict=True), lambda pair: pair[1] // _AT_ONCE):
        part = [entry for entry, _ in pairs]
        contents = refs.read_contents(repository, {entry.blob for entry in part})
        for entry in part:
            content = contents.get(entry.blob)
            if content is None or _blob_name(content, entry.blob) != entry.blob:
                raise RegistryError(f"this clone does not have {entry.path} ({entry.blob})")
            _write_entry(entry, content, folder / entry.path)


def _write_entry(entry: _Entry, content: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.mode == _LINK:
        if _stays_inside(entry.path, os.fsdecode(content)):
            path.symlink_to(os.fsdecode(content))
        return
    with path.open("xb") as file:  # two entries of one name, as a file system sees it, are refused
        file.write(content)
    path.chmod(0o555 if entry.mode == "100755" else 0o444)


def _stays_inside(path: str, target: str) -> bool:
    """Whether a link leads up by no more folders than it lies in, and then only down."""
    # Where each link does, a way through several of them stays inside too.
    parts = target.split("/")
    upward = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    return not target.startswith("/") and ".." not in parts[upward:] and upward <= path.count("/")


def _is_as(folder: Path, entries: list[_Entry]) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    expected = {entry.path: entry for entry in entries}
    missing = set(expected)
    for path in _walk_paths(folder):
        name = path.relative_to(folder).as_posix()
        entry = expected.get(name)
        if entry is None or not _is_entry(path, entry):
            return False
        missing.discard(name)
    return all(expected[name].mode == _LINK for name in missing)  # those that would lead out


def _walk_paths(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        parent = Path(place)
        yield from (parent / name for name in files)
        yield from (parent / name for name in folders if (parent / name).is_symlink())


def _is_entry(path: Path, entry: _Entry) -> bool:
    if entry.mode == _LINK:
        is_link = path.is_symlink() and _stays_inside(entry.path, str(path.readlink()))
        return is_link and _blob_name(os.fsencode(path.readlink()), entry.blob) == entry.blob
    if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.size:
        return False
    return _blob_name(path.read_bytes(), entry.blob) == entry.blob


def _blob_name(content: bytes, like: str) -> str:
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()
