"""A pipeline as a genuine Prefect flow, with a typed signature and a task runner."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from prefect import Flow
from pydantic import Field

from towpath.call_log import is_heard, log_requests
from towpath.config.pipeline_declaration import Param, Pipeline
from towpath.errors import EngineError

if TYPE_CHECKING:
    from towpath.config.project_declaration import Runner

DASK_SECONDS = 2.5
_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "list": list[Any],
}


def build_flow(
    pipeline: Pipeline,
    body: Callable[[Mapping[str, Any]], Any],
    runner: Runner,
    run_name: str | None = None,
) -> Flow[..., Any]:
    """The flow of a pipeline. ``body`` is called with the parameters, validated by Prefect."""
    if is_heard():
        from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient

        log_requests(PrefectHttpxAsyncClient)
        log_requests(PrefectHttpxSyncClient)

    def function(**params: Any) -> Any:
        return body(params)

    typed = flow_signature(pipeline)
    function.__name__ = function.__qualname__ = pipeline.name.replace("-", "_")
    function.__doc__ = flow_docstring(pipeline)
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


class PipelineFlow(Flow[..., Any]):
    """A flow whose parameters are JSON already, so that FastAPI's encoder need not be imported."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process, which carries out a task of this flow, gets to know of it.

        The flow itself goes on here, with files and threads that cannot be sent.
        """
        return _remote_flow, (self.name, self.version)

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as Prefect's API stores them."""
        return dict(parameters)


def _remote_flow(name: str, version: str | None) -> PipelineFlow:
    return PipelineFlow(_stays_at_home, name=name, version=version, persist_result=False)


def _stays_at_home() -> None:
    raise NotImplementedError("a flow runs where it began")


def flow_signature(pipeline: Pipeline) -> inspect.Signature:
    """Keyword parameters with types, bounds and defaults; those without a default come first."""
    parameters = [_flow_parameter(name, param) for name, param in pipeline.params.items()]
    return inspect.Signature(sorted(parameters, key=lambda p: p.default is not p.empty))


def flow_docstring(pipeline: Pipeline) -> str:
    """The description, and an ``Args:`` section, from which Prefect takes each field's words."""
    described = {n: p.description for n, p in pipeline.params.items() if p.description}
    lines = [pipeline.description or f"The pipeline {pipeline.name}."]
    if described:
        lines += ["", "Args:", *(f"    {name}: {text}" for name, text in described.items())]
    return "\n".join(lines)


def _flow_parameter(name: str, param: Param) -> inspect.Parameter:
    default = inspect.Parameter.empty if param.required else param.default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=_parameter_annotation(param))


def _parameter_annotation(param: Param) -> Any:
    if param.choices:
        nothing = () if param.required or param.default is not None else (None,)
        return Literal[*param.choices, *nothing]
    bounds = {"gt": param.above, "lt": param.below, "ge": param.at_least, "le": param.at_most}
    given_bounds: dict[str, Any] = {n: bound for n, bound in bounds.items() if bound is not None}
    kind = _TYPES[param.accepted_type]
    bounded = Annotated[kind, Field(**given_bounds)] if given_bounds else kind
    return bounded if param.required or param.default is not None else bounded | None


def _task_runner(runner: Runner) -> Any:
    workers = runner.workers or os.cpu_count() or 1
    if runner.kind == "dask":
        from prefect_dask import DaskTaskRunner

        _reach_scheduler(runner.address or "")
        return DaskTaskRunner(address=runner.address)
    if runner.kind == "processes":
        from prefect.task_runners import ProcessPoolTaskRunner

        return ProcessPoolTaskRunner(max_workers=workers)
    from prefect.task_runners import ThreadPoolTaskRunner

    return ThreadPoolTaskRunner(max_workers=workers)


def _reach_scheduler(address: str) -> None:
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
