"""The declarations of a project's pipelines, in which what one takes from another is resolved."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from towpath.errors import DeclarationError, Fault, UsageError
from towpath.pipeline import made_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.workspace import Workspace


def read_declared(workspace: Workspace, pipeline: str | None = None) -> DeclaredPipeline:
    """A pipeline's declaration; without a name that of the only one, or of ``training``.

    UsageError where there is none of that name; what is wrong in it is told by its ``faults``.
    """
    declared = workspace.pipeline(pipeline)
    if not made_inputs.names_made_inputs(declared.pipeline):
        return declared  # nearly every pipeline: spares the look at others' files
    return made_inputs.resolve_made_inputs(declared, workspace.pipelines, cache(workspace.pipeline))


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
    for name, text in inputs.items():
        try:
            paths[name] = made_inputs.find_made_path(
                text, pipeline, workspace.pipelines, workspace.pipeline
            )
        except DeclarationError as error:
            faults += [Fault(f"input `{name}`: {f.what}", hint=f.hint) for f in error.faults]
    if faults:
        raise UsageError(*faults)
    return paths
