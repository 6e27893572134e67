"""Inputs that are what an earlier run of the same pipeline made: ``{last: pickup.table}``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.config import names_and_paths
from towpath.config.expression import parse_alternatives
from towpath.config.file_declaration import Input, Output, Readable
from towpath.errors import Fault, Place
from towpath.pipeline.step_cells import handed_outputs
from towpath.steps import formats

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Pipeline
    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.pipeline.pipeline_names import PipelineNames


def find_last_output(pipeline: Pipeline, file: Input) -> Output | None:
    """The declaration of the output that an input is of; None of any other input."""
    if file.last is None:
        return None
    step, _, output = file.last.partition(".")
    declared = pipeline.steps.get(step)
    return handed_outputs(declared).get(output) if declared else None


def read_as_written(pipeline: Pipeline, file: Input) -> Input:
    """An input with what is declared of how its output is written, and with the path of its file;
    any other as it is."""
    output = find_last_output(pipeline, file)
    return read_as_output(file, output, output.path) if output else file


def read_as_output(file: Input, output: Output, path: str) -> Input:
    """The input at a path where it is an output, read as that is declared but for what it says."""
    read_as = {key: getattr(file, key) or getattr(output, key) for key in Readable.model_fields}
    return file.model_copy(update={**read_as, "path": path})


def list_last_names(pipeline: Pipeline) -> tuple[str, ...]:
    """The inputs that are what an earlier run made."""
    return tuple(name for name, file in pipeline.inputs.items() if file.last is not None)


def find_last_faults(declared: DeclaredPipeline, names: PipelineNames) -> Iterator[Fault]:
    """Outputs that no step makes, and files in their place that would be read otherwise."""
    for name, file in declared.pipeline.inputs.items():
        if file.last is None:
            continue
        place = declared.places.find_place("inputs", name, "last")
        (reference,) = parse_alternatives(file.last)
        if reference.name not in declared.pipeline.steps:
            names.step(reference.name, place)
            continue
        names.find_single_source(reference, place)
        otherwise = declared.places.find_place("inputs", name, "otherwise") or place
        yield from _otherwise_faults(declared, file, otherwise)


def _otherwise_faults(
    declared: DeclaredPipeline, file: Input, place: Place | None
) -> Iterator[Fault]:
    output = find_last_output(declared.pipeline, file)
    if output is None or file.otherwise is None:
        return
    path, own = file.otherwise, declared.own_formats
    is_folder = names_and_paths.is_folder_path
    written = formats.find_format(output.path, file.format or output.format, own)
    instead = formats.find_format(path, file.format or output.format, own)
    if is_folder(path) != is_folder(output.path) or written != instead:
        what = f"`{path}` is not read as {output.path} is, in whose place it stands"
        suffix = "/" if is_folder(output.path) else f".{output.path.rpartition('.')[2]}"
        hint = f"write it as `{file.last}` is written, such as `data/first{suffix}`"
        yield Fault(what, place, hint)
