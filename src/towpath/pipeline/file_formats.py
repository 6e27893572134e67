"""How a pipeline's files are read and written: the formats and options that it declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.config import names_and_paths
from towpath.config.file_declaration import Input, Output, Readable
from towpath.config.format_names import FORMAT_NAMES, formats_with, options_of_format
from towpath.config.pipeline_declaration import QualityCheck, named_outputs
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import Fault, Place, did_you_mean
from towpath.pipeline.last_inputs import read_as_written
from towpath.pipeline.step_graph import FromInput, Graph, Node, Source, outputs_of
from towpath.steps import formats
from towpath.steps.formats import Format

if TYPE_CHECKING:
    from towpath.config.artifact import Artifact


def given_input(declared: Input, path: str) -> Input:
    """An input as a run takes it: what is declared of the file holds for another one in its place,
    but for a format that the other's extension says otherwise."""
    if path == declared.path:
        return declared
    # `--input data=more.parquet` for a declared CSV of `format: csv` is no CSV.
    changed: dict[str, object] = {"path": path}
    is_alike = PurePosixPath(path).suffix == PurePosixPath(declared.path).suffix
    if not is_alike and formats.find_format(path):
        changed["format"] = None
    changed |= dict.fromkeys(("last", "otherwise"))
    if declared.output and not names_and_paths.is_model_reference(path):
        changed["output"] = None
    return declared.model_copy(update=changed)


def files_of(graph: Graph, source: Source) -> Iterator[Input | Output]:
    """The declarations of the files that an argument may come from; none of a value."""
    if isinstance(source, FromInput):
        yield graph.files[source.name]
    for choice in outputs_of(source):
        if not choice.keys:
            yield graph.nodes[choice.step].file_of(choice.output)


def files_of_declared(
    declared: DeclaredPipeline, nodes: Mapping[str, Node], source: Source
) -> Iterator[Input | Output]:
    """The same before there is a graph: what a check hands on is what it checks."""
    if isinstance(source, FromInput) and source.name in declared.pipeline.inputs:
        file = read_as_written(declared.pipeline, declared.pipeline.inputs[source.name])
        if file.path != file.last:  # of an output that is not there nothing is known
            yield file
    for choice in outputs_of(source):
        node = nodes[choice.step]
        if isinstance(node.step, QualityCheck) and choice.output == "data":
            if checked := node.arguments.get("data"):
                yield from files_of_declared(declared, nodes, checked)
        elif not choice.keys:
            yield node.outputs[choice.output]


def read_otherwise(declared: DeclaredPipeline, file: Input | Output, asked: str) -> str:
    """What a file is read as that cannot be read as the table asked for; empty where it can."""
    if names_and_paths.is_model_reference(file.path) and not file.format:
        return ""  # only the record of the version knows its file
    format = formats.find_format(file.path, file.format, declared.own_formats)
    if format is None or (names_and_paths.is_folder_path(file.path) and not format.run):
        return "handed on as a path: nothing here reads it"
    # What a file of objects holds, only reading it tells: nothing is said of those.
    holds_objects = format.run or format.module in ("pickles", "model_files")
    if holds_objects or asked in format.types or asked == format.default:
        return ""
    return f"{format.name}, which is read as {format.default}"


def declared_format(graph: Graph, source: Source) -> str | None:
    """The format that is declared for what a source takes, where one is."""
    return next((file.format for file in files_of(graph, source) if file.format), None)


def declared_options(graph: Graph, source: Source) -> TableOptions:
    """What is declared of the text of the table that a source takes."""
    declared = (file.options for file in files_of(graph, source))
    return next((options for options in declared if options.declared_options()), NO_OPTIONS)


def own_formats(
    graph: Graph, node: Node, arguments: Mapping[str, Artifact] | None = None
) -> dict[str, str]:
    """The project's own formats that a step reads or writes: the class of each, by name.

    ``arguments`` are the artifacts that it reads, as far as they are known.
    """
    if not graph.formats:  # nearly every pipeline: spares the look at each file
        return {}
    files = [(file.path, file.format) for file in node.outputs.values()]
    for name, source in node.arguments.items():
        files += [(file.path, file.format) for file in files_of(graph, source)]
        if arguments and name in arguments:
            files.append((arguments[name].name, declared_format(graph, source)))
    used = (formats.find_format(path, declared, graph.formats) for path, declared in files)
    return {format.name: format.run for format in used if format and format.run}


# what is wrong with them


class _DeclaredFile(Struct, frozen=True):
    """An input or an output, where it is declared."""

    file: Readable
    path: str
    at: tuple[str | int, ...]


def format_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """Formats that nothing knows, and options that a format does not take."""
    format_names = (*FORMAT_NAMES, *declared.own_formats)
    for declared_file in _declared_files(declared):
        name = declared_file.file.format
        if name and name not in format_names and not declared.blind:
            what = names_and_paths.unknown_format(name, format_names)
            hint = did_you_mean(name, format_names) or names_and_paths.OWN_FORMATS
            yield Fault(what, declared.places.find_place(*declared_file.at, "format"), hint)
        else:
            yield from _option_faults(declared, declared_file)


def _declared_files(declared: DeclaredPipeline) -> Iterator[_DeclaredFile]:
    for name, file in declared.pipeline.inputs.items():
        read_as = read_as_written(declared.pipeline, file)
        yield _DeclaredFile(read_as, read_as.path, ("inputs", name))
    for name, step in declared.pipeline.steps.items():
        if not hasattr(step, "outputs"):
            continue
        is_list = not isinstance(step.outputs, Mapping)
        for index, (output, written) in enumerate(named_outputs(step)):
            location = ("steps", name, "outputs", index if is_list else output)
            yield _DeclaredFile(written, written.path, location)


def _option_faults(declared: DeclaredPipeline, each: _DeclaredFile) -> Iterator[Fault]:
    options = each.file.options.declared_options()
    format = formats.find_format(each.path, each.file.format, declared.own_formats)
    takes = options_of_format(format.name) if format else ()
    if isinstance(each.file, Input) and each.file.is_model:
        format, takes = None, ()
        options |= {"format": each.file.format} if each.file.format else {}
    for option in options:
        if option not in takes:
            place = declared.places.find_place(*each.at, option)
            yield _unfit_option(option, each, format, place)
    if "separator" in takes and format and options.get("decimal") == ",":
        separator = options.get("separator") or {"csv": ",", "tsv": "\t"}[format.name]
        if separator == ",":
            what = "the decimal mark `,` is the separator too"
            place = declared.places.find_place(*each.at, "decimal")
            yield Fault(what, place, 'say which it is: `separator: ";"`')


def _unfit_option(
    option: str, each: _DeclaredFile, format: Format | None, place: Place | None
) -> Fault:
    path, takes = each.path, ", ".join(formats_with(option))
    if isinstance(each.file, Input) and each.file.is_model:
        return Fault(f"`{option}` says how a file is read, and {path} is a model", place)
    if format is None:
        what = f"`{option}` is for {takes}, and nothing here reads {path}"
        return Fault(what, place, f"say its format: `format: {formats_with(option)[0]}`")
    return Fault(f"`{option}` is for {takes}, and {path} is {format.name}", place, "remove it")
