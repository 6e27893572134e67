"""Every pipeline of a project, each after those whose outputs it takes: `towpath run --all`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from towpath.errors import ExitCode, TowpathError, UserError
from towpath.execution import pipeline_run
from towpath.execution.run_record import RecordedRun
from towpath.execution.upstream_pipelines import UpstreamLink, UpstreamReader
from towpath.pipeline import pipeline_check
from towpath.pipeline.pipeline_order import order_pipelines
from towpath.planning.run_request import RunRequest, find_needed_steps
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from towpath.execution.pipeline_run import PreparedRun


@dataclass(frozen=True)
class PipelineRun:
    """What became of one pipeline: its run; or why it was not begun, with its exit code."""

    pipeline: str
    run: RecordedRun | None = None
    error: TowpathError | None = None
    left_out: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """0 also for one that was left out: what kept it from running has its own."""
        if self.run is not None:
            return ExitCode(self.run.exit_code)
        return self.error.exit_code if self.error else ExitCode.DONE


def run_all(
    workspace: Workspace,
    request: RunRequest,
    carry_out: Callable[[Workspace, RunRequest], RecordedRun],
) -> Iterator[PipelineRun]:
    """Run each pipeline in order, as ``request`` says it of one. Where one does not end well, those
    that take what it makes are left out, and the others go on. ``carry_out`` makes one run.

    Raises DeclarationError, before anything has run, for what is wrong with any of them.
    """
    order = order_pipelines(workspace)
    for name in order:
        pipeline_check.compile_checked_pipeline(workspace, name)
    missing: dict[str, str] = {}
    for name, makers in order.items():
        if failed := next((maker for maker in makers if maker in missing), None):
            missing[name] = f"pipeline `{failed}` {missing[failed]}"
            yield PipelineRun(name, left_out=missing[name])
            continue
        try:
            # A fresh look, for the run before has written what this one reads.
            finished_run = carry_out(Workspace(workspace.root), replace(request, pipeline=name))
        except UserError as error:
            missing[name] = "could not begin"
            yield PipelineRun(name, error=error)
            continue
        if finished_run.exit_code:
            missing[name] = finished_run.state.in_words
        yield PipelineRun(name, finished_run)
        if finished_run.exit_code == ExitCode.INTERRUPTED:
            return


def plan_all(workspace: Workspace, request: RunRequest) -> Iterator[PreparedRun]:
    """Each pipeline in order, prepared for a look at what would become of its steps.

    An input that an earlier pipeline would make anew is awaited: what reads it is undecided.
    """
    may_run: dict[str, set[str]] = {}
    reader = UpstreamReader(workspace)
    for name in order_pipelines(workspace):
        links = reader.find_links(pipeline_check.compile_checked_pipeline(workspace, name))
        awaited = {
            link.input: link.pipeline for link in links if _is_awaited(reader, link, may_run)
        }
        prepared = pipeline_run.prepare_run(workspace, replace(request, pipeline=name), awaited)
        decisions = prepared.decide_steps().values()
        may_run[name] = {decision.step for decision in decisions if decision.may_run}
        yield prepared


def _is_awaited(
    reader: UpstreamReader, link: UpstreamLink, may_run: Mapping[str, Collection[str]]
) -> bool:
    """Whether a pipeline that runs before would put other bytes there, or might."""
    graph = reader.pipelines[link.pipeline].graph
    made_by = find_needed_steps(graph, frozenset(link.steps)) if graph else frozenset()
    return bool(link.stale or made_by & set(may_run.get(link.pipeline, ())))
