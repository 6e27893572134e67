"""Reproducing a version: its commit, data and parameters, run again in a scratch work tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from towpath import registry
from towpath.audit import rerun_version
from towpath.backends.git import checkouts
from towpath.errors import RegistryError
from towpath.registry import VersionRecord, tag_message
from towpath.registry.ownership import folder_of_pipeline

if TYPE_CHECKING:
    from towpath.audit.rerun_version import RemadeModel
    from towpath.workspace import Workspace

TOLERANCE = 1e-9

Verdict = Literal["bytes", "metrics", "different"]
Listener = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class RecordDifference:
    """A fact of the record, and what it was this time; None where it is not there."""

    name: str
    recorded: Any
    now: Any


@dataclass(frozen=True)
class ReproducedVersion:
    """What came of it.

    ``verdict`` is ``bytes`` where the model is the same to the last byte, ``metrics`` where it
    has the same metrics within the tolerance, else ``different``, and ``differences`` says in
    what. ``environment`` lists the packages, and Python, that are not as recorded. ``folder`` is
    the work tree where it was kept.
    """

    version: str
    commit: str
    verdict: Verdict
    sha256: str
    recorded_sha256: str
    metrics: Mapping[str, float]
    differences: tuple[RecordDifference, ...]
    environment: tuple[RecordDifference, ...]
    tolerance: float
    seconds: float
    folder: str | None = None


def reproduce_version(
    workspace: Workspace,
    reference: str,
    tolerance: float = TOLERANCE,
    keep: Path | None = None,
    listeners: Iterable[Listener] = (),
) -> ReproducedVersion:
    """Make a version again from what its record says, with the packages that are here.

    Nothing of the project, its store or its registry is changed. Errors: UsageError for a version
    that is not there, RegistryError where its code is not in this clone, StoreError where its
    data is not to be had, StepFailed where a step fails.
    """
    recorded = registry.get_version(workspace.registry, reference)
    record = recorded.record
    if workspace.repository is None or record.pipeline is None:
        what = f"{recorded.version} does not say which pipeline made it"
        raise RegistryError(what, hint="its record was not written by a run")
    environment = tuple(_environment_differences(record))
    project_folder = (
        workspace.root.resolve().relative_to(workspace.repository.root.resolve()).as_posix()
    )
    then = folder_of_pipeline(workspace.repository, record, project_folder)
    with checkouts.laid_out(workspace.repository, record.code.commit, keep) as folder:
        remade = rerun_version.remake_model(workspace, record, folder / then, listeners)
    return _judge_remade(str(recorded.version), record, remade, tolerance, environment, keep)


def _judge_remade(
    version: str,
    record: VersionRecord,
    remade: RemadeModel,
    tolerance: float,
    environment: tuple[RecordDifference, ...],
    keep: Path | None,
) -> ReproducedVersion:
    recorded = tag_message.flatten_numbers(record.metrics)
    now = tag_message.flatten_numbers(remade.metrics)
    different = tuple(_metric_differences(recorded, now, tolerance))
    same = remade.sha256 == record.sha256
    return ReproducedVersion(
        version=version,
        commit=record.code.commit,
        verdict="bytes" if same else "different" if different or not recorded else "metrics",
        sha256=remade.sha256,
        recorded_sha256=record.sha256,
        metrics=remade.metrics,
        differences=different,
        environment=environment,
        tolerance=tolerance,
        seconds=remade.seconds,
        folder=str(keep) if keep else None,
    )


def _metric_differences(
    recorded: Mapping[str, float], now: Mapping[str, float], tolerance: float
) -> Iterator[RecordDifference]:
    for name in dict.fromkeys([*recorded, *now]):
        old, new = recorded.get(name), now.get(name)
        if old is None or new is None or not math.isclose(old, new, rel_tol=tolerance):
            yield RecordDifference(name, old, new)


def _environment_differences(record: VersionRecord) -> Iterator[RecordDifference]:
    """Python and the packages of the record that are here in another version, or not at all."""
    import sys
    from importlib import metadata

    python_version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if record.python and record.python != python_version:
        yield RecordDifference("Python", record.python, python_version)
    for name, version in sorted(record.packages.items()):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = None
        if installed != version:
            yield RecordDifference(name, version, installed)
