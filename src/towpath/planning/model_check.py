"""A `create_model` step held against its files and functions: what `towpath check` says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.config import model_parts
from towpath.config.names_and_paths import is_model_reference
from towpath.config.pipeline_declaration import CreateModel, list_bindings
from towpath.errors import DeclarationError, Fault, Place, TowpathError, did_you_mean
from towpath.pipeline import file_formats
from towpath.pipeline.step_graph import Node, outputs_of
from towpath.planning import model_code
from towpath.steps import formats

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.dependencies import CodeReader, StepSignature

PREDICT = "write `predict: module:function` for what is no estimator of scikit-learn's"


class ModelCheck(Struct, frozen=True, dict=True):
    """Holds a step against the functions and files that it names."""

    reader: CodeReader
    declared: DeclaredPipeline
    nodes: Mapping[str, Node]
    node: Node

    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong between them."""
        yield from self._samples_faults()
        yield from self._chain_faults()
        yield from self._predict_faults()
        yield from self._card_faults()
        try:
            sources = model_code.list_model_sources(self.reader, self.declared.folder, self.node)
        except TowpathError:  # what does not parse is said already, with its line
            return
        for file in sources:
            if file.startswith("/"):
                what = f"`{self.node.name}` needs {file}, which lies outside of the project"
                hint = "install it as a package, which is pinned, or move it into the project"
                yield Fault(what, self._place_of(), hint)

    @cached_property
    def step(self) -> CreateModel:
        assert isinstance(self.node.step, CreateModel)
        return self.node.step

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts that are declared, be their references right or wrong."""
        return model_parts.part_names(name for name, *_ in list_bindings(self.step, "inputs"))

    def _place_of(self, *loc: str | int) -> Place | None:
        places, name = self.declared.places, self.node.name
        return places.find_place("steps", name, *loc) or places.find_place("steps", name)

    def _input_place(self, input_name: str) -> Place | None:
        positions = {name: position for name, _, position in list_bindings(self.step, "inputs")}
        return self._place_of("inputs", positions[input_name])

    def _files_of(self, name: str) -> list[str]:
        source = self.node.arguments.get(name)
        if source is None:
            return []
        files = file_formats.files_of_declared(self.declared, self.nodes, source)
        return [file.path for file in files if not is_model_reference(file.path)]

    def _samples_faults(self) -> Iterator[Fault]:
        for path in self._files_of(model_parts.SAMPLES):
            format = formats.find_format(path)
            if format is None or not format.is_table:
                what = f"the samples of `{self.node.name}` are {path}, which is no table"
                yield Fault(what, self._input_place(model_parts.SAMPLES), formats.TABLES)

    def _chain_faults(self) -> Iterator[Fault]:
        for place, link in enumerate(model_parts.chain_links(self.step, self.parts)):
            if link in self.parts:
                yield from self._part_faults(link)
                continue
            link_place = self._place_of("chain", place)
            signature, faults = self._read_signature(link, link_place)
            yield from faults
            if signature is None:
                continue
            required = [argument.name for argument in signature.arguments if argument.required]
            if len(required) > 1 or not signature.arguments:
                takes = ", ".join(required) or "none"
                what = f"{signature.function}() takes {takes}: in a chain it gets one argument"
                yield Fault(what, Place(signature.file, signature.line), PREDICT)

    def _part_faults(self, part: str) -> Iterator[Fault]:
        source = self.node.arguments.get(part)
        if source is not None and any(choice.keys for choice in outputs_of(source)):
            what = f"`{part}` is a value, and rows go through models and functions"
            yield Fault(what, self._input_place(part), PREDICT)
        for path in self._files_of(part):
            format = formats.find_format(path)
            if format is None or format.name != "skops":
                what = f"`{part}` is {path}, and a chain is of .skops files and functions"
                yield Fault(what, self._input_place(part), PREDICT)

    def _read_signature(
        self, run: str, place: Place | None
    ) -> tuple[StepSignature | None, list[Fault]]:
        try:
            return self.reader.step_signature(self.declared.folder, run), []
        except DeclarationError as error:
            if self.step.chain and (near := did_you_mean(run, self.parts)):
                what = f"`{run}` is no input of `{self.node.name}`, and no function"
                return None, [Fault(what, place, near)]
            return None, [place_fault(fault, place) for fault in error.faults]

    def _predict_faults(self) -> Iterator[Fault]:
        if self.step.predict is None:
            return
        arguments = [model_parts.MODEL] if self.step.load else list(self.parts)
        yield from self._call_faults("predict", self.step.predict, [model_parts.DATA, *arguments])
        if self.step.load:
            yield from self._call_faults("load", self.step.load, list(self.parts))

    def _call_faults(self, key: str, run: str, arguments: list[str]) -> Iterator[Fault]:
        """What a function that gets these arguments by name lacks, or has too much."""
        place = self._place_of(key)
        signature, faults = self._read_signature(run, place)
        yield from faults
        if signature is None:
            return
        takes = {argument.name: argument for argument in signature.arguments}
        defined = Place(signature.file, signature.line)
        unknown = [name for name in arguments if name not in takes]
        for name in unknown:
            words = "the table" if name == model_parts.DATA else f"as `{key}` is called with it"
            what = f"{signature.function}() has no argument `{name}`, {words}"
            yield Fault(what, defined, did_you_mean(name, takes))
        for name, argument in takes.items():
            if argument.required and name not in arguments and not did_you_mean(name, unknown):
                what = f"{signature.function}() wants `{name}`, which `{key}` is not given"
                hint = did_you_mean(name, arguments) or f"it is given {', '.join(arguments)}"
                yield Fault(what, defined, hint)

    def _card_faults(self) -> Iterator[Fault]:
        card, folder = self.step.card, self.declared.folder
        if card and not self.reader.file_names(folder, (card,)):
            place = self._place_of("card")
            yield Fault(f"there is no {card}", place, f"it is looked for in {folder}/ and the root")


def place_fault(fault: Fault, place: Place | None) -> Fault:
    """A fault of the code at its own line, which that has; else at the line that names it."""
    has_line = fault.place is not None and fault.place.line > 0
    return fault if has_line else Fault(fault.what, place, fault.hint)
