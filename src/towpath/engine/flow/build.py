"""A graph as a genuine Prefect flow, with a typed signature; and a run of it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from towpath.call_log import is_heard, log_requests
from towpath.errors import EngineError, StepFailed

#: Prefect reads these when it is imported: its console lines would cross ours, and it may
#: not report on its users. What the user has set stays.
_QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


_FLUSH_SECONDS = 5.0
DASK_SECONDS = 2.5
_KEPT = ExitStack()
"""Contexts that last as long as the process."""

if TYPE_CHECKING:
    from prefect import Flow

    from towpath.engine.execution import Execution
    from towpath.spec.pipeline import Pipeline
    from towpath.spec.project import Runner


def build(
    pipeline: Pipeline,
    body: Callable[[Mapping[str, Any]], Any],
    runner: Runner,
    run_name: str | None = None,
) -> Flow[..., Any]:
    """The flow of a pipeline. ``body`` is called with the parameters, validated by Prefect."""
    from towpath.engine.flow.pipeline_flow import PipelineFlow
    from towpath.engine.flow.signature import docstring, signature

    if is_heard():
        from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient

        log_requests(PrefectHttpxAsyncClient)
        log_requests(PrefectHttpxSyncClient)

    def function(**params: Any) -> Any:
        return body(params)

    typed = signature(pipeline)
    function.__name__ = function.__qualname__ = pipeline.name.replace("-", "_")
    function.__doc__ = docstring(pipeline)
    function.__signature__ = typed  # type: ignore[attr-defined]
    function.__annotations__ = {n: p.annotation for n, p in typed.parameters.items()}
    return PipelineFlow(
        function,
        name=pipeline.name,
        description=pipeline.description,
        flow_run_name=run_name,
        task_runner=_task_runner(runner),
        persist_result=False,
    )


def load() -> None:
    """Import Prefect, which takes a second, where something else can be done meanwhile."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import prefect.main  # noqa: F401

    gc.freeze()  # what is imported stays; the command line began without a collector
    gc.enable()


def call(execution: Execution, api: str, body: Callable[[], Any]) -> None:
    """Run an execution's pipeline as a flow, against the API at ``api``."""
    load()
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    from towpath.engine.server.configured import AUTH

    graph = execution.graph
    runner = execution.workspace.project.runner
    flow = build(graph.pipeline, lambda _: body(), runner, execution.run_id)
    # Prefect's heartbeat sleeps a second after the flow has ended; a run here has a lease instead.
    settings = {PREFECT_API_URL: api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    if local := os.environ.get(AUTH):  # where Prefect was imported before it was set
        settings[PREFECT_API_AUTH_STRING] = local
    with temporary_settings(settings):
        flow(**graph.params)


def flush() -> None:
    """Send what Prefect holds back of its logs and events, before the API that they go to stops."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=_FLUSH_SECONDS)


#: What a deployed run comes to import, of Prefect's own needs and of ours.
_DEPLOYED = (
    "anyio._backends._asyncio", "encodings.idna", "prefect.deployments.steps.pull",
    "prefect.engine", "prefect.flow_engine", "prefect.main", "prefect.task_engine",
    "prefect.utilities.visualization", "pydantic.v1", "towpath.checks", "towpath.code.code_reader",
    "towpath.engine.drawing", "towpath.engine.drawing.svg", "towpath.engine.entrypoint",
    "towpath.engine.flow.pipeline_flow", "towpath.engine.flow.schedule",
    "towpath.engine.flow.signature", "towpath.engine.server.worker", "towpath.engine.transfer",
    "towpath.spec.deployment", "towpath.spec.gates", "towpath.spec.pipeline_file",
    "towpath.spec.project", "towpath.store", "towpath.store.pipelines", "towpath.store.statcache",
)  # fmt: skip


def load_for_deployed() -> None:
    """Import all that a deployed run needs, so that processes forked from this one have it."""
    from importlib import import_module

    for name in _DEPLOYED:
        import_module(name)


def settings() -> dict[str, str]:
    """Prefect's settings of this process, as variables for the environment of another."""
    from prefect.settings import get_current_settings

    return get_current_settings().to_environment_variables(exclude_unset=True)


def execute() -> None:
    """Become the process that executes a deployed run, as ``python -m prefect.engine`` is."""
    import runpy
    import sys

    del sys.argv[1:]  # the run is named in the environment
    sys.modules.pop("prefect.engine", None)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


def without_heartbeat() -> None:
    """For the rest of this process, which runs one flow: a worker sees its end without."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    _KEPT.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))


def schedule(execution: Execution) -> None:
    """The body of a flow: show the graph, then carry out the steps."""
    from towpath.engine.flow.artifacts import publish_graph
    from towpath.engine.flow.schedule import Schedule
    from towpath.steps import process

    graph, workspace = execution.graph, execution.workspace
    publish_graph(graph, execution.recorder.folder)
    try:
        Schedule(execution, threads=workspace.project.runner.kind == "threads").run()
    except BaseException:  # an interrupt: Prefect would wait here for the steps to end
        process.stop(workspace.root, graph.folder)
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


def _task_runner(runner: Runner) -> Any:
    workers = runner.workers or os.cpu_count() or 1
    if runner.kind == "dask":
        from prefect_dask import DaskTaskRunner

        _reach(runner.address or "")
        return DaskTaskRunner(address=runner.address)
    if runner.kind == "processes":
        from prefect.task_runners import ProcessPoolTaskRunner

        return ProcessPoolTaskRunner(max_workers=workers)
    from prefect.task_runners import ThreadPoolTaskRunner

    return ThreadPoolTaskRunner(max_workers=workers)


def _reach(address: str) -> None:
    """EngineError where no Dask scheduler listens: Dask itself waits half a minute to say so."""
    import socket
    from urllib.parse import urlsplit

    try:
        where = urlsplit(address)
        socket.create_connection((where.hostname, where.port or 8786), DASK_SECONDS).close()
    except (OSError, ValueError) as error:
        hint = "it stands in towpath.yaml, under `runner`"
        what = f"the Dask scheduler {address} does not answer: {error}"
        raise EngineError(what, hint=hint) from None
