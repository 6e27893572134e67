"""A table scored with a registered model, whose bytes are held against its record first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import registry
from towpath.errors import Fault, UsageError
from towpath.scratch import scratch_folder
from towpath.steps.model_io import score_model
from towpath.versions import version_origin
from towpath.versions.version_origin import find_version_code
from towpath.versions.work_tree_files import note_own_files

if TYPE_CHECKING:
    from towpath.workspace import Workspace


class TransformRequest(Struct, frozen=True):
    """What is asked for: which model on which table, and where the rows go.

    ``stage`` names the store that the bytes must come from: the reference's own stage by default,
    and without any the first store that has them. ``sha256`` pins the model beyond its name;
    ``method`` is ``predict`` or ``predict_proba``, ``batch_size`` the rows in memory at a time.
    """

    reference: str
    data: Path
    output: Path
    stage: str | None = None
    sha256: str | None = None
    method: str = "predict"
    batch_size: int | None = None


class TransformResult(Struct, frozen=True):
    """What was done: the version and its digest, the store it came from, and the rows written.

    ``rejected`` is the reason for which the version should not be used any more; ``packages`` are
    those that are others here than when it was made, in words.
    """

    version: str
    sha256: str
    source: str
    rows: int
    output: str
    rejected: str | None = None
    packages: tuple[str, ...] = ()


def transform_table(workspace: Workspace, asked: TransformRequest) -> TransformResult:
    """Score a table with a version of a model. Raises ``UsageError`` with every fault for what
    cannot be, ``StoreError`` where no store has the bytes or has others than the record says,
    ``StepFailed`` or ``Refused`` as a step does: also for rows that the model does not take."""
    found_version = registry.get_version(workspace.registry, asked.reference)
    record = found_version.record
    faults = list(score_model.scoring_faults(record.artifact.name, asked.data, asked.output))
    if asked.sha256 not in (None, record.sha256):
        what = f"{asked.reference} has the SHA-256 {record.sha256}, not {asked.sha256}"
        faults.insert(0, Fault(what))
    if faults:
        raise UsageError(*faults)
    project = version_origin.read_main_declaration(workspace)
    stage = asked.stage or registry.parse_reference(asked.reference).stage
    with scratch_folder() as scratch:
        model = Path(scratch, record.artifact.name)
        source = version_origin.bring_artifact(
            workspace, project, record.artifact, record.sha256, model, stage
        )
        # Only now: what a record says of its code counts for nothing before the bytes are right.
        code = find_version_code(workspace, asked.reference, asked.stage, record, project)
        scored = score_model.score_table(
            score_model.Scoring(
                model, asked.data, asked.output, code, trust=project.trust, method=asked.method,
                batch_size=asked.batch_size,
            )
        )  # fmt: skip
    note_own_files([asked.output])
    return TransformResult(
        str(found_version.version),
        record.sha256,
        source,
        scored.rows,
        os.fspath(asked.output),
        found_version.version.rejected,
        scored.packages,
    )
