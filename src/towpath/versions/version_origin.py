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
from towpath.registry.version_code import CodeSource, OwnCode, find_own_code
from towpath.scratch import scratch_beside

if TYPE_CHECKING:
    from towpath.config.artifact import Artifact
    from towpath.config.project_declaration import Project
    from towpath.registry import VersionRecord
    from towpath.storage.storage_backend import ObjectSource
    from towpath.workspace import Workspace

_PUSH = "push it from where it was made: towpath push"


def read_main_declaration(workspace: Workspace) -> Project:
    """The declaration on the registry's main branch: where stages keep their bytes."""
    repository = workspace.registry
    main = main_branch.seen_main_commit(repository)
    if main is None:
        return workspace.project
    return policies.read_project_at(repository, main, workspace.folder)


def bring_artifact(
    workspace: Workspace,
    project: Project,
    artifact: Artifact,
    sha256: str | None,
    into: Path,
    stage: str | None = None,
) -> str:
    """Bring a file or a folder to a path, verified by its MD5 and, where it is known, its SHA-256;
    where from, in words. Raises ``StoreError``, with what each store said, where none does."""
    # The bytes come from the store of ``stage`` and from nowhere else, or from the first that has
    # them: the project's, its remote, those that ``project`` declares, those of its stages.
    from towpath.storage.verified_bytes import AbsentBytes, fetch_verified

    faults: list[Fault] = []
    absent: list[str] = []
    for opened in _byte_sources(workspace, project, stage):
        scratch = scratch_beside(into)  # on the same disk, so that what is whole is only renamed
        try:
            scratch.mkdir(parents=True)
            source = opened()
            fetch_verified(source, artifact, into, sha256, scratch)
        except AbsentBytes:  # the next store may have them; none is at fault for what it never had
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


def _byte_sources(
    workspace: Workspace, project: Project, stage: str | None
) -> Iterator[Callable[[], ObjectSource]]:
    """The stores that may have a version's bytes, the nearest first; each opened when asked."""
    from towpath.backends.dvc import dvc_remotes
    from towpath.backends.dvc.dvc_config import find_dvc
    from towpath.storage.stage_store import StageStore

    def project_remote() -> ObjectSource:
        remote = dvc_remotes.default_remote(workspace.root)
        if remote is None:
            raise StoreError("the project's store has no remote")
        return remote

    place = os.environ, workspace.main_folder
    if stage is not None:
        yield lambda: StageStore.open(project, stage, *place)
        return
    if find_dvc(workspace.root):
        yield from (lambda: workspace.store.source, project_remote)
    yield from (partial(StageStore.open_declared, project, name, *place) for name in project.stores)
    yield from (partial(StageStore.open, project, name, *place) for name in project.stages)


def find_version_code(
    workspace: Workspace, reference: str, stage: str | None, record: VersionRecord, project: Project
) -> OwnCode:
    """By the rule of ``stage``, else of the stage that the reference names; a version that is named
    by its number may have any commit's code."""
    # The model's bytes were verified before.
    repository = workspace.registry
    if (code := workspace.repository) and code.commit(record.code.commit) is not None:
        repository = code  # with a shared registry the code is in the project's own
    rule = stage or registry.parse_reference(reference).stage
    main = main_branch.seen_main_commit(repository) or record.code.commit
    return find_own_code(
        CodeSource(repository, workspace.state / "code", project, rule, main), record
    )
