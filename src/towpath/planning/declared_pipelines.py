"""The declarations of a project's pipelines, in which what one takes from another is resolved."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from towpath.errors import DeclarationError, Fault, UsageError
from towpath.pipeline import made_inputs
from towpath.pipeline.nested_pipelines import nest_pipelines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.workspace import Workspace


def read_declared(workspace: Workspace, pipeline: str | None = None) -> DeclaredPipeline:
    """A pipeline's declaration; without a name that of the only one, or of ``training``.

    UsageError where there is none of that name; what is wrong in it is told by its ``faults``.
    """
    names = workspace.pipelines
    read_file = cache(workspace.pipeline)
    read_outline = cache(partial(_nest_file, read_file, names))

    def read_resolved(name: str | None) -> DeclaredPipeline:
        declared = read_file(name)
        if not made_inputs.names_made_inputs(declared.pipeline):
            return declared  # nearly every pipeline: spares the look at others' files
        return made_inputs.resolve_made_inputs(declared, names, read_outline)

    return nest_pipelines(read_resolved(pipeline), names, read_resolved)


def _nest_file(
    read: Callable[[str], DeclaredPipeline], names: Collection[str], name: str
) -> DeclaredPipeline:
    """A pipeline with those in it, as far as what it makes goes: where its inputs come from is not
    asked, for they may be made by who asks."""
    return nest_pipelines(read(name), names, read)


def read_pipelines(workspace: Workspace) -> dict[str, DeclaredPipeline]:
    """Every pipeline's declaration, by name."""
    return {name: read_declared(workspace, name) for name in workspace.pipelines}


def resolve_given_inputs(
    workspace: Workspace, pipeline: str, inputs: Mapping[str, str]
) -> dict[str, str]:
    """The inputs that a run is given, in which an output of another pipeline is its path.

    UsageError with every one that there is not.
    """
    paths: dict[str, str] = {}
    faults: list[Fault] = []
    names = workspace.pipelines
    read_outline = partial(_nest_file, workspace.pipeline, names)
    finder = made_inputs.OutputFinder(pipeline, names, read_outline)
    for name, text in inputs.items():
        try:
            paths[name] = finder.resolve_path(text)
        except DeclarationError as error:
            faults += [Fault(f"input `{name}`: {f.what}", hint=f.hint) for f in error.faults]
    if faults:
        raise UsageError(*faults)
    return paths
