"""Runs as flows of Prefect: the executor that a run is given, and what others ask of Prefect.

Prefect is imported where it is used, for its import takes a second.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from towpath.backends.prefect.prefect_import import import_prefect
from towpath.errors import EngineError, StepFailed
from towpath.execution import run_record
from towpath.execution.pipeline_run import warmed_supervisor
from towpath.execution.secret_sources import require_secrets
from towpath.execution.step_execution import Scheduler

_FLUSH_SECONDS = 5.0
# Contexts that last as long as the process.
_KEPT = ExitStack()

if TYPE_CHECKING:
    from prefect import Flow

    from towpath.execution.step_execution import Execution


class PrefectExecutor:
    """Carries out runs as Prefect flows, in this process: an execution's `Executor`.

    The API is the one that the user configured, else a local one that comes and goes.
    """

    def __call__(self, execution: Execution, may_run: Collection[str]) -> None:
        """Run an execution's pipeline as a flow, a task for each step."""
        from towpath.backends.prefect import server
        from towpath.backends.prefect.defer_imports import defer_imports
        from towpath.backends.prefect.run_settings import hold_run_settings

        api = server.begin_api(execution.workspace.root)
        if not api.warm:
            execution.recorder("waiting", reason="the local Prefect API starts")
        with (
            hold_environment(api.environment()),  # Prefect reads it when it is imported
            warmed_supervisor(execution, may_run),
            server.run_in_progress(api, execution.run_id),
        ):
            defer_imports()  # this process runs nobody's code: the steps have their own
            import_prefect()  # while the server and the steps' own imports start beside it
            server.await_api(api)
            server.settle_killed_runs(api)
            with hold_run_settings(api.url, api.started_by_us):
                _call_flow(execution, may_run)
                if not api.started_by_us:
                    _tell_changes(execution)


@contextmanager
def hold_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process while it lasts. Left behind, they would lead what the caller
    does next with Prefect to a local API that rests by then."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _call_flow(execution: Execution, may_run: Collection[str]) -> None:
    """Run the flow against the API of Prefect's settings."""
    from towpath.backends.prefect.flow_signature import flow_arguments
    from towpath.backends.prefect.pipeline_flow import build_flow

    graph = execution.graph
    runner = execution.workspace.project.runner
    if execution.jobs:
        runner = runner.model_copy(update={"workers": execution.jobs})
    flow = build_flow(
        graph.pipeline, lambda _: schedule_steps(execution, may_run), runner, execution.run_id
    )
    flow(**flow_arguments(graph))


def _tell_changes(execution: Execution) -> None:
    """Tell the automations of a server that others share what a run by hand changed, as a deployed
    run does: all of the pipeline, with declared values."""
    from towpath.backends.prefect import change_events

    run = run_record.read_run(execution.recorder.folder)
    is_part = run is None or any(run.asked.get(key) for key in ("only", "begin", "end"))
    if run and not is_part and (execution.registering.asked or not run.tried):
        say = logging.getLogger("towpath").warning
        change_events.tell_changed_outputs(execution.workspace, run, say)


def cancel_run(project: Path, engine_run: str) -> None:
    """Have the worker that carries out a deployed run of a project end it.

    EngineError where the API does not answer, or does not know the run.
    """
    from uuid import UUID

    from towpath.backends.prefect import server
    from towpath.backends.prefect.run_settings import hold_run_settings

    api = server.begin_api(project)
    try:
        with hold_environment(api.environment()):
            import_prefect()
            from prefect.client.orchestration import get_client
            from prefect.states import Cancelling

            server.await_api(api)
            held = hold_run_settings(api.url, api.started_by_us)
            with held, get_client(sync_client=True) as client:
                client.set_flow_run_state(UUID(engine_run), Cancelling(), force=True)
    except EngineError:
        raise
    except Exception as error:  # httpx's errors, which are for the forge's client alone to name
        hint = "the run's own API is asked: `PREFECT_API_URL`, or that of `towpath up`"
        raise EngineError(f"Prefect cannot end the run: {error}", hint=hint) from error


def flush_prefect() -> None:
    """Send what Prefect holds back of its logs and events, before the API that they go to stops."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=_FLUSH_SECONDS)


def without_heartbeat() -> None:
    """For the rest of this process, which runs one flow."""
    # The heartbeat sleeps a second after the flow has ended; the worker sees the end without it.
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    _KEPT.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))


def schedule_steps(execution: Execution, may_run: Collection[str]) -> None:
    """The body of a flow: show the graph, then carry out the steps.

    UserError, before the first of them, for a secret that is not there of a step that may run.
    """
    from towpath.backends.prefect import prefect_blocks
    from towpath.backends.prefect.pipeline_flow import PrefectTasks, publish_graph
    from towpath.steps import step_process

    graph, workspace = execution.graph, execution.workspace
    # Once a run, and not once a process: the next may be of another API, or after a new secret.
    execution.fetch_block = cache(prefect_blocks.load_secret)
    execution.send_notification = prefect_blocks.send_notification
    require_secrets(graph, may_run, execution.fetch_block)
    publish_graph(graph, execution.recorder.folder)
    try:
        tasks = PrefectTasks(threads=workspace.project.runner.kind == "threads")
        Scheduler(execution, tasks).run()
    except BaseException:  # an interrupt: Prefect would wait here for the steps to end
        for folder in {graph.folder, *map(graph.folder_of, graph.nodes.values())}:
            step_process.stop_steps(workspace.root, folder)
        raise
    if execution.errors:  # so that Prefect, too, shows the run as failed
        raise StepFailed(*(fault for error in execution.errors.values() for fault in error.faults))


def run_log() -> Callable[[Mapping[str, Any]], None]:
    """A listener that says each step's state in the log of the flow run that this is in."""
    from prefect import get_run_logger

    logger = get_run_logger()

    def say(event: Mapping[str, Any]) -> None:
        if event["event"] == "started":
            logger.info("towpath run %s", event["run"])
        elif event["event"] == "step":
            logger.info("%s: %s %s", event["step"], event["state"], event.get("reason", ""))

    return say


def find_deployment() -> str | None:
    """The name of the deployment that the flow run in this process is of, ``dev`` of
    ``training/dev``; None where the run is of none."""
    from prefect.runtime import deployment

    name: str | None = deployment.name
    return name


_Answer = TypeVar("_Answer")


def make_flow(function: Callable[..., _Answer], name: str) -> Flow[..., _Answer]:
    """A plain function, which is no pipeline, as a flow. Its annotations and its docstring become
    Prefect's form of it."""
    import_prefect()
    from prefect import Flow

    return Flow(function, name=name, persist_result=False)


def log_line(text: str) -> None:
    """A line in the log of the flow run that this is called in."""
    from prefect import get_run_logger

    get_run_logger().info("%s", text)


def show_page(key: str, markdown: str, description: str) -> None:
    """A page beside the flow run that this is called in."""
    from prefect.artifacts import create_markdown_artifact

    create_markdown_artifact(markdown, key=key, description=description)
