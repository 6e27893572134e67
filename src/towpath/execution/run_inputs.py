"""The pipeline's own inputs: files of the project, or models of the registry, by digest."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.backends.git import large_files
from towpath.config import names_and_paths
from towpath.config.artifact import Artifact
from towpath.errors import Fault, StoreError, TowpathError, UserError
from towpath.pipeline import pipeline_order
from towpath.scratch import scratch_folder

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph
    from towpath.registry import VersionRecord
    from towpath.workspace import Workspace


def read_input_artifacts(
    workspace: Workspace, graph: Graph, awaited: Collection[str] = ()
) -> Mapping[str, Artifact]:
    """The bytes that each input stands for now, but for those that are ``awaited``.

    Every fault at once: UserError or StoreError.
    """
    input_artifacts: dict[str, Artifact] = {}
    faults: list[Fault] = []
    # All at once; bytes that are gone weigh more than a path that was typed wrong.
    kind: type[TowpathError] = UserError
    for name, location in graph.inputs.items():
        if name in awaited:
            continue
        try:
            input_artifacts[name] = _read_artifact(workspace, graph, name, location)
        except TowpathError as error:
            faults += error.faults
            kind = StoreError if isinstance(error, StoreError) else kind
    if faults:
        raise kind(*dict.fromkeys(faults))  # one model may be several inputs
    return input_artifacts


def _read_artifact(workspace: Workspace, graph: Graph, name: str, said: str) -> Artifact:
    if names_and_paths.is_model_reference(said):
        return _model_artifact(workspace, said)
    path = workspace.root / said
    if not path.exists() and not _restore_tracked(workspace, path):
        maker = pipeline_order.makers_of(graph.name, {name: said}, workspace.pipelines).get(name)
        hint = names_and_paths.remote_hint(said) or (
            "its path is from the project's root; `--input name=path` overrides it"
        )
        hint = f"towpath run {maker} makes it; towpath run --all runs both" if maker else hint
        raise UserError(Fault(f"input `{name}` is {said}, which is not there", hint=hint))
    if pointer := next(large_files.pointers_in(path), None):
        shown = os.path.relpath(pointer, workspace.root)
        what = f"input `{name}`: {shown} is a pointer of Git LFS, and not the data"
        raise UserError(Fault(what, hint=large_files.PULL))
    # The bytes go into the store, for a run works on what it was given, not on what a path holds.
    return workspace.store.put(path)


def _restore_tracked(workspace: Workspace, path: Path) -> bool:
    """Whether a file that is not there is tracked, and could be put there from the store."""
    from towpath.backends.dvc import tracked_files

    pointer = tracked_files.find_tracked(workspace.root, path)
    if pointer is None:
        return False
    tracked_files.restore_tracked(workspace.root, path, pointer)
    return True


def _model_artifact(workspace: Workspace, reference: str) -> Artifact:
    """A version's bytes by digest; where the project's store lacks them, they are brought there."""
    from towpath import registry

    if workspace.repository is None and not workspace.shared_registry:
        raise UserError(Fault(f"{reference} is a model, and there is no Git repository here"))
    record = registry.get_version(workspace.registry, reference).record
    if not workspace.store.has(record.artifact.digest):
        _fetch_version(workspace, record, registry.parse_reference(reference).stage)
    hold_against(workspace, record, reference)
    return record.artifact


def hold_against(workspace: Workspace, record: VersionRecord, shown: str) -> None:
    """Hold the bytes in the project's store against a record's SHA-256.

    Two files of one MD5 can be made, and the store knows bytes by it alone: what a step is given
    must be what was approved. Raises ``StoreError`` where it is not.
    """
    from towpath.storage.verified_bytes import sha256_of

    if sha256_of(workspace.store.source, record.artifact) == record.sha256:
        return
    path = workspace.store.path(record.artifact.digest)
    raise StoreError(
        f"the bytes of {shown} in the project's store have the MD5 of its record, "
        "and not its SHA-256",
        hint=f"somebody made them so: keep {path} for who looks into it, then delete it there",
    )


def _fetch_version(workspace: Workspace, record: VersionRecord, stage: str | None) -> None:
    from towpath.versions import version_origin

    with scratch_folder() as scratch:
        path = Path(scratch, record.artifact.name)
        version_origin.bring_version(
            workspace, version_origin.read_main_declaration(workspace), record, path, stage
        )
        workspace.store.put(path)
