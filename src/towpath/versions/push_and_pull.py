"""Bytes, what need not be done again, and versions: to where others find them, and from there."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.dvc import byte_transfer as stores
from towpath.backends.dvc import tracked_files
from towpath.backends.git import remotes
from towpath.config.foreign_values import is_md5
from towpath.credentials import hide_credentials
from towpath.errors import RegistryError, UsageError, UserError
from towpath.registry import RegisteredVersion, UnpublishedTags, shared_registry
from towpath.versions import work_tree_files

if TYPE_CHECKING:
    from towpath.workspace import Workspace

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TransferResult:
    """What came or went: objects and entries of the store, versions of the registry.

    ``store`` and ``origin`` name the store's and the registry's remote, None where there is none;
    a shared registry is named by its address. ``left`` are the paths of data and outputs that were
    changed here, so that a pull did not touch them; ``failure`` says what did not go.
    """

    store: str | None
    origin: str | None
    objects: int = 0
    entries: int = 0
    versions: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    failure: RegistryError | None = None

    def complete(self) -> None:
        """Raise ``RegistryError`` where something did not go, after what did was said."""
        if self.failure:
            raise self.failure


def push_project(
    workspace: Workspace, remote: str | None = None, progress: Progress | None = None
) -> TransferResult:
    """Push bytes, then entries, then versions, which get their numbers: each rests on the former.

    Raises UsageError where there is no remote at all, StoreError or RegistryError where one takes
    nothing. A version whose bytes are not there, too, is published with a warning.
    """
    store, origin = _find_remotes(workspace, remote)
    objects = entries = 0
    if store:
        # With the bytes go those that versions name: they can be made again where their data is.
        recorded = _recorded_digests(workspace)
        sent = stores.push_objects(
            workspace.root, remote=remote, progress=progress, beside=recorded
        )
        objects, entries = sent.objects, sent.entries
    if not origin:
        return TransferResult(store, origin, objects, entries)
    failure: UnpublishedTags | None = None
    try:
        published = registry.publish_registry(workspace.registry)
    except UnpublishedTags as some:  # what did go is told before it is raised
        published, failure = some.published, some
    _warn_of_bytes(workspace, store, published)
    named = tuple(str(version) for version in published if version.new)
    address = workspace.shared_registry
    # What was approved in the clone of a shared registry nobody else pushes.
    if address and not failure and shared_registry.push_main(workspace.registry, address):
        named = (*named, "what was approved here")
    return TransferResult(store, origin, objects, entries, named, failure=failure)


def _recorded_digests(workspace: Workspace) -> list[str]:
    try:
        models = registry.read_models(workspace.registry_at_hand).values()
    except (UserError, RegistryError):
        # bytes go all the same; who publishes versions says what is wrong
        return []
    summaries = [version.summary for m in models for version in (*m.versions, *m.candidates)]
    named = (
        digest
        for summary in summaries
        for digest in (summary.get("md5"), *summary.get("data", {}).values())
    )
    # A tag's message is anybody's text: what is no digest is not asked for.
    return [digest for digest in named if isinstance(digest, str) and is_md5(digest)]


def _warn_of_bytes(
    workspace: Workspace, store: str | None, published: tuple[RegisteredVersion, ...]
) -> None:
    # A rejection has no bytes.
    fresh = [version for version in published if version.new and version.key]
    bytes_of = {str(version): _version_digest(workspace, version) for version in fresh}
    digests = [digest for digest in bytes_of.values() if digest]
    gone = set(
        stores.missing_on_remote(workspace.root, digests, store) if store and digests else digests
    )
    names = [name for name, digest in bytes_of.items() if digest in gone]
    if not names:
        return
    where = f"are not on {store}" if store else "are on this machine alone: there is no DVC remote"
    then = "make them again with towpath run" if store else "dvc remote add -d NAME URL"
    words = "the bytes of %s %s; nobody else can use what was published (%s, then towpath push)"
    logging.getLogger("towpath.store").warning(words, ", ".join(names), where, then)


def _version_digest(workspace: Workspace, one: RegisteredVersion) -> str | None:
    model = registry.known_model(workspace.registry_at_hand, one.model)
    version = model.find_number(one.version) if one.version else None
    digest = version.summary.get("md5") if version else None
    return digest if isinstance(digest, str) and is_md5(digest) else None


def pull_project(
    workspace: Workspace, remote: str | None = None, progress: Progress | None = None
) -> TransferResult:
    """Bring versions, then bytes and entries; tracked data and outputs are put where they
    belong."""
    # What came whole is put there also where the rest is a StoreError.
    store, origin = _find_remotes(workspace, remote)
    named = fetch_registry_tags(workspace).versions if origin else ()
    if store is None:
        return TransferResult(store, origin, versions=named)
    left: tuple[str, ...] = ()
    try:
        moved = stores.fetch_objects(workspace.root, remote=remote, progress=progress)
    finally:
        left = _place_in_tree(workspace)
    return TransferResult(store, origin, moved.objects, moved.entries, named, left)


def _place_in_tree(workspace: Workspace) -> tuple[str, ...]:
    """Put what came into the work tree, and note which outputs are those of a run."""
    with work_tree_files.hold_worktree(workspace):
        was_committed = partial(_was_committed, workspace)
        left = tracked_files.place_tracked_data(workspace.root, was_committed, _in_git(workspace))
        by_pipeline: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for output in tracked_files.locked_outputs(workspace.root):
            if output.pipeline:
                by_pipeline[output.pipeline][output.path] = output.digest
        for pipeline, outputs in by_pipeline.items():
            work_tree_files.adopt_outputs(workspace, pipeline, outputs)
    return left


def _in_git(workspace: Workspace) -> frozenset[str]:
    """The files of the project that Git holds, from the project's root."""
    if workspace.repository is None:
        return frozenset()
    below = f"{workspace.folder}/" if workspace.folder else ""
    listed = workspace.repository.call(
        "ls-files", "-z", "--full-name", "--", f":(top,literal){below}"
    )
    return frozenset(path.removeprefix(below) for path in listed.split("\0") if path)


def _was_committed(workspace: Workspace, pointer: Path, digest: str) -> bool:
    """Whether a pointer named a digest in any commit; without Git nobody can tell."""
    if workspace.repository is None:
        return True
    words = ("log", "--all", "--reflog", "-1", "--format=%H", "--no-textconv", f"-S{digest}")
    return bool(workspace.repository.attempt_git(*words, "--", str(pointer)).text)


def fetch_registry_tags(workspace: Workspace) -> TransferResult:
    """Bring the registry's tags, which a plain `git pull` leaves behind."""
    origin = _registry_remote(workspace)
    if origin is None:
        raise UsageError("the repository has no remote", hint="git remote add origin URL")
    fetched = registry.fetch_registry(workspace.registry_at_hand)
    return TransferResult(None, origin, versions=fetched.tags)


def _find_remotes(workspace: Workspace, remote: str | None) -> tuple[str | None, str | None]:
    if workspace.repository is None:
        raise UsageError("this project is in no Git repository", hint="git init, and commit")
    store = remote or stores.default_remote_of(workspace.root)
    origin = _registry_remote(workspace)
    if store is None and origin is None:
        hint = "dvc remote add -d NAME URL for bytes, git remote add origin URL for versions"
        raise UsageError("neither the store nor the repository has a remote", hint=hint)
    return store, origin


def _registry_remote(workspace: Workspace) -> str | None:
    """Where versions are pushed to and fetched from, as a person calls it."""
    if workspace.shared_registry:
        return hide_credentials(workspace.shared_registry)
    return remotes.choose_remote(workspace.repository) if workspace.repository else None
