"""Running a version's pipeline once more, in another folder, with a store of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath import registry
from towpath.config import names_and_paths
from towpath.config.artifact import Artifact
from towpath.config.project_paths import ProjectPath, resolve_inside
from towpath.errors import ExitCode, Malformed, RegistryError, StepFailed, StoreError
from towpath.execution.run_inputs import hold_against
from towpath.registry import DataSource, VersionRecord

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun
    from towpath.pipeline.step_graph import Graph, Node, Source
    from towpath.workspace import Workspace

# A store beside the user's: what is made here must not be reused there.
OWN_STORE = "[cache]\n    dir = cache\n"


@dataclass(frozen=True)
class RemadeModel:
    """What the run made: the digests of the model's bytes, and the metrics beside it."""

    artifact: Artifact
    sha256: str
    metrics: Mapping[str, float]
    seconds: float


def remake_model(
    workspace: Workspace,
    record: VersionRecord,
    folder: Path,
    listeners: Iterable[Callable[[Mapping[str, Any]], None]],
) -> RemadeModel:
    """Run in ``folder``, which holds the code, the steps that lead to the model; none is reused.

    Nothing is registered: what registers is left out.
    """
    from towpath.backends.prefect.executor import PrefectExecutor
    from towpath.execution.pipeline_run import run_pipeline
    from towpath.planning import pipeline_check
    from towpath.planning.run_request import RunRequest
    from towpath.workspace import Workspace

    place = Workspace(folder)
    _own_store(place)
    params = dict(record.parameters)
    outline = pipeline_check.drawable_graph(place, str(record.pipeline))
    inputs = dict(_bring_inputs(workspace, place, outline, record))
    graph = pipeline_check.compile_checked_pipeline(place, record.pipeline, params, inputs)
    node = _registering_node(graph, record)
    steps = tuple(name for name in _leading_to(graph, node) if not graph.registers_model(name))
    request = RunRequest(graph.name, params, inputs, only=steps, force=True)
    with _own_api(place):
        finished_run = run_pipeline(place, request, PrefectExecutor(), listeners)
    if finished_run.exit_code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if finished_run.exit_code:
        hint = "with --keep DIR its logs stay: towpath -C DIR logs"
        raise StepFailed(
            *(finished_run.error or (f"the run {finished_run.state.in_words}",)), hint=hint
        )
    return _read_remade(place, finished_run, node)


@contextmanager
def _own_api(place: Workspace) -> Iterator[None]:
    """The local Prefect API that a run in this folder starts is of no use to anyone after it."""
    from towpath.backends.prefect import executor
    from towpath.backends.prefect.server import api_home, server_state, start_api

    own = api_home.home_of_project(place.root)
    try:
        yield
    finally:
        if server_state.running_api_state(own):
            executor.flush_prefect()
            start_api.stop_local_api(own)
        shutil.rmtree(own.folder, ignore_errors=True)


def _own_store(place: Workspace) -> None:
    from towpath.backends.dvc import initialise_store

    layout = initialise_store(place.root)
    (layout.dvc / "config.local").write_text(OWN_STORE, encoding="utf-8")


def _registering_node(graph: Graph, record: VersionRecord) -> Node:
    from towpath.config.pipeline_declaration import RegisterModel

    for node in graph.nodes.values():
        if isinstance(node.step, RegisterModel) and node.step.model == record.model:
            return node
    what = f"pipeline {graph.name} at {record.code.commit[:7]} registers no {record.model}"
    raise RegistryError(what, hint="its record was altered: towpath verify")


def _leading_to(graph: Graph, node: Node) -> Iterator[str]:
    from towpath.planning.run_request import find_needed_steps

    needed_names = find_needed_steps(graph, frozenset({node.name}))
    return (name for name in graph.nodes if name in needed_names)


def _bring_inputs(
    workspace: Workspace, place: Workspace, graph: Graph, record: VersionRecord
) -> Iterator[tuple[str, str]]:
    """Bring the recorded data to where the pipeline looks for it; models, by their number.

    A file that the commit holds itself, with the recorded bytes, stays as it is.
    """
    for name, digest in record.data.items():
        declared = graph.inputs.get(name)
        if declared is None:
            continue
        source = record.sources.get(name, DataSource())
        if source.version or names_and_paths.is_model_reference(declared):
            yield name, _bring_model(workspace, place, source.version or declared, digest)
            continue
        path = _input_path(source, declared)
        if not _is_there(place, path, digest):
            _bring_bytes(workspace, digest)
            workspace.store.copy_to(digest, resolve_inside(place.root, path))
        if path != declared.rstrip("/"):
            yield name, path


def _input_path(source: DataSource, declared: str) -> str:
    """Where the run read an input; what a record says may not lead out of the project."""
    try:
        return ProjectPath(source.path or declared)
    except Malformed:
        return declared.rstrip("/")


def _is_there(place: Workspace, path: str, digest: str) -> bool:
    whole = place.root / path
    return whole.exists() and place.store.digest(whole).digest == digest


def _bring_model(workspace: Workspace, place: Workspace, reference: str, digest: str) -> str:
    """A model that was an input: the version that has these bytes, and its bytes."""
    name = registry.parse_reference(reference).model
    versions = registry.known_model(workspace.registry, name).versions
    version = next(
        (candidate for candidate in versions if candidate.summary.get("md5") == digest), None
    )
    if version is None:
        raise RegistryError(f"no version of {name} has the bytes {digest}", hint="towpath fetch")
    _bring_bytes(workspace, digest)
    hold_against(workspace, registry.read_record(workspace.registry, version), str(version))
    path = place.state / "inputs" / name
    workspace.store.copy_to(digest, path)
    place.store.put(path)
    return str(version)


def _bring_bytes(workspace: Workspace, digest: str) -> None:
    """Have bytes in the project's store, from its remote where they are not."""
    from towpath.backends.dvc import byte_transfer

    if workspace.store.has(digest):
        return
    if byte_transfer.default_remote_of(workspace.root) is None:
        what = f"the data {digest} is not in the store, which has no remote"
        raise StoreError(what, hint="dvc remote add -d NAME URL, or bring it from where it is")
    byte_transfer.fetch_objects(workspace.root, [digest])


def _read_remade(place: Workspace, run: RecordedRun, node: Node) -> RemadeModel:
    from towpath.execution.run_folders import flatten_leaves

    artifact = _made_value(run, node.arguments["model"], "outputs")
    if not isinstance(artifact, Artifact):
        raise StepFailed(f"the run made no model for `{node.name}`")
    metrics: dict[str, float] = {}
    for name, source in node.arguments.items():
        document = _made_value(run, source, "values") if name != "model" else None
        if isinstance(document, dict):
            pairs = (pair for key, value in document.items() for pair in flatten_leaves(value, key))
            metrics |= {key: value for key, value in pairs if isinstance(value, int | float)}
    return RemadeModel(artifact, _artifact_sha256(place, artifact), metrics, run.seconds)


def _made_value(run: RecordedRun, source: Source, what: str) -> Any:
    """What the run made of a source: of a choice, that which was made."""
    from towpath.pipeline.step_graph import outputs_of

    for output in outputs_of(source):
        step = run.steps.get(output.step)
        value = getattr(step.made, what).get(output.output) if step else None
        if value is not None:
            return value
    return None


def _artifact_sha256(place: Workspace, artifact: Artifact) -> str:
    from towpath.storage.verified_bytes import sha256_of

    return sha256_of(place.store.source, artifact)
