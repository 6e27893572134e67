"""A table scored with a registered model, whose bytes are held against its record first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import registry
from towpath.engine import origin
from towpath.errors import Fault, StepFailed, TowpathError, UsageError
from towpath.registry import Record
from towpath.scratch import scratch_folder
from towpath.steps import scoring

if TYPE_CHECKING:
    from towpath.spec.project import Project
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Transform:
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


@dataclass(frozen=True)
class Transformed:
    """What was done: the version and its digest, the store it came from, and the rows written.

    ``rejected`` is the reason for which the version should not be used any more.
    """

    version: str
    sha256: str
    source: str
    rows: int
    output: str
    rejected: str | None = None


def transform(workspace: Workspace, asked: Transform) -> Transformed:
    """Score a table with a version of a model.

    Raises ``UsageError`` with every fault for what cannot be, ``StoreError`` where no store has
    the bytes or has others than the record says, ``StepFailed`` or ``Refused`` as a step does:
    also for rows that the model does not take.
    """
    found = registry.get(workspace.registry, asked.reference)
    faults = [*_pinned(asked, found.record), *_unfit(asked, found.record)]
    if faults:
        raise UsageError(*faults)
    project = origin.policy(workspace)
    stage = asked.stage or registry.parse(asked.reference).stage
    with scratch_folder() as scratch:
        model = Path(scratch, found.record.artifact.name)
        source = origin.bring(workspace, project, found.record, model, stage)
        _importable(workspace, found.record, project)
        rows = _scored(asked, str(found.version), model, project.trust)
    return Transformed(
        str(found.version),
        found.record.sha256,
        source,
        rows,
        os.fspath(asked.output),
        found.version.rejected,
    )


def _scored(asked: Transform, version: str, model: Path, trust: Iterable[str]) -> int:
    try:
        return scoring.score(model, asked.data, asked.output, trust, asked.method, asked.batch_size)
    except TowpathError:
        raise
    except Exception as refused:  # a model may raise anything over a table that it does not like
        words = str(refused).strip().partition("\n")[0] or "it says no more"
        what = f"{version} refused the rows of {asked.data}: {type(refused).__name__}: {words}"
        raise StepFailed(Fault(what)) from refused


def _unfit(asked: Transform, record: Record) -> Iterator[Fault]:
    return scoring.faults(record.artifact.name, asked.data, asked.output)


def _pinned(asked: Transform, record: Record) -> Iterator[Fault]:
    if asked.sha256 not in (None, record.sha256):
        yield Fault(f"{asked.reference} has the SHA-256 {record.sha256}, not {asked.sha256}")


def _importable(workspace: Workspace, record: Record, project: Project) -> None:
    """Let a model's file name the project's own classes, where the policy trusts some."""
    if project.trust and record.pipeline:
        from towpath.steps import loading

        loading.make_importable(workspace.root, f"flows/{record.pipeline}")
