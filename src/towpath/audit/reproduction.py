"""Reproducing a version: its commit, data and parameters, run again in a scratch work tree."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from towpath import registry
from towpath.backends.git import checkouts
from towpath.config import names_and_paths
from towpath.config.artifact import Artifact, Json
from towpath.config.foreign_paths import ProjectPath, resolve_inside
from towpath.errors import ExitCode, Malformed, RegistryError, StepFailed, StoreError
from towpath.execution.version_inputs import hold_against
from towpath.registry import DataSource, VersionRecord, tag_message
from towpath.registry.ownership import folder_of_pipeline

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun
    from towpath.pipeline.step_graph import Graph, Node, Source
    from towpath.workspace import Workspace


TOLERANCE = 1e-9  # relative: another order of summing, on another processor, moves the last digits

Verdict = Literal["bytes", "metrics", "different"]
Listener = Callable[[Mapping[str, Any]], None]


class RecordDifference(Struct, frozen=True):
    """A fact of the record, and what it was this time; None where it is not there."""

    name: str
    recorded: Any
    now: Any


class ReproducedVersion(Struct, frozen=True):
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

    Nothing of the project, its store or its registry is changed. Raises ``RegistryError`` where its
    code is not in this clone, ``StoreError`` where its data is not to be had.
    """
    found_version = registry.get_version(workspace.registry, reference)
    version, record = found_version.version, found_version.record
    if workspace.repository is None or record.pipeline is None:
        what = f"{version} does not say which pipeline made it"
        raise RegistryError(what, hint="its record was not written by a run")
    environment = tuple(_environment_differences(record))
    top = workspace.repository.root.resolve()
    project_folder = workspace.root.resolve().relative_to(top).as_posix()
    # The project may have lain elsewhere in the repository at that commit.
    then = folder_of_pipeline(workspace.repository, record, project_folder)
    with checkouts.laid_out(workspace.repository, record.code.commit, keep) as folder:
        sha256, metrics, seconds = _remake_model(workspace, record, folder / then, listeners)
    different = find_metric_differences(record.metrics, metrics, tolerance)
    is_alike = not different and any(tag_message.flatten_numbers(record.metrics))
    return ReproducedVersion(
        version=str(version),
        commit=record.code.commit,
        verdict="bytes" if sha256 == record.sha256 else "metrics" if is_alike else "different",
        sha256=sha256,
        recorded_sha256=record.sha256,
        metrics=metrics,
        differences=different,
        environment=environment,
        tolerance=tolerance,
        seconds=seconds,
        folder=str(keep) if keep else None,
    )


def find_metric_differences(
    old: Mapping[str, Json], new: Mapping[str, Json], tolerance: float = TOLERANCE
) -> tuple[RecordDifference, ...]:
    """The metrics that are not the same; what is no finite number no record holds."""
    recorded, now = tag_message.flatten_numbers(old), tag_message.flatten_numbers(new)
    return tuple(
        RecordDifference(name, recorded.get(name), now.get(name))
        for name in dict.fromkeys([*recorded, *now])
        if name not in recorded
        or name not in now
        or not math.isclose(recorded[name], now[name], rel_tol=tolerance)
    )


def _environment_differences(record: VersionRecord) -> Iterator[RecordDifference]:
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


def _remake_model(
    workspace: Workspace, record: VersionRecord, folder: Path, listeners: Iterable[Listener]
) -> tuple[str, Mapping[str, float], float]:
    """Run in ``folder``, which holds the code, the steps that lead to the model; none is reused.
    The model's SHA-256, the metrics beside it, and the seconds that it took."""
    from towpath.backends.dvc import initialise_store
    from towpath.backends.prefect.executor import PrefectExecutor
    from towpath.config.pipeline_declaration import RegisterModel
    from towpath.execution.pipeline_run import run_pipeline
    from towpath.pipeline.run_arguments import RunValues
    from towpath.planning import pipeline_check
    from towpath.planning.run_request import RunRequest, find_needed_steps
    from towpath.workspace import Workspace

    place = Workspace(folder)
    # A store beside the user's: what is made here must not be reused there.
    own_store = initialise_store(place.root).dvc / "config.local"
    own_store.write_text("[cache]\n    dir = cache\n", encoding="utf-8")
    params = dict(record.parameters)
    outline = pipeline_check.drawable_graph(place, str(record.pipeline))
    inputs = dict(_bring_inputs(workspace, place, outline, record))
    values = RunValues(params, inputs)
    graph = pipeline_check.compile_checked_pipeline(place, record.pipeline, values)
    for node in graph.nodes.values():
        if isinstance(node.step, RegisterModel) and node.step.model == record.model:
            break
    else:
        what = f"pipeline {graph.name} at {record.code.commit[:7]} registers no {record.model}"
        raise RegistryError(what, hint="its record was altered: towpath verify")
    needed = find_needed_steps(graph, frozenset({node.name}))
    # Nothing is registered: what registers is left out.
    declared = {graph.nodes[name].declared_name for name in needed}
    steps = tuple(n for n in graph.steps if n in declared and not graph.registers_model(n))
    # The code of that commit runs as every run's does: a process a step, from the sandbox room.
    # Forced: what an earlier run left in a cache would prove nothing.
    request = RunRequest(graph.name, params, inputs, only=steps, force=True)
    with _own_api(place):
        finished_run = run_pipeline(place, request, PrefectExecutor(), listeners)
    if finished_run.exit_code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if finished_run.exit_code:
        faults = finished_run.error or (f"the run {finished_run.state.in_words}",)
        raise StepFailed(*faults, hint="with --keep DIR its logs stay: towpath -C DIR logs")
    return _read_remade(place, finished_run, node)


@contextmanager
def _own_api(place: Workspace) -> Iterator[None]:
    # The local Prefect API that a run in this folder starts is of no use to anyone after it, and
    # would stay: it outlives its run, for the next one.
    from towpath.backends.prefect import executor
    from towpath.backends.prefect.server import api_home, server_state, start_api

    own = api_home.home_of_project(place.root)
    try:
        yield
    finally:
        if server_state.running_api_state(own):
            executor.flush_prefect()  # its last logs and events go to that API
            start_api.stop_local_api(own)
        shutil.rmtree(own.folder, ignore_errors=True)


def _bring_inputs(
    workspace: Workspace, place: Workspace, graph: Graph, record: VersionRecord
) -> Iterator[tuple[str, str]]:
    """Bring the recorded data to where the pipeline looks for it; models, by their number."""
    for name, source in record.sources.items():
        if source.absent and name in graph.inputs:
            yield name, ""  # it is taken without it again, be there one by now
    for name, digest in record.data.items():
        declared = graph.inputs.get(name)
        if declared is None:
            continue
        source = record.sources.get(name, DataSource())
        if source.version or names_and_paths.is_model_reference(declared):
            reference = source.version or declared
            yield name, _bring_model(workspace, place, reference, digest, source.output)
            continue
        path = _recorded_path(source, declared)
        whole = place.root / path
        # Else the commit holds these very bytes itself.
        if not whole.exists() or place.store.digest(whole).digest != digest:
            _bring_bytes(workspace, digest)
            workspace.store.copy_to(digest, resolve_inside(place.root, path))
        if path != declared.rstrip("/"):
            yield name, path


def _recorded_path(source: DataSource, declared: str) -> str:
    try:
        return ProjectPath(source.path or declared)
    except Malformed:  # a record may lie: what it says may not lead out of the project
        return declared.rstrip("/")


def _bring_model(
    workspace: Workspace, place: Workspace, reference: str, digest: str, output: str | None
) -> str:
    """A model that was an input, or what stands beside one: the version that has these bytes, and
    its bytes."""
    name = registry.parse_reference(reference).model
    versions = registry.known_model(workspace.registry, name).versions
    version = next((v for v in versions if _kept_digest(v, output) == digest), None)
    if version is None:
        raise RegistryError(f"no version of {name} has the bytes {digest}", hint="towpath fetch")
    _bring_bytes(workspace, digest)
    # Before a step loads it: the store's bytes may have been altered since.
    hold_against(workspace, registry.read_record(workspace.registry, version), str(version), output)
    path = place.state / "inputs" / name
    workspace.store.copy_to(digest, path)
    place.store.put(path)
    return str(version)


def _kept_digest(version: registry.ModelVersion, output: str | None) -> object:
    facts = version.summary
    return facts.get("beside", {}).get(output) if output else facts.get("md5")


def _bring_bytes(workspace: Workspace, digest: str) -> None:
    from towpath.backends.dvc import byte_transfer

    if workspace.store.has(digest):
        return
    if byte_transfer.default_remote_of(workspace.root) is None:
        what = f"the data {digest} is not in the store, which has no remote"
        raise StoreError(what, hint="dvc remote add -d NAME URL, or bring it from where it is")
    byte_transfer.fetch_objects(workspace.root, [digest])


def _read_remade(
    place: Workspace, run: RecordedRun, node: Node
) -> tuple[str, Mapping[str, float], float]:
    from towpath.execution.run_folders import flatten_leaves
    from towpath.storage.verified_bytes import sha256_of

    artifact = _made_value(run, node.arguments["model"], "outputs")
    if not isinstance(artifact, Artifact):
        raise StepFailed(f"the run made no model for `{node.name}`")
    metrics: dict[str, float] = {}
    for name, source in node.arguments.items():
        document = _made_value(run, source, "values") if name != "model" else None
        if isinstance(document, dict):
            pairs = (pair for key, value in document.items() for pair in flatten_leaves(value, key))
            metrics |= {key: value for key, value in pairs if isinstance(value, int | float)}
    return sha256_of(place.store.source, artifact), metrics, run.seconds


def _made_value(run: RecordedRun, source: Source, what: str) -> Any:
    """What the run made of a source: of a choice, that which was made."""
    from towpath.pipeline.step_graph import outputs_of

    for output in outputs_of(source):
        step = run.steps.get(output.step)
        value = getattr(step.made, what).get(output.output) if step else None
        if value is not None:
            return value
    return None
