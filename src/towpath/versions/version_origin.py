"""Where the bytes and the code of a version come from, and what says which stores there are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import main_branch
from towpath.errors import Fault, StoreError, TowpathError
from towpath.registry import policy_at_commit as policies
from towpath.registry.own_code import CodeSource, OwnCode, find_own_code
from towpath.scratch import scratch_beside

if TYPE_CHECKING:
    from towpath.config.artifact import Artifact
    from towpath.config.project_declaration import Project
    from towpath.registry import Record
    from towpath.storage.storage_backend import ObjectSource
    from towpath.workspace import Workspace

_PUSH = "push it from where it was made: towpath push"


def policy(workspace: Workspace) -> Project:
    """The declaration on the registry's main branch: where stages keep their bytes."""
    repository = workspace.registry
    main = main_branch.seen(repository)
    if main is None:
        return workspace.project
    return policies.at(repository, main, workspace.folder)


def bring(
    workspace: Workspace, project: Project, record: Record, into: Path, stage: str | None = None
) -> str:
    """Bring a version's bytes to a path, verified against its record; where from, in words.

    Raises as ``bring_artifact``.
    """
    return bring_artifact(workspace, project, record.artifact, record.sha256, into, stage)


def bring_artifact(
    workspace: Workspace,
    project: Project,
    artifact: Artifact,
    sha256: str | None,
    into: Path,
    stage: str | None = None,
) -> str:
    """Bring a file or a folder to a path, verified by its MD5 and, where it is known, its SHA-256;
    where from, in words.

    The bytes come from the store of ``stage`` and from nowhere else, or from the first that has
    them: the project's, its remote, those that ``project`` declares, those of its stages. Raises
    ``StoreError``, with what each store said, where none does.
    """
    from towpath.storage.verified_bytes import Absent, fetch

    faults: list[Fault] = []
    absent: list[str] = []
    for opened in _sources(workspace, project, stage):
        scratch = scratch_beside(into)  # on the same disk, so that what is whole is only renamed
        try:
            scratch.mkdir(parents=True)
            source = opened()
            fetch(source, artifact, into, sha256, scratch)
        except Absent:
            absent.append(source.shown)
        except TowpathError as refused:  # a store that is down need not be the one that has them
            faults += refused.faults
        else:
            return source.shown
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if absent:
        what = f"{artifact.name} ({artifact.digest}) is not in {', nor in '.join(absent)}"
        way = f"towpath reconcile {stage} --apply brings it there" if stage else _PUSH
        faults.insert(0, Fault(what, hint=way))
    raise StoreError(*faults)


def _sources(
    workspace: Workspace, project: Project, stage: str | None
) -> Iterator[Callable[[], ObjectSource]]:
    """The stores that may have a version's bytes, the nearest first; each opened when asked."""

    from towpath.backends.dvc.dvc_config import find_dvc
    from towpath.storage.stage_store import StageStore

    def of_stage(name: str) -> ObjectSource:
        return StageStore.open(project, name, os.environ, workspace.home)

    def declared(name: str) -> ObjectSource:
        return StageStore.open_declared(project, name, os.environ, workspace.home)

    if stage is not None:
        yield partial(of_stage, stage)
        return
    if find_dvc(workspace.root):
        yield lambda: workspace.store.source
        yield partial(_remote, workspace)
    yield from (partial(declared, name) for name in project.stores)
    yield from (partial(of_stage, name) for name in project.stages)


def _remote(workspace: Workspace) -> ObjectSource:
    from towpath.backends.dvc.dvc_remotes import default_remote

    found = default_remote(workspace.root)
    if found is None:
        raise StoreError("the project's store has no remote")
    return found


def find_version_code(
    workspace: Workspace, reference: str, stage: str | None, record: Record, project: Project
) -> OwnCode:
    """By the rule of ``stage``, else of the stage that the reference names; a version that is named
    by its number may have any commit's code. The model's bytes were verified before."""
    repository = workspace.registry
    if (code := workspace.repository) and code.commit(record.code.commit) is not None:
        repository = code  # with a shared registry the code is in the project's own
    rule = stage or registry.parse(reference).stage
    main = main_branch.seen(repository) or record.code.commit
    source = CodeSource.of_stage(repository, workspace.state / "code", project, rule, main)
    return find_own_code(source, record, project.trust)
