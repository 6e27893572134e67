"""`towpath.flow`: what a pipeline's ``flow.py`` gives to Prefect, and its deployed runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from towpath import documents
from towpath.backends.prefect import change_events, executor
from towpath.backends.prefect.deployment_file import FILE
from towpath.backends.prefect.flow_signature import plain_arguments, split_arguments
from towpath.config.parameter_declaration import flatten_values
from towpath.errors import StepFailed, TowpathError
from towpath.execution.pipeline_run import (
    bring_remote_inputs,
    conduct_run,
    prepare_run,
    warmed_supervisor,
)
from towpath.execution.run_record import ExecutionState
from towpath.pipeline.run_arguments import apply_environment
from towpath.planning.declared_pipelines import read_declared
from towpath.planning.run_request import RunRequest
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from prefect import Flow

    from towpath.config.pipeline_declaration import Pipeline
    from towpath.execution.step_execution import Execution

# Prefect sets it in a process that executes one deployed run.
_DEPLOYED = "PREFECT__FLOW_RUN_ID"


def flow(file: str) -> Flow[..., Any]:
    """The Prefect flow of the pipeline that is declared beside ``file``.

    In ``flows/training/flow.py``: ``training = flow(__file__)``; then ``prefect.yaml`` names
    ``flows/training/flow.py:training``.
    """
    if os.environ.get("TOWPATH_LOG"):
        from towpath import diagnostics

        diagnostics.follow_log()
    folder = Path(file).resolve().parent
    workspace = Workspace.find(folder)
    declared = read_declared(workspace, folder.name)
    environment = ""
    if os.environ.get(_DEPLOYED):
        executor.without_heartbeat()
        # The one that has the name of the deployment which this process is a run of.
        name = executor.find_deployment() if declared.pipeline.environments else None
        environment = name if name and name in declared.pipeline.environments else ""
    body = partial(_run_deployed, workspace.root, Path(file).resolve(), environment)
    from towpath.backends.prefect.pipeline_flow import build_flow

    pipeline = apply_environment(declared.pipeline, environment)
    return build_flow(pipeline, body, workspace.project.runner)


def _run_deployed(
    root: Path, file: Path, environment: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a deployed flow: a run as `towpath run` makes it, inside Prefect's own."""
    workspace, pipeline = Workspace(root), file.parent.name
    declared = apply_environment(read_declared(workspace, pipeline).pipeline, environment)
    params, inputs = split_arguments(declared, arguments)
    usual = default_values(declared)
    values = _given_values(usual, params)
    paths = {name: path for name, path in inputs.items() if path != usual[name]}
    request = RunRequest(
        pipeline,
        values,
        paths,
        register=bool(values or paths) and _is_declared(workspace, file, declared, arguments),
        environment=environment,
    )
    bring_remote_inputs(workspace, request)
    prepared = replace(prepare_run(workspace, request), engine_run=os.environ.get(_DEPLOYED))
    may_run = prepared.list_may_run()

    def carry_out(execution: Execution) -> None:
        with warmed_supervisor(execution, execution.graph.nodes):
            executor.schedule_steps(execution, may_run)

    ended_run = conduct_run(prepared, carry_out, [executor.run_log()])
    if ended_run.state is ExecutionState.DONE and (request.register or not ended_run.tried):
        change_events.tell_changed_outputs(workspace, ended_run, executor.log_line)
    if ended_run.state is not ExecutionState.DONE:
        raise StepFailed(*ended_run.error)
    return {"run": ended_run.id, "metrics": ended_run.values}


def _given_values(defaults: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that differ from the declared defaults."""
    # Prefect makes a float of each number; where the default is an integer, so is 50.0.
    values = {
        name: int(value)
        if isinstance(defaults.get(name), int) and isinstance(value, float) and value.is_integer()
        else value
        for name, value in params.items()
    }
    return {name: value for name, value in values.items() if defaults.get(name) != value}


def default_values(pipeline: Pipeline) -> dict[str, Any]:
    """What a call of the flow that gives nothing has: parameters by dotted name, and inputs."""
    params = {name: param.default for name, param in pipeline.params.items()}
    return {**params, **{name: file.path for name, file in pipeline.inputs.items()}}


def _is_declared(
    workspace: Workspace, file: Path, pipeline: Pipeline, arguments: Mapping[str, Any]
) -> bool:
    """Whether `prefect.yaml` declares these values for the deployment that this is a run of."""
    deployment = executor.find_deployment()
    if deployment is None:
        return False
    repository = workspace.repository
    above = (repository.root.resolve(),) if repository else ()
    deployed = DeployedFlow(file, deployment, (workspace.root.resolve(), *above))
    return declares_values(deployed, default_values(pipeline), arguments)


class DeployedFlow(Struct, frozen=True):
    """The file of a flow, and the deployment that runs it; ``folders`` may hold `prefect.yaml`."""

    file: Path
    deployment: str
    folders: tuple[Path, ...]


def declares_values(
    flow: DeployedFlow, defaults: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    """Whether ``values`` are what is declared for a deployment: its own parameters, with those of
    one of its schedules, over the pipeline's ``defaults``. A run with others is a trial."""
    arguments = {**defaults, **flatten_values(plain_arguments(values))}
    declarations = (flatten_values(declared) for declared in _declared_values(flow))
    return any({**defaults, **declared} == arguments for declared in declarations)


def _declared_values(flow: DeployedFlow) -> Iterator[Mapping[str, Any]]:
    for folder in dict.fromkeys(flow.folders):
        for deployment in _read_deployments(folder):
            file = os.path.normpath(folder / str(deployment.get("entrypoint")).rpartition(":")[0])
            if deployment.get("name") != flow.deployment or file != os.path.normpath(flow.file):
                continue
            own = _as_mapping(deployment.get("parameters"))
            yield own
            # Prefect takes a list of `schedules`, or one `schedule`.
            schedules = deployment.get("schedules")
            listed = schedules if isinstance(schedules, list) else [deployment.get("schedule")]
            yield from ({**own, **_as_mapping(_as_mapping(s).get("parameters"))} for s in listed)


def _read_deployments(folder: Path) -> list[Mapping[str, Any]]:
    if not (folder / FILE).is_file():
        return []
    try:
        whole = documents.plain_data(
            documents.parse_yaml(documents.text_of(folder / FILE, FILE), FILE).node
        )
    except TowpathError:  # it declares nothing then, and Prefect says what is wrong with it
        return []
    listed = whole.get("deployments") if isinstance(whole, dict) else None
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
