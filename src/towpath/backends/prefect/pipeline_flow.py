"""A pipeline as a genuine Prefect flow: typed signature, a task for each step, artifacts."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from msgspec import Struct, field
from prefect import Flow, Task, get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State, StateType
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture, PrefectTaskRunFuture
from prefect.states import Completed

from towpath.backends.prefect.flow_signature import (
    flow_docstring,
    flow_signature,
    plain_arguments,
)
from towpath.backends.prefect.metric_table import MetricTable
from towpath.call_log import is_heard, log_requests
from towpath.config.artifact import Artifact, Json, Made
from towpath.errors import EngineError
from towpath.execution import single_step
from towpath.execution.step_execution import Tell
from towpath.markdown_text import code_block

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Pipeline, Retry
    from towpath.config.project_declaration import Runner
    from towpath.pipeline.step_graph import Graph, Node
    from towpath.steps.work_order import Order

_DELAYS = 50  # Prefect takes no more; the last one is that of all further attempts
_PAUSE = 0.25  # seconds that a line may wait for others
_IMAGE_LIMIT = 1 << 20  # bytes; a picture travels inside the API's answer
_MOST = 500_000  # characters in a record; Prefect drops one above a million bytes
DASK_SECONDS = 2.5


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
        """What another process, which carries out a task of this flow, gets to know of it."""
        # The flow itself goes on here, with files and threads that cannot be sent.
        return _remote_flow, (self.name, self.version)

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as Prefect's API stores them."""
        return plain_arguments(parameters)


def _remote_flow(name: str, version: str | None) -> PipelineFlow:
    return PipelineFlow(_stays_at_home, name=name, version=version, persist_result=False)


def _stays_at_home() -> None:
    raise NotImplementedError("a flow runs where it began")


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

    # One more than run at once, so that what the run itself does need not wait for one of them.
    return ThreadPoolTaskRunner(max_workers=workers + 1)


def _reach_scheduler(address: str) -> None:
    """EngineError where no Dask scheduler listens."""
    # Dask itself waits half a minute to say so.
    import socket
    from urllib.parse import urlsplit

    try:
        where = urlsplit(address)
        socket.create_connection((where.hostname, where.port or 8786), DASK_SECONDS).close()
    except (OSError, ValueError) as error:
        hint = "it stands in towpath.yaml, under `runner`"
        what = f"the Dask scheduler {address} does not answer: {error}"
        raise EngineError(what, hint=hint) from None


class PrefectTasks(Struct):
    """The steps of one run as tasks of the flow run that this is in; an execution's `StepTasks`."""

    # Threads of this process tell when a step really begins; from other task runners no word comes.
    threads: bool
    futures: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    states: dict[str, State[Any]] = field(default_factory=dict)

    @property
    def tells_begin(self) -> bool:
        """Whether the scheduler is told when a step begins."""
        return self.threads

    def submit_step(self, node: Node, order: Order, after: Collection[str], tell: Tell) -> None:
        """Hand a step to the flow's task runner, with Prefect's retries."""
        deed = CarryOut(order, tell if self.threads else None)
        task = _make_task(deed, node, **_retry_options(node.step.retry, order))
        future = self._submit_task(node, task, after)
        future.add_done_callback(lambda _: tell("ended", None))

    def show_step(self, node: Node, state: str, reason: str, after: Collection[str]) -> None:
        """A task in a state of its own: ``Reused`` or ``Skipped``, and why."""
        self._run_here(node, _make_task(ShowStep(state, reason), node), after)

    def act(self, node: Node, deed: Callable[[], Made], after: Collection[str]) -> Made | Exception:
        """What came of a step that the run itself carries out."""
        ended = self._run_here(node, _make_task(ActHere(deed), node), after)
        return _task_result(ended)

    def step_outcome(self, step: str) -> Made | Exception:
        """What a task gave or raised."""
        return _task_result(self.futures[step])

    def await_all(self) -> None:
        """Until every task's state is at the API."""
        # A result is told from inside its task, before Prefect has sent the state.
        for future in self.futures.values():
            future.wait()

    def _run_here(
        self, node: Node, task: Task[[], Any], after: Collection[str]
    ) -> PrefectFuture[Any] | State[Any]:
        """Have a task done by this process, which alone knows the run."""
        if self.threads:
            return self._submit_task(node, task, after)
        state: State[Any] = task(
            wait_for=self._ended_tasks(after, {**self.futures, **self.states}), return_state=True
        )
        self.states[node.name] = state
        return state

    def _submit_task(self, node: Node, task: Any, after: Collection[str]) -> PrefectFuture[Any]:
        future: PrefectFuture[Any] = task.submit(
            wait_for=self._ended_tasks(after, self.futures), return_state=False
        )
        self.futures[node.name] = future
        return future

    def _ended_tasks(self, after: Collection[str], ended: dict[str, Any]) -> list[Any]:
        tasks = [ended[name] for name in after if name in ended]
        return [EndedTask(task.task_run_id) for task in tasks] if self.threads else tasks


def _task_result(ended: PrefectFuture[Any] | State[Any]) -> Made | Exception:
    came: Made | Exception = ended.result(raise_on_failure=False)
    return came


class CarryOut(Struct, frozen=True):
    """Carries out a step in a process of its own."""

    order: Order
    tell: Tell | None

    def __call__(self) -> State[Made]:
        if self.tell:
            context = TaskRunContext.get()
            self.tell("begun", context.task_run.run_count if context else 1)
        if self.order.step.kind == "callback":
            _show_waiting()
        try:
            result = _call_step(self.order)
        except Exception as error:
            if self.tell:
                self.tell("failed", error)
            raise
        publish_step_artifacts(self.order, result)
        # Where the scheduler can be told, the result goes to it at once: to take it out of the
        # state again costs more than a small step. Elsewhere it travels in the state.
        if self.tell is None:
            return Completed(message=_summarise_result(result), data=result)
        self.tell("made", result)
        return Completed(message=_summarise_result(result))


class ShowStep(Struct, frozen=True):
    """Shows a step that did not run."""

    state: str
    message: str

    def __call__(self) -> State[None]:
        return Completed(name=self.state, message=self.message)


class ActHere(Struct, frozen=True):
    """Carries out a step that needs no process, such as a condition."""

    deed: Callable[[], Made]

    def __call__(self) -> State[Made]:
        result = self.deed()
        return Completed(message=_summarise_result(result), data=result)


def _make_task(function: Callable[[], Any], node: Node, **options: Any) -> Task[[], Any]:
    """A task of this node."""
    # An object, unlike a closure, has no source for Prefect to digest; its class names the task.
    return Task(
        function,
        name=node.declared_name,
        description=node.step.description or node.step.kind,
        task_run_name=node.name,
        # Prefect's caches know no file by its bytes; what is reused is decided before the flow.
        cache_policy=NO_CACHE,
        persist_result=False,
        **options,
    )


def _call_step(order: Order) -> Made:
    from towpath.steps import step_process

    table = MetricTable(order, _artifact_key(order, "logged"))
    with LogLines(get_run_logger().info) as lines, table:
        return step_process.call_step(order, lines)


def _show_waiting() -> None:
    """Show the task that this is in as paused: somebody is to answer."""
    from prefect.utilities.engine import emit_task_run_state_change_event

    context = TaskRunContext.get()
    if context is None:
        return
    paused: State[Any] = State(type=StateType.PAUSED, name="AwaitingAnswer")
    # As an event, which is how Prefect itself tells of a task: what is set at the API directly is
    # overwritten by the event of the task's begin. It is a sign for who looks, and no more.
    with suppress(Exception):
        emit_task_run_state_change_event(context.task_run, context.task_run.state, paused)


def _retry_options(retry: Retry | None, order: Order) -> dict[str, Any]:
    if retry is None or retry.attempts < 2:
        return {}
    return {
        "retries": retry.attempts - 1,
        "retry_delay_seconds": list(islice(single_step.find_pauses(retry), _DELAYS)),
        "retry_jitter_factor": retry.jitter or None,
        "retry_condition_fn": lambda _task, _run, state: single_step.is_worth_another(
            state.data, retry, order
        ),
    }


def _summarise_result(made: Made) -> str:
    """What a person reads of a state: which way it went, the version, or the files."""
    chosen = made.facts.get("chosen")
    if chosen is not None:
        return str(chosen).lower()
    files = (artifact.name for artifact in made.outputs.values())
    return str(made.facts.get("version") or ", ".join(files))


class LogLines:
    """Takes a step's lines one by one, and says them a quarter of a second's together."""

    # Each record costs Prefect's API a millisecond. The lock is between the thread that reads the
    # step's lines and the timer's.
    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._length = 0
        self._timer: threading.Timer | None = None

    def __call__(self, line: str) -> None:
        """Take a line."""
        with self._lock:
            self._waiting.append(line)
            self._length += len(line) + 1
            full = self._length >= _MOST
            if not self._timer and not full:
                self._timer = threading.Timer(_PAUSE, self.flush)
                self._timer.daemon = True
                self._timer.start()
        if full:
            self.flush()

    def flush(self) -> None:
        """Say what waits."""
        with self._lock:
            lines, self._waiting, self._length = self._waiting, [], 0
            timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
        if lines:  # outside the lock: the API may take its time, and the step's lines go on
            self._say("\n".join(lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


class _NoResult(State[None]):
    """A state that nothing is taken out of."""

    def result(self, *_: Any, **__: Any) -> None:
        """None, at once: Prefect would have a thread look for it."""


_OVER = _NoResult(type=StateType.COMPLETED)


class EndedTask(PrefectTaskRunFuture[None]):
    """A task that is over: it draws the line between two tasks in Prefect's graph, and no more."""

    def __init__(self, task_run_id: UUID) -> None:
        super().__init__(task_run_id)
        # Private, but where Prefect looks before it asks the API: a request for each edge.
        self._final_state = _OVER

    def wait(self, timeout: float | None = None) -> None:
        """Nothing is to be waited for."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> None:
        """None: bytes are in the store."""

    def add_done_callback(self, fn: Any) -> None:
        """Call it at once."""
        fn(self)


def publish_step_artifacts(order: Order, made: Made) -> None:
    """Show what a step made: its numbers as a table, its pictures, its pages as links."""
    for name, value in made.values.items():
        rows = _metric_rows(value)
        if rows and order.step.kind not in ("quality_check", "bias_check"):
            create_table_artifact(
                rows, key=_artifact_key(order, name), description=f"{order.name}.{name}"
            )
    for name, artifact in made.outputs.items():
        if artifact.name.endswith((".png", ".html")):
            _show_file(order, name, artifact)


def _show_file(order: Order, name: str, artifact: Artifact) -> None:
    from towpath.backends.dvc import Store

    path = Store(order.root).path(artifact.digest)
    if artifact.name.endswith(".png") and artifact.size <= _IMAGE_LIMIT:
        data = base64.b64encode(path.read_bytes()).decode()
        create_image_artifact(f"data:image/png;base64,{data}", key=_artifact_key(order, name))
        return
    shown = order.directory / artifact.name
    link = (shown if shown.exists() else path).as_uri()
    create_link_artifact(link, link_text=artifact.name, key=_artifact_key(order, name))


def publish_graph(graph: Graph, folder: Path) -> None:
    """Show what is run, as a drawing that Prefect's Markdown can hold."""
    from towpath import drawing

    parts = code_block(drawing.mermaid(graph), "mermaid"), code_block(drawing.text(graph))
    text = "\n\n".join((f"Run record: `{folder}`", *parts))
    key = f"{_make_slug(graph.name)}-graph"
    create_markdown_artifact(text, key=key, description="What was run")


def _metric_rows(value: Json) -> list[dict[str, Json]]:
    if not isinstance(value, Mapping):
        return []
    numbers = {k: v for k, v in value.items() if isinstance(v, (int, float, str))}
    return [{"metric": name, "value": number} for name, number in numbers.items()]


def _artifact_key(order: Order, name: str) -> str:
    return f"{_make_slug(order.pipeline)}-{_make_slug(order.name)}-{_make_slug(name)}"


def _make_slug(text: str) -> str:
    # Prefect's keys hold lower case letters, digits and dashes.
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
