"""What is wrong with the names of a pipeline: two meanings of one, and those that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from towpath.config.parameter_groups import list_groups
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import Fault
from towpath.pipeline.pipeline_names import PipelineNames


def find_shared_names(declared: DeclaredPipeline) -> Iterator[Fault]:
    """Names that mean two things, and steps that differ in capitals only."""
    # Parameters, inputs and steps are one namespace, for a reference does not say which it means;
    # and folders are named after steps, on file systems that do not tell capitals.
    sections: dict[str, str] = {}
    pipeline = declared.pipeline
    for section, entries in (
        ("params", pipeline.params),
        ("inputs", pipeline.inputs),
        ("steps", pipeline.steps),
    ):
        for name in entries:
            if "." in name:  # its reference begins with `params`: it is in nobody's way
                continue
            if name in sections:
                what = f"`{name}` is in `{sections[name]}` already: a name has one meaning"
                yield Fault(what, declared.places.find_place(section, name), "rename one of them")
            sections.setdefault(name, section)
    for name in sorted(list_groups(pipeline.params) & pipeline.inputs.keys()):
        what = f"`{name}` is a group of `params` already, and the flow takes both by their names"
        yield Fault(what, declared.places.find_place("inputs", name), "rename one of them")
    folded: dict[str, str] = {}
    for name in pipeline.steps:
        other = folded.setdefault(name.lower(), name)
        if other != name:
            what = f"step `{name}` differs from `{other}` in capitals only"
            yield Fault(what, declared.places.find_place("steps", name), "rename one of them")


def find_unused_names(declared: DeclaredPipeline, names: PipelineNames) -> Iterator[Fault]:
    """Parameters and inputs that no step uses."""
    if declared.blind:  # what could not be read may use it
        return
    pipeline = declared.pipeline
    for section, word, others in (
        ("params", "parameter", pipeline.inputs.keys() | pipeline.steps.keys()),
        ("inputs", "input", pipeline.params.keys() | pipeline.steps.keys()),
    ):
        for name in getattr(pipeline, section):
            if name not in names.used and name not in others:
                if name in declared.file_params:  # a file serves several pipelines
                    continue
                place = declared.places.find_place(section, *name.split("."))
                yield Fault(
                    f"{word} `{name}` is not used by any step", place, "remove it, or use it"
                )
