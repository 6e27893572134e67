"""What a step's process needs to have imported, so that a supervisor imports it once for all.

All of it are modules of packages. The project's own modules are imported by each step's process
for itself: what one does when it is imported is then no business of steps that do not import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from towpath.config.artifact import Artifact
from towpath.errors import TowpathError
from towpath.steps import formats, kinds
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Output, Step
    from towpath.workspace import Workspace

Libraries: TypeAlias = Mapping[str, tuple[str, ...]]
"""The modules of installed packages that a function's code imports, by the step's ``run``."""

NO_LIBRARIES: Libraries = MappingProxyType({})
"""Where nobody has read the code: each step's process imports them for itself."""


class GraphStep(Protocol):
    """A step of a graph, as far as its needs go."""

    @property
    def step(self) -> Any: ...

    @property
    def outputs(self) -> Mapping[str, Output]: ...


def needs_of_steps(
    wanted: Iterable[GraphStep], libraries: Libraries = NO_LIBRARIES
) -> tuple[str, ...]:
    """What these steps need, in their order; what the run itself carries out needs nothing."""
    in_processes = [
        graph_step for graph_step in wanted if graph_step.step.kind in kinds.IN_A_PROCESS
    ]
    step_needs = (
        needs_of_step(
            graph_step.step,
            [(o.path, o.format) for o in graph_step.outputs.values()],
            libraries.get(getattr(graph_step.step, "run", ""), ()),
        )
        for graph_step in in_processes
    )
    return tuple(dict.fromkeys(need for needs in step_needs for need in needs))


def needs_of_step(
    step: Step, files: Iterable[tuple[str, str | None]], libraries: Iterable[str] = ()
) -> tuple[str, ...]:
    """What a step needs that reads and writes files of these names and declared formats, and whose
    code imports these libraries."""
    modules = [kinds.IN_A_PROCESS[step.kind]]
    if step.kind == "command":  # its program reads and writes the files, in a process of its own
        return tuple(modules)
    if step.kind == "quality_check":
        modules += ["pandas", "towpath.backends.great_expectations.validation"]
    for name, declared in files:
        format = formats.find_format(name, declared)
        if format and format.module and format.name not in ("json", "html"):
            modules += [f"towpath.steps.formats.{format.module}", *format.preload]
    return (*modules, *libraries)


def needs_of_order(order: Order) -> tuple[str, ...]:
    """What an order needs: its step's, with the files that it reads."""
    read = [
        (value.name, order.formats.get(name))
        for name, value in order.arguments.items()
        if isinstance(value, Artifact)
    ]
    written = [(output.path, output.format) for output in order.outputs.values()]
    return needs_of_step(order.step, [*read, *written], order.libraries)


def find_libraries(workspace: Workspace, folder: str, wanted: Iterable[GraphStep]) -> Libraries:
    """The modules of installed packages that each function's code imports, by its ``run``.

    Nothing of the project is among them, for its code may be edited between two runs.
    """
    runs = dict.fromkeys(
        graph_step.step.run for graph_step in wanted if hasattr(graph_step.step, "run")
    )
    return {run: _read_imports(workspace, folder, run) for run in runs}


def find_step_libraries(workspace: Workspace, folder: str, step: Step) -> tuple[str, ...]:
    """The same for one step."""
    run = getattr(step, "run", None)
    return _read_imports(workspace, folder, run) if run else ()


def _read_imports(workspace: Workspace, folder: str, run: str) -> tuple[str, ...]:
    try:
        return workspace.code.libraries(folder, run)
    except TowpathError:  # the step will say so
        return ()
