"""Bytes, what need not be done again, and versions: to where others find them, and from there."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import registry
from towpath.backends.dvc import byte_transfer as stores
from towpath.backends.dvc import tracked_files
from towpath.backends.dvc.byte_transfer import PartlyMoved
from towpath.backends.git import remotes
from towpath.config.foreign_values import is_md5
from towpath.credentials import hide_credentials
from towpath.errors import Fault, RegistryError, StoreError, TowpathError, UsageError, UserError
from towpath.registry import RegisteredVersion, UnpublishedTags, shared_registry
from towpath.versions import work_tree_files

if TYPE_CHECKING:
    from towpath.workspace import Workspace

Progress = Callable[[int, int], None]


class TransferResult(Struct, frozen=True):
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
    failure: TowpathError | None = None

    def complete(self) -> None:
        """Raise ``TowpathError`` where something did not go, after what did was said."""
        if self.failure:
            raise self.failure


def push_project(
    workspace: Workspace, remote: str | None = None, progress: Progress | None = None
) -> TransferResult:
    """Push bytes, then entries, then versions, which get their numbers: each rests on the former.

    Raises UsageError where there is no remote at all, StoreError where the store's takes nothing;
    what does not go after something went is the result's ``failure``. A version whose bytes are
    not there, too, is published with a warning.
    """
    store, origin = _find_remotes(workspace, remote)
    objects = entries = 0
    if store:
        # With the bytes go those that versions name: they can be made again where their data is.
        beside = _recorded_digests(workspace)
        try:
            sent = stores.push_objects(
                workspace.root, remote=remote, progress=progress, beside=beside
            )
        except PartlyMoved as partly:
            return TransferResult(store, origin, partly.moved.objects, failure=partly)
        objects, entries = sent.objects, sent.entries
    if not origin:
        return TransferResult(store, origin, objects, entries)
    published, failure = _publish_versions(workspace)
    _warn_of_bytes(workspace, store, published)
    versions = tuple(str(version) for version in published if version.new)
    try:
        # What was approved in the clone of a shared registry nobody else pushes.
        if not failure and (address := workspace.shared_registry):
            pushed = shared_registry.push_main(workspace.registry, address)
            versions += ("what was approved here",) if pushed else ()
    except RegistryError as refused:
        failure = refused
    return TransferResult(store, origin, objects, entries, versions, failure=failure)


def _publish_versions(
    workspace: Workspace,
) -> tuple[tuple[RegisteredVersion, ...], TowpathError | None]:
    """The versions that are published now, and what was in the way of the others."""
    try:
        return registry.publish_registry(workspace.registry), None
    except UnpublishedTags as some:
        return some.published, some
    except TowpathError as refused:
        return (), refused


def _recorded_digests(workspace: Workspace) -> list[str]:
    """What the tags of all versions name: their bytes and their data."""
    try:
        models = registry.read_models(workspace.registry_at_hand)
    except (UserError, RegistryError):
        return []  # bytes go all the same; who publishes versions says what is wrong
    summaries = [v.summary for model in models.values() for v in model.newest_first]
    claimed = (
        digest
        for s in summaries
        for digest in (s.get("md5"), *s.get("beside", {}).values(), *s.get("data", {}).values())
    )
    # A tag's message is anybody's text: what is no digest is not asked for.
    return [digest for digest in claimed if isinstance(digest, str) and is_md5(digest)]


def _published_digests(
    workspace: Workspace, published: Iterable[RegisteredVersion]
) -> dict[str, str]:
    digests: dict[str, str] = {}
    # A rejection has no bytes.
    for fresh in (version for version in published if version.new and version.key):
        model = registry.known_model(workspace.registry_at_hand, fresh.model)
        version = model.find_number(fresh.version) if fresh.version else None
        summary = version.summary if version else {}
        beside = {f"`{name}` beside {fresh}": d for name, d in summary.get("beside", {}).items()}
        for name, digest in {str(fresh): summary.get("md5"), **beside}.items():
            if isinstance(digest, str) and is_md5(digest):
                digests[name] = digest
    return digests


def _warn_of_bytes(
    workspace: Workspace, store: str | None, published: tuple[RegisteredVersion, ...]
) -> None:
    bytes_of = _published_digests(workspace, published)
    missing = digests = list(bytes_of.values())
    if store and digests:
        try:
            missing = stores.missing_on_remote(workspace.root, digests, store)
        except StoreError as silent:  # what was published is told all the same
            doubt = "whether %s has the bytes of what was published is not known: %s"
            logging.getLogger("towpath.store").warning(doubt, store, silent.faults[0].what)
            return
    bereft = [name for name, digest in bytes_of.items() if digest in missing]
    if not bereft:
        return
    where = f"are not on {store}" if store else "are on this machine alone: there is no DVC remote"
    remedy = "make them again with towpath run" if store else "dvc remote add -d NAME URL"
    warning = "the bytes of %s %s; nobody else can use what was published (%s, then towpath push)"
    logging.getLogger("towpath.store").warning(warning, ", ".join(bereft), where, remedy)


def pull_project(
    workspace: Workspace, remote: str | None = None, progress: Progress | None = None
) -> TransferResult:
    """Bring versions, then bytes and entries; tracked data and outputs are put where they
    belong."""
    store, origin = _find_remotes(workspace, remote)
    versions = fetch_registry_tags(workspace).versions if origin else ()
    if store is None:
        return TransferResult(store, origin, versions=versions)
    moved, faults = stores.MovedObjects(), list[Fault]()
    left: tuple[str, ...] = ()
    try:
        moved = stores.fetch_objects(workspace.root, remote=remote, progress=progress)
    except StoreError as refused:
        faults += refused.faults
        moved = refused.moved if isinstance(refused, PartlyMoved) else moved
    try:  # what came whole is put there also where the rest did not come
        left = _place_in_tree(workspace)
    except StoreError as misplaced:
        faults += misplaced.faults
    failure = StoreError(*faults) if faults else None
    return TransferResult(store, origin, moved.objects, moved.entries, versions, left, failure)


def _place_in_tree(workspace: Workspace) -> tuple[str, ...]:
    """Put what came into the work tree, and note which outputs are those of a run."""
    repository, in_git = workspace.repository, frozenset[str]()
    if repository:
        below = f"{workspace.folder}/" if workspace.folder else ""
        words = ("ls-files", "-z", "--full-name", "--", f":(top,literal){below}")
        listed = repository.call(*words).split("\0")
        in_git = frozenset(path.removeprefix(below) for path in listed if path)

    def was_committed(pointer: Path, digest: str) -> bool:
        if repository is None:
            return True  # without Git nobody can tell
        words = ("log", "--all", "--reflog", "-1", "--format=%H", "--no-textconv", f"-S{digest}")
        return bool(repository.attempt_git(*words, "--", str(pointer)).text)

    with work_tree_files.hold_worktree(workspace):
        left = tracked_files.place_tracked_data(workspace.root, was_committed, in_git)
        by_pipeline: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for output in tracked_files.locked_outputs(workspace.root):
            if output.pipeline:
                by_pipeline[output.pipeline][output.path] = output.digest
        for pipeline, outputs in by_pipeline.items():
            work_tree_files.adopt_outputs(workspace, pipeline, outputs)
    return left


def fetch_registry_tags(workspace: Workspace) -> TransferResult:
    """Bring the registry's tags, which a plain `git pull` leaves behind."""
    origin = _registry_remote(workspace)
    if origin is None:
        raise UsageError("the repository has no remote", hint="git remote add origin URL")
    tags = registry.fetch_registry(workspace.registry_at_hand)
    return TransferResult(None, origin, versions=tags)


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
    if workspace.shared_registry:
        return hide_credentials(workspace.shared_registry)
    return remotes.choose_remote(workspace.repository) if workspace.repository else None
