"""Bytes, what need not be done again, and versions: to where others find them, and from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath import registry
from towpath.errors import UsageError
from towpath.git import clones, remotes
from towpath.registry import shared
from towpath.store import remote as stores

if TYPE_CHECKING:
    from towpath.workspace import Workspace

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Moved:
    """What came or went: objects and entries of the store, versions of the registry.

    ``store`` and ``origin`` name the store's and the registry's remote, None where there is none;
    a shared registry is named by its address.
    """

    store: str | None
    origin: str | None
    objects: int = 0
    entries: int = 0
    versions: tuple[str, ...] = ()


def push(
    workspace: Workspace, remote: str | None = None, progress: Progress | None = None
) -> Moved:
    """Push bytes, then entries, then versions, which get their numbers: each rests on the former.

    Errors: UsageError where there is no remote at all, StoreError or RegistryError where one
    does not take what it is sent.
    """
    store, origin = _ends(workspace, remote)
    moved = stores.push(workspace.root, remote=remote, progress=progress) if store else None
    named = _publish(workspace) if origin else ()
    return Moved(store, origin, *((moved.objects, moved.entries) if moved else (0, 0)), named)


def _publish(workspace: Workspace) -> tuple[str, ...]:
    """Push versions, and what was approved in the clone of a shared registry, which nobody else
    pushes; the names of what is new there."""
    done = registry.publish(workspace.registry)
    named = tuple(str(version) for version in done if version.new)
    address = workspace.shared_registry
    if address and shared.push_main(workspace.registry, address):
        return (*named, "what was approved here")
    return named


def pull(
    workspace: Workspace, remote: str | None = None, progress: Progress | None = None
) -> Moved:
    """Bring versions, then bytes and entries; tracked data is put where it belongs."""
    store, origin = _ends(workspace, remote)
    named = fetch(workspace).versions if origin else ()
    moved = stores.pull(workspace.root, remote=remote, progress=progress) if store else None
    return Moved(store, origin, *((moved.objects, moved.entries) if moved else (0, 0)), named)


def fetch(workspace: Workspace) -> Moved:
    """Bring the registry's tags, which a plain `git pull` leaves behind."""
    origin = _origin(workspace)
    if origin is None:
        raise UsageError("the repository has no remote", hint="git remote add origin URL")
    found = registry.fetch(workspace.registry_at_hand)
    return Moved(None, origin, versions=found.tags)


def _ends(workspace: Workspace, remote: str | None) -> tuple[str | None, str | None]:
    store = remote or stores.default(workspace.root)
    origin = _origin(workspace)
    if store is None and origin is None:
        hint = "dvc remote add -d NAME URL for bytes, git remote add origin URL for versions"
        raise UsageError("neither the store nor the repository has a remote", hint=hint)
    return store, origin


def _origin(workspace: Workspace) -> str | None:
    """Where versions are pushed to and fetched from, as a person calls it."""
    if workspace.shared_registry:
        return clones.shown(workspace.shared_registry)
    return remotes.chosen(workspace.repository) if workspace.repository else None
