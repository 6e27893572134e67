"""What a run takes of versions: a model, or what stands beside one, by digest and verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import Fault, StoreError, UsageError, did_you_mean
from towpath.scratch import scratch_folder

if TYPE_CHECKING:
    from towpath.config.artifact import Artifact
    from towpath.registry import VersionRecord
    from towpath.workspace import Workspace


def read_version_artifact(
    workspace: Workspace, reference: str, output: str | None = None
) -> Artifact:
    """A version's bytes by digest, or those of what stands beside it; where the project's store
    lacks them, they are brought there.

    UsageError for a version, or an ``output`` of one, that is not there; RegistryError or
    StoreError for one that cannot be had or is not what its record says.
    """
    from towpath import registry

    artifact, sha256 = find_version_bytes(workspace, reference, output)
    if not workspace.store.has(artifact.digest):
        stage = registry.parse_reference(reference).stage
        _fetch_bytes(workspace, artifact, sha256, stage)
    shown = f"`{output}` of {reference}" if output else reference
    _require_sha256(workspace, artifact, sha256, shown)
    return artifact


def find_version_bytes(
    workspace: Workspace, reference: str, output: str | None
) -> tuple[Artifact, str]:
    """What a version's record says of its bytes, or of those beside it: with their SHA-256.

    Raises as :func:`read_version_artifact`.
    """
    from towpath import registry

    if workspace.repository is None and not workspace.shared_registry:
        raise UsageError(Fault(f"{reference} is a model, and there is no Git repository here"))
    record = registry.get_version(workspace.registry, reference).record
    if output is None:
        return record.artifact, record.sha256
    kept = record.beside.get(output)
    if kept is None:
        listed = f"beside it stand {', '.join(record.beside)}" if record.beside else None
        near = did_you_mean(output, record.beside)
        hint = near or listed or "`beside:` of the step that registers keeps files with a version"
        shown = f"{record.model}@{record.version}" if record.version else reference
        raise UsageError(f"nothing called `{output}` stands beside {shown}", hint=hint)
    return kept.artifact, kept.sha256


def hold_against(
    workspace: Workspace, record: VersionRecord, shown: str, output: str | None = None
) -> None:
    """Hold a version's bytes in the project's store, or those of what stands beside it, against
    its record's SHA-256.

    Two files of one MD5 can be made, and the store knows bytes by it alone: what a step is given
    must be what was approved. Raises ``StoreError`` where it is not.
    """
    artifact, sha256 = record.kept_bytes[output or ""]
    _require_sha256(workspace, artifact, sha256, shown)


def _require_sha256(workspace: Workspace, artifact: Artifact, sha256: str, shown: str) -> None:
    from towpath.storage.verified_bytes import sha256_of

    if sha256_of(workspace.store.source, artifact) == sha256:
        return
    path = workspace.store.path(artifact.digest)
    raise StoreError(
        f"the bytes of {shown} in the project's store have the MD5 of its record, "
        "and not its SHA-256",
        hint=f"somebody made them so: keep {path} for who looks into it, then delete it there",
    )


def _fetch_bytes(workspace: Workspace, artifact: Artifact, sha256: str, stage: str | None) -> None:
    from towpath.versions import version_origin

    project = version_origin.read_main_declaration(workspace)
    with scratch_folder() as scratch:
        path = Path(scratch, artifact.name)
        version_origin.bring_artifact(workspace, project, artifact, sha256, path, stage)
        workspace.store.put(path)
