"""Inputs that name an output of another pipeline, and the files that they stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from towpath.config import names_and_paths
from towpath.config.file_declaration import Input, Output
from towpath.config.pipeline_declaration import Pipeline, QualityCheck, Step
from towpath.errors import DeclarationError, Fault, did_you_mean
from towpath.pipeline.artifact_paths import FOLDER
from towpath.pipeline.compile_graph import list_declared_steps
from towpath.pipeline.last_inputs import read_as_output
from towpath.pipeline.nested_pipelines import ReadDeclared
from towpath.pipeline.step_cells import handed_outputs

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline


def resolve_made_inputs(
    declared: DeclaredPipeline, pipelines: Collection[str], read: ReadDeclared
) -> DeclaredPipeline:
    """The declaration in which each ``data_processing:create.table`` is the file where a run puts
    it, read as it is written; a fault where there is no such output.

    ``pipelines`` are those of the project, and ``read`` gives the declaration of one.
    """
    finder = OutputFinder(declared.pipeline.name, pipelines, read)
    faults: list[Fault] = []
    unresolved: set[str] = set()
    inputs: dict[str, Input] = {}
    for name, file in declared.pipeline.inputs.items():
        try:
            inputs[name] = finder.resolve_input(file)
        except DeclarationError as error:
            place = declared.places.find_place("inputs", name)
            faults += [replace(fault, place=place) for fault in error.faults]
            unresolved.add(name)
    environments = dict(declared.pipeline.environments)
    for environment, values in environments.items():
        paths = dict(values.inputs)
        for name, text in values.inputs.items():
            try:
                paths[name] = finder.resolve_path(text)
            except DeclarationError as error:
                place = declared.places.find_place("for", environment, "inputs", name)
                faults += [replace(fault, place=place) for fault in error.faults]
        environments[environment] = values.model_copy(update={"inputs": paths})
    update = {"inputs": inputs, "environments": environments}
    return replace(
        declared,
        pipeline=declared.pipeline.model_copy(update=update),
        faults=(*declared.faults, *faults),
        # It is declared, so that nothing more is said of what refers to it.
        malformed=declared.malformed | unresolved,
    )


def names_made_inputs(pipeline: Pipeline) -> bool:
    """Whether a pipeline names outputs of others, be it for one environment."""
    paths = [file.path for file in pipeline.inputs.values()]
    paths += [path for values in pipeline.environments.values() for path in values.inputs.values()]
    return any(map(names_and_paths.is_output_reference, paths))


class OutputFinder:
    """Finds the files that references name for a run of ``pipeline``; DeclarationError, without a
    place, where there is no such output."""

    def __init__(self, pipeline: str, pipelines: Collection[str], read: ReadDeclared) -> None:
        self.pipeline = pipeline
        self.pipelines = pipelines
        self.read = read

    def resolve_input(self, file: Input) -> Input:
        """The input as the file that it names; any other as it is."""
        if not names_and_paths.is_output_reference(file.path):
            return file
        path, output = self._find_output(file.path)
        # What the other pipeline says of the file need not be said again.
        return read_as_output(file, output, path)

    def resolve_path(self, text: str) -> str:
        """The path of what ``text`` names; any other text as it is."""
        if not names_and_paths.is_output_reference(text):
            return text
        return self._find_output(text)[0]

    def _find_output(self, text: str) -> tuple[str, Output]:
        """The file that a reference names, from the project's root, and how it is declared."""
        pipeline, _, reference = text.partition(":")
        step, _, output = reference.rpartition(".")
        if pipeline == self.pipeline:
            hint = f"remove the input, and refer to `{reference}`"
            _refuse(f"`{text}` is an output of this pipeline", hint)
        if pipeline not in self.pipelines:
            listed = f"there is {_listed(self.pipelines)}; a file of that name is `./{text}`"
            near = did_you_mean(pipeline, self.pipelines)
            _refuse(f"`{text}`: there is no pipeline `{pipeline}`", near or listed)
        maker = self._find_step(text, pipeline, reference)
        outputs = handed_outputs(maker)
        if output not in outputs:
            shown = f"step `{step}` of pipeline `{pipeline}`"
            if not outputs:
                _refuse(f"`{text}`: {shown} ({maker.kind}) has no outputs", None)
            near = did_you_mean(output, outputs) or f"it has {_listed(outputs)}"
            _refuse(f"`{text}`: {shown} has no output `{output}`", near)
        if isinstance(maker, QualityCheck) and output == "data":
            what = f"`{text}` are the bytes that the check was given, and not its own"
            _refuse(what, "name what it checks")
        file = outputs[output]
        return f"{FOLDER}/{pipeline}/{step}/{file.path}", file

    def _find_step(self, text: str, pipeline: str, reference: str) -> Step:
        """The step of another pipeline whose output ``reference`` names."""
        declared = self.read(pipeline)
        steps, step = list_declared_steps(declared), reference.rpartition(".")[0]
        if step not in steps:
            if step in declared.malformed or declared.blind:
                hint = f"`towpath check {pipeline}` says what is wrong with it"
                _refuse(f"`{text}`: pipeline `{pipeline}` is not sound", hint)
            if step.partition(".")[0] in steps:
                whole = ".".join(reference.split(".")[:2])
                _refuse(f"`{text}` is inside of an output", f"write `{pipeline}:{whole}`")
            near = did_you_mean(step, steps) or f"it has {_listed(steps)}"
            _refuse(f"`{text}`: pipeline `{pipeline}` has no step `{step}`", near)
        return steps[step]


def _refuse(what: str, hint: str | None) -> None:
    raise DeclarationError(Fault(what, hint=hint))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
