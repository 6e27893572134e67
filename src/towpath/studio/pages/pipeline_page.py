"""Pipelines: what is declared, a form to run it, and how the last runs went."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from towpath.drawing.picture import GraphPicture, picture_graph
from towpath.errors import TowpathError
from towpath.planning.declared_pipelines import read_declared
from towpath.planning.pipeline_check import drawable_graph
from towpath.studio.graph_view import BoxLook
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.pages.run_facts import RunLine, list_run_lines
from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Pipeline
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_RUNS = 10


@dataclass(frozen=True)
class ParameterLine:
    """A parameter: ``bounds`` in words, such as `above 0`."""

    name: str
    default: str
    bounds: str
    description: str
    raw: str  # as a form sends it, and `--param` takes it
    is_number: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class PipelineLine:
    name: str
    description: str
    steps: int
    runs: tuple[RunLine, ...]
    fault: str = ""


@dataclass(frozen=True)
class PipelineList:
    pipelines: tuple[PipelineLine, ...]


@dataclass(frozen=True)
class PipelinePage:
    line: PipelineLine
    params: tuple[ParameterLine, ...]
    inputs: tuple[tuple[str, str], ...]
    environments: tuple[str, ...]
    picture: GraphPicture | None
    looks: dict[str, BoxLook]
    file: str


def gather_pipelines(facts: ProjectFacts, _: PageRequest) -> PipelineList:
    return PipelineList(tuple(_pipeline_line(facts, name) for name in facts.workspace.pipelines))


def _pipeline_line(facts: ProjectFacts, name: str) -> PipelineLine:
    runs = tuple(list_run_lines(facts, _RUNS, name))
    try:
        pipeline = read_declared(facts.workspace, name).pipeline
    except TowpathError as wrong:
        return PipelineLine(name, "", 0, runs, _first_fault(wrong))
    return PipelineLine(name, pipeline.description or "", len(pipeline.steps), runs)


def _first_fault(wrong: TowpathError) -> str:
    fault = wrong.faults[0]
    more = f" (and {len(wrong.faults) - 1} more: towpath check)" if wrong.faults[1:] else ""
    return (f"{fault.place}: {fault.what}" if fault.place else fault.what) + more


def gather_pipeline(facts: ProjectFacts, request: PageRequest) -> PipelinePage:
    name = request.names["pipeline"]
    if name not in facts.workspace.pipelines:
        raise NoSuchPage(f"no pipeline `{name}`")
    line = _pipeline_line(facts, name)
    try:
        pipeline = read_declared(facts.workspace, name).pipeline
        picture = picture_graph(drawable_graph(facts.workspace, name, ""))
    except TowpathError as wrong:
        facts.notes.append(_first_fault(wrong))
        return PipelinePage(line, (), (), (), None, {}, f"flows/{name}/pipeline.yaml")
    return PipelinePage(
        line,
        tuple(_parameter_lines(pipeline)),
        tuple((name, _input_words(value)) for name, value in pipeline.inputs.items()),
        tuple(pipeline.environments),
        picture,
        {},
        f"flows/{name}/pipeline.yaml",
    )


_BOUNDS = ("above", "at_least", "below", "at_most", "choices")


def _parameter_lines(pipeline: Pipeline) -> Iterator[ParameterLine]:
    for name, declared in pipeline.params.items():
        value: Any = declared
        default = getattr(value, "default", value)
        bounds = ((word, getattr(value, word, None)) for word in _BOUNDS)
        words = ", ".join(
            f"{word.replace('_', ' ')} {show_number(bound)}"
            for word, bound in bounds
            if bound is not None
        )
        choices = getattr(value, "choices", None) or (
            (True, False) if isinstance(default, bool) else ()
        )
        yield ParameterLine(
            name, show_number(default), words, getattr(value, "description", "") or "",
            raw=_raw_value(default),
            is_number=isinstance(default, int | float) and not isinstance(default, bool),
            choices=tuple(map(_raw_value, choices)),
        )  # fmt: skip


def _raw_value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _input_words(value: Any) -> str:
    if isinstance(value, str):
        return value
    described = (getattr(value, name, None) for name in ("path", "address", "model", "last"))
    return next((str(word) for word in described if word), str(value))
