"""What steps write: outputs that clash, or that their kind cannot do without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic_core import PydanticCustomError

from towpath.config import names_and_paths
from towpath.config.pipeline_declaration import (
    BatchTransform,
    CommandStep,
    Evaluation,
    FunctionStep,
    Output,
    QualityCheck,
    Step,
    Training,
    is_json,
    named_outputs,
)
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import Fault, Place

LOG = "log.txt"  # the file beside a step's outputs that takes what it prints


@dataclass(frozen=True)
class _WrittenOutput:
    """One output of a step, where it is declared, and whether the declaration names it."""

    name: str
    output: Output
    place: Place | None
    named: bool

    @property
    def path_parts(self) -> tuple[str, ...]:
        """The path's parts as a file system sees them that does not tell capitals."""
        return PurePosixPath(self.output.path.lower()).parts


def find_output_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """What is wrong with the outputs of each step, and with inputs that a step writes."""
    for name, step in declared.pipeline.steps.items():
        if isinstance(step, QualityCheck):
            continue
        written = list(_written_outputs(declared, name, step))
        yield from _name_faults(written)
        yield from _path_faults(written)
        yield from _kind_faults(name, step, written, declared.places.find_place("steps", name))
    yield from _input_faults(declared)


def _written_outputs(declared: DeclaredPipeline, name: str, step: Step) -> Iterator[_WrittenOutput]:
    listed = not hasattr(getattr(step, "outputs", ()), "keys")
    for index, (output, file) in enumerate(named_outputs(step)):
        place = declared.places.find_place("steps", name, "outputs", index if listed else output)
        yield _WrittenOutput(output, file, place, named=not listed)


def _name_faults(found: list[_WrittenOutput]) -> Iterator[Fault]:
    first_by_name: dict[str, _WrittenOutput] = {}
    for written in found:
        first = first_by_name.setdefault(written.name, written)
        if first is not written:
            what = (
                f"`{first.output.path}` and `{written.output.path}` are both named `{written.name}`"
            )
            hint = f"name them: `outputs: {{other: {written.output.path}, ...}}`"
            yield Fault(what, written.place, hint)
        elif not written.named and (wrong := _wrong_name(written.name)):
            hint = f"name it: `outputs: {{name: {written.output.path}}}`"
            yield Fault(wrong, written.place, hint)


def _wrong_name(name: str) -> str | None:
    try:
        names_and_paths.check_argument_name(name)
    except PydanticCustomError as error:
        return str((error.context or {})["what"])
    return None


def _path_faults(found: list[_WrittenOutput]) -> Iterator[Fault]:
    for index, written in enumerate(found):
        path = written.output.path
        if written.path_parts == (LOG,):
            yield Fault(f"`{path}` is the step's own log", written.place, "give it another name")
        for other in found[:index]:
            if written.path_parts == other.path_parts and written.name != other.name:
                what = f"`{path}` is written twice: as `{other.name}` and as `{written.name}`"
                yield Fault(what, written.place, "give each output a path of its own")
            elif written.path_parts != other.path_parts and _one_within(written, other):
                what = f"`{path}` and `{other.output.path}` lie one within the other"
                yield Fault(what, written.place, "give each output a path of its own")


def _one_within(one: _WrittenOutput, other: _WrittenOutput) -> bool:
    size = min(len(one.path_parts), len(other.path_parts))
    return one.path_parts[:size] == other.path_parts[:size]


def _kind_faults(
    name: str, step: Step, found: list[_WrittenOutput], place: Place | None
) -> Iterator[Fault]:
    if isinstance(step, Training) and not found:
        yield Fault(f"`{name}` trains a model and writes none", place, "`outputs: [model.skops]`")
    if isinstance(step, Evaluation) and not any(is_json(written.output) for written in found):
        what = f"`{name}` is an evaluation and writes no metrics"
        yield Fault(what, place, "`outputs: [metrics.json]`")
    if isinstance(step, BatchTransform) and len(found) != 1:
        what = f"`{name}` writes one table, not {len(found)} outputs"
        yield Fault(what, place, "`outputs: [scored.parquet]`")


def _input_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """An input may not be what a step of the same pipeline writes: nothing would order them."""
    pipeline = declared.pipeline
    for name, file in pipeline.inputs.items():
        source = file.path
        parts = PurePosixPath(source).parts
        if len(parts) < 3 or parts[:2] != ("artifacts", pipeline.name):
            continue
        step = pipeline.steps.get(parts[2])
        if isinstance(step, FunctionStep | BatchTransform | CommandStep | QualityCheck):
            what = f"`{source}` is written by step `{parts[2]}` of this pipeline"
            hint = (
                f"remove the input and refer to "
                f"`{parts[2]}.{names_and_paths.output_stem(parts[-1])}`"
            )
            yield Fault(what, declared.places.find_place("inputs", name), hint)
