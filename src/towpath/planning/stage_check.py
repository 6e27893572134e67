"""The stages that inputs name, `taxi#prod`, held against those that the project declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.config import names_and_paths
from towpath.errors import Fault, Place, did_you_mean

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.workspace import Workspace


def find_stage_faults(workspace: Workspace, declared: DeclaredPipeline) -> Iterator[Fault]:
    """What inputs name of stages that are not there, each at its line; of environments too."""
    places = declared.places
    named = [
        (file.path, places.find_place("inputs", name))
        for name, file in declared.pipeline.inputs.items()
    ]
    for environment, values in declared.pipeline.environments.items():
        for name, path in values.inputs.items():
            named.append((path, places.find_place("for", environment, "inputs", name)))
    for path, place in named:
        if names_and_paths.is_model_reference(path):
            fault = find_stage_fault(workspace, path, place)
            yield from (fault,) if fault else ()


def find_stage_fault(
    workspace: Workspace, reference: str, place: Place | None = None
) -> Fault | None:
    """What is wrong with the stage that a reference to a model names; None where it names none,
    and where stages are declared elsewhere."""
    stage, stages = reference.partition("#")[2], workspace.project.stages
    if not stage or not stages or stage in stages or workspace.shared_registry:
        return None
    hint = did_you_mean(stage, stages) or f"the stages are {', '.join(stages)}"
    return Fault(f"`{reference}`: there is no stage `{stage}`", place, hint)
