"""Bytes, what need not be done again, and versions: to where others find them, and from there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath import registry
from towpath.engine import worktree
from towpath.errors import RegistryError, UsageError, UserError
from towpath.git import clones, remotes
from towpath.registry import shared
from towpath.store import locked, placing
from towpath.store import remote as stores
from towpath.store.digest import is_digest

if TYPE_CHECKING:
    from towpath.store.remote.transfer import Moved as Sent
    from towpath.workspace import Workspace

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Moved:
    """What came or went: objects and entries of the store, versions of the registry.

    ``store`` and ``origin`` name the store's and the registry's remote, None where there is none;
    a shared registry is named by its address. ``left`` are the paths of data and outputs that were
    changed here, so that a pull did not touch them.
    """

    store: str | None
    origin: str | None
    objects: int = 0
    entries: int = 0
    versions: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def push(
    workspace: Workspace, remote: str | None = None, progress: Progress | None = None
) -> Moved:
    """Push bytes, then entries, then versions, which get their numbers: each rests on the former.

    Errors: UsageError where there is no remote at all, StoreError or RegistryError where one
    does not take what it is sent.
    """
    store, origin = _ends(workspace, remote)
    moved = _send(workspace, remote, progress) if store else None
    named = _publish(workspace) if origin else ()
    return Moved(store, origin, *((moved.objects, moved.entries) if moved else (0, 0)), named)


def _send(workspace: Workspace, remote: str | None, progress: Progress | None) -> Sent:
    """With the bytes go those that versions name: they can be made again where their data is."""
    recorded = _recorded(workspace)
    return stores.push(workspace.root, remote=remote, progress=progress, beside=recorded)


def _recorded(workspace: Workspace) -> list[str]:
    """The digests of models and data that versions and candidates name, if any are seen."""
    try:
        models = registry.models(workspace.registry_at_hand).values()
    except (UserError, RegistryError):
        return []
    said = [version.summary for m in models for version in (*m.versions, *m.candidates)]
    named = (digest for each in said for digest in (each.get("md5"), *_values(each.get("data"))))
    return [digest for digest in named if isinstance(digest, str) and is_digest(digest)]


def _values(said: Any) -> Iterable[Any]:
    """The values of what should be a mapping: a tag's message is anybody's text."""
    return said.values() if isinstance(said, dict) else ()


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
    """Bring versions, then bytes and entries; tracked data and outputs are put where they belong.

    What came whole is put there also where the rest is a StoreError.
    """
    store, origin = _ends(workspace, remote)
    named = fetch(workspace).versions if origin else ()
    if store is None:
        return Moved(store, origin, versions=named)
    left: tuple[str, ...] = ()
    try:
        moved = stores.fetch(workspace.root, remote=remote, progress=progress)
    finally:
        left = _place(workspace)
    return Moved(store, origin, moved.objects, moved.entries, named, left)


def _place(workspace: Workspace) -> tuple[str, ...]:
    """Put what came into the work tree, and note which outputs are those of a run."""
    with worktree.alone(workspace):
        left = placing.place(workspace.root, partial(_was_committed, workspace))
        for pipeline, outputs in _outputs(workspace).items():
            worktree.adopt(workspace, pipeline, outputs)
    return left


def _outputs(workspace: Workspace) -> dict[str, dict[str, str]]:
    """The outputs that `dvc.lock` names, digests by path, for each pipeline."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for output in locked.outputs(workspace.root):
        if output.pipeline:
            found[output.pipeline][output.path] = output.digest
    return found


def _was_committed(workspace: Workspace, pointer: Path, digest: str) -> bool:
    """Whether a pointer named a digest in any commit; without Git nobody can tell."""
    if workspace.repository is None:
        return True
    asked = (
        "log",
        "--all",
        "--reflog",
        "-1",
        "--format=%H",
        f"-S{digest}",
        "--no-textconv",
        "--",
        str(pointer),
    )
    return bool(workspace.repository.attempt(*asked).text)


def fetch(workspace: Workspace) -> Moved:
    """Bring the registry's tags, which a plain `git pull` leaves behind."""
    origin = _origin(workspace)
    if origin is None:
        raise UsageError("the repository has no remote", hint="git remote add origin URL")
    found = registry.fetch(workspace.registry_at_hand)
    return Moved(None, origin, versions=found.tags)


def _ends(workspace: Workspace, remote: str | None) -> tuple[str | None, str | None]:
    if workspace.repository is None:
        raise UsageError("this project is in no Git repository", hint="git init, and commit")
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
