"""What is wrong with the steps of a pipeline: the names in commands, outputs, chains of models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from msgspec import Struct
from pydantic_core import PydanticCustomError

from towpath.config import model_parts, names_and_paths
from towpath.config.command_line import UnfitCommand, parse_command
from towpath.config.file_declaration import Output
from towpath.config.pipeline_declaration import (
    DECLARES_OUTPUTS,
    BatchTransform,
    BiasCheck,
    CommandStep,
    Condition,
    CreateModel,
    Evaluation,
    Explain,
    Fail,
    NotebookStep,
    Notify,
    QualityCheck,
    RegisterModel,
    Step,
    Stop,
    Training,
    is_json,
    list_bindings,
    named_outputs,
    output_files,
)
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import Fault, Place, did_you_mean

#: The files of parameters that can be written for a command.
SETTINGS_FILES = (".yaml", ".yml", ".json")


def find_command_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """Everything that is wrong with the commands, each with its place."""
    for name, step in declared.pipeline.steps.items():
        if isinstance(step, CommandStep):
            yield from _Names(declared, name, step).faults()
        elif isinstance(step, Notify) and step.command is not None:
            place = declared.places.find_place("steps", name, "command")
            yield from _notifying_faults(step.command, place)


def find_surroundings_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """What is said of the process of a step that has none: the run itself carries it out."""
    for name, step in declared.pipeline.steps.items():
        by_block = isinstance(step, Notify) and step.block is not None
        if not by_block and not isinstance(step, Condition | Fail | RegisterModel | Stop):
            continue
        for key in ("env", "secrets", "environment"):
            if getattr(step, key):
                what = f"`{name}` ({step.kind}) has no process that `{key}` could be for"
                yield Fault(what, declared.places.find_place("steps", name, key), "remove it")


def _notifying_faults(command: str | tuple[str, ...], place: Place | None) -> Iterator[Fault]:
    try:
        names = parse_command(command).names
    except UnfitCommand as error:
        shell = 'write `command: [bash, -c, "..."]`'
        yield Fault(str(error), place, shell if "shell" in (error.hint or "") else error.hint)
        return
    for name in names:
        what = f"the command names `{name}`, and is given the message alone, as its input"
        hint = f"write {{{name}}} in the message, or `{{{{{name}}}}}` to have the braces"
        yield Fault(what, place, hint)


class _Names(Struct, frozen=True):
    declared: DeclaredPipeline
    name: str
    step: CommandStep

    def faults(self) -> Iterator[Fault]:
        try:
            named = parse_command(self.step.command, self.step.shell).names
        except UnfitCommand as error:  # without its words every name would be told as unused
            yield Fault(str(error), self._place_of("command"), error.hint)
            return
        yield from self._unknown_faults(named, "command", "the command names")
        yield from self._unknown_faults(tuple(self.step.places), "places", "`places` names")
        yield from self._repeated_faults()
        yield from self._unused_faults(named)
        yield from self._settings_faults()
        yield from self._metrics_faults()
        yield from self._places_faults()

    def _place_of(self, *loc: str | int) -> Place | None:
        return self.declared.places.find_place("steps", self.name, *loc)

    @property
    def _input_positions(self) -> dict[str, str | int]:
        return {name: position for name, _, position in list_bindings(self.step, "inputs") if name}

    @property
    def _param_positions(self) -> dict[str, str | int]:
        return {name: position for name, _, position in list_bindings(self.step, "params") if name}

    @property
    def _output_names(self) -> list[str]:
        return list(output_files(self.step))

    def _unknown_faults(self, named: tuple[str, ...], key: str, subject: str) -> Iterator[Fault]:
        files = [*self._input_positions, *self._output_names]
        possible_names = [*files, *self._param_positions] if key == "command" else files
        for name in named:
            if name not in possible_names:
                hint = did_you_mean(name, possible_names)
                if hint is None and key == "command":
                    hint = f"write `{{{{{name}}}}}` to have the braces as they are"
                kinds = "input, parameter or output" if key == "command" else "input or output"
                what = f"{subject} `{name}`, which is no {kinds} of `{self.name}`"
                key_path = (key,) if key == "command" else (key, name)
                yield Fault(what, self._place_of(*key_path), hint)

    def _repeated_faults(self) -> Iterator[Fault]:
        taken = {**self._input_positions, **self._param_positions}
        for name in self._output_names:
            if name in taken:
                what = f"`{name}` is given to the command and written by it: a name has one meaning"
                hint = f"rename it: `outputs: {{new_{name}: ...}}`"
                yield Fault(what, self._place_of("outputs"), hint)

    def _unused_faults(self, named: tuple[str, ...]) -> Iterator[Fault]:
        settings = {name for keys in self.step.settings.values() for name in keys.values()}
        elsewhere = {*named, *self.step.places, *settings, *self._near_names(named)}
        for key, positions, other in (
            ("inputs", self._input_positions, "places: {{{0}: path/of/the/file}}"),
            ("params", self._param_positions, "settings: {{params.yaml: {{{0}: {0}}}}}"),
        ):
            for name in [name for name in positions if name not in elsewhere]:
                hint = f"write `{{{name}}}` in it, or `{other.format(name)}`"
                place = self._place_of(key, positions[name])
                yield Fault(f"the command does not use `{name}`", place, hint)
        for name in self._output_names:
            if name not in elsewhere:
                what = f"the command does not say where it writes `{name}`"
                hint = f"write `{{{name}}}` in it, or `places: {{{name}: path/of/the/file}}`"
                yield Fault(what, self._place_of("outputs"), hint)

    def _near_names(self, named: tuple[str, ...]) -> Iterator[str]:
        # One typo is one fault: the name that an unknown one is near to counts as used.
        all_names = [*self._input_positions, *self._param_positions, *self._output_names]
        for name in (*named, *self.step.places):
            hint = did_you_mean(name, all_names) if name not in all_names else None
            yield from (near for near in all_names if hint and f"`{near}`" in hint)

    def _settings_faults(self) -> Iterator[Fault]:
        settable_names = {**self._param_positions, **self._input_positions}
        for file, keys in self.step.settings.items():
            place = self._place_of("settings", file)
            if PurePosixPath(file).suffix not in SETTINGS_FILES:
                yield Fault(f"{file} cannot be written: settings are .yaml or .json", place)
            for key, name in keys.items():
                if name not in settable_names:
                    what = f"`settings` names `{name}`, which is no parameter of `{self.name}`"
                    hint = did_you_mean(name, settable_names) or f"write `params: [{name}]`"
                    yield Fault(what, self._place_of("settings", file, key), hint)
            yield from self._nested_faults(file, tuple(keys), place)

    @staticmethod
    def _nested_faults(file: str, keys: tuple[str, ...], place: Place | None) -> Iterator[Fault]:
        for key in keys:
            inner = next((other for other in keys if other.startswith(f"{key}.")), None)
            if inner:
                yield Fault(f"{file}: `{inner}` lies in `{key}`, which has a value", place)

    def _metrics_faults(self) -> Iterator[Fault]:
        outputs = output_files(self.step)
        for name in self.step.metrics:
            if name not in outputs:
                hint = did_you_mean(name, outputs)
                what = f"`metrics` names `{name}`, which is no output of `{self.name}`"
                yield Fault(what, self._place_of("metrics"), hint)
            elif not is_json(outputs[name]):
                what = f"`{name}` is {outputs[name].path}: metrics are JSON"
                yield Fault(what, self._place_of("metrics"))

    def _places_faults(self) -> Iterator[Fault]:
        taken_places: dict[tuple[str, ...], str] = {}
        stand = {**{path: path for path in self.step.settings}, **self.step.places}
        for name, path in stand.items():
            parts = PurePosixPath(path.lower()).parts
            for other, theirs in taken_places.items():
                if _one_within(other, parts):
                    what = f"`{name}` ({path}) and `{theirs}` lie one within the other"
                    yield Fault(what, self._place_of("places", name), "each has a place of its own")
            taken_places[parts] = name


_FIXED = (QualityCheck, BiasCheck, Explain)  # whose outputs nobody names
_WRITING = (*DECLARES_OUTPUTS, CreateModel, *_FIXED)

LOG = "log.txt"  # the file beside a step's outputs that takes what it prints


class _WrittenOutput(Struct, frozen=True):
    """One output of a step, where it is declared, and whether the declaration names it."""

    name: str
    output: Output
    place: Place | None
    named: bool
    is_own: bool = True  # False: what a notebook leaves by itself

    @property
    def path_parts(self) -> tuple[str, ...]:
        # As macOS sees them, which lays `Model.skops` over `model.skops`.
        return PurePosixPath(self.output.path.lower()).parts


def find_output_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """What is wrong with the outputs of each step, and with inputs that a step writes."""
    for name, step in declared.pipeline.steps.items():
        if isinstance(step, _FIXED):
            continue
        written = list(_written_outputs(declared, name, step))
        yield from _name_faults(written)
        if isinstance(step, NotebookStep):
            yield from _repeated_variables(step, written)
        yield from _path_faults(written)
        yield from _kind_faults(name, step, written, declared.places.find_place("steps", name))
    yield from _input_faults(declared)


def _written_outputs(declared: DeclaredPipeline, name: str, step: Step) -> Iterator[_WrittenOutput]:
    outputs = getattr(step, "outputs", ())
    listed = not hasattr(outputs, "keys")
    for index, (output, file) in enumerate(named_outputs(step)):
        if index >= len(outputs):  # what a notebook leaves by itself stands in no list
            place = declared.places.find_place("steps", name, "notebook")
            yield _WrittenOutput(output, file, place, named=True, is_own=False)
            continue
        place = declared.places.find_place("steps", name, "outputs", index if listed else output)
        yield _WrittenOutput(output, file, place, named=not listed)


def _name_faults(found: list[_WrittenOutput]) -> Iterator[Fault]:
    first_by_name: dict[str, _WrittenOutput] = {}
    for written in found:
        first = first_by_name.setdefault(written.name, written)
        if first is not written:
            paths = f"`{first.output.path}` and `{written.output.path}`"
            other = written if written.is_own else first
            hint = f"name them: `outputs: {{other: {other.output.path}, ...}}`"
            yield Fault(f"{paths} are both named `{written.name}`", other.place, hint)
        elif not written.named and (wrong := _wrong_name(written.name)):
            hint = f"name it: `outputs: {{name: {written.output.path}}}`"
            yield Fault(wrong, written.place, hint)


def _repeated_variables(step: NotebookStep, written: list[_WrittenOutput]) -> Iterator[Fault]:
    """Names that a notebook would be given twice: each is one variable in it."""
    taken = {argument for key in ("inputs", "params") for argument, *_ in list_bindings(step, key)}
    for output in written:
        if output.is_own and output.name in {*taken, *step.literals}:
            what = f"`{output.name}` is given to the notebook, and written by it"
            hint = f"rename it: `outputs: {{new_{output.name}: {output.output.path}}}`"
            yield Fault(what, output.place, hint)


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
            elif written.path_parts != other.path_parts and _one_within(
                written.path_parts, other.path_parts
            ):
                what = f"`{path}` and `{other.output.path}` lie one within the other"
                yield Fault(what, written.place, "give each output a path of its own")


def _one_within(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(part == others for part, others in zip(one, other, strict=False))


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
    # An input that a step of the same pipeline writes: nothing would order the two.
    pipeline = declared.pipeline
    for name, file in pipeline.inputs.items():
        parts = PurePosixPath(file.path).parts
        if len(parts) < 3 or parts[:2] != ("artifacts", pipeline.name):
            continue
        step = pipeline.steps.get(parts[2])
        if isinstance(step, _WRITING):
            what = f"`{file.path}` is written by step `{parts[2]}` of this pipeline"
            output = f"{parts[2]}.{names_and_paths.output_stem(parts[-1])}"
            before = f"what the run before made is `{{last: {output}, ...}}`"
            hint = f"remove the input and refer to `{output}`; {before}"
            yield Fault(what, declared.places.find_place("inputs", name), hint)


def find_chain_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """Everything that is wrong with the parts of models, each with its place."""
    for name, step in declared.pipeline.steps.items():
        if isinstance(step, CreateModel):
            yield from _faults_of_model(declared, name, step)


def _faults_of_model(declared: DeclaredPipeline, name: str, step: CreateModel) -> Iterator[Fault]:
    positions = {input_name: position for input_name, _, position in list_bindings(step, "inputs")}
    parts = model_parts.part_names(positions)

    def place_of(*loc: str | int) -> Place | None:
        return declared.places.find_place("steps", name, *loc)

    if not parts:
        hint = "write `inputs: {model: train.model, samples: ...}`"
        yield Fault(f"`{name}` puts a model together of no part", place_of("inputs"), hint)
    elif step.predict:
        yield from _function_faults(step, parts, place_of("predict"), place_of("chain"))
    elif step.load:
        what = "`load` gives what `predict` predicts with, and there is no `predict`"
        yield Fault(what, place_of("load"), "write `predict: module:function`")
    elif step.chain:
        yield from _order_faults(step, parts, place_of("chain"))
        checked_parts = parts if set(parts).intersection(step.chain) else ()
        for part in checked_parts:
            if part not in step.chain and not _near_links(step, part, parts):
                what = f"`{part}` is not in the chain of `{name}`"
                hint = f"write it there, or remove it: `chain: [{', '.join(parts)}]`"
                yield Fault(what, place_of("inputs", positions[part]), hint)
    elif len(parts) > 1:
        what = f"`{name}` does not say in which order rows go through {_listed(parts)}"
        hint = f"`chain: [{', '.join(parts)}]`, or `predict: module:function`"
        yield Fault(what, place_of(), hint)


def _function_faults(
    step: CreateModel, parts: tuple[str, ...], place: Place | None, chain_place: Place | None
) -> Iterator[Fault]:
    if step.chain:
        what = "`chain` and `predict` both say how rows become predictions"
        yield Fault(what, chain_place, "remove one of them")
    if model_parts.DATA in parts and not step.load:
        what = f"an input is called `{model_parts.DATA}`, as the table that `predict` takes"
        yield Fault(what, place, "rename the input: `inputs: {words: ...}`")


def _order_faults(
    step: CreateModel, parts: tuple[str, ...], place: Place | None
) -> Iterator[Fault]:
    repeated = next((link for link in step.chain if step.chain.count(link) > 1), None)
    if repeated:
        yield Fault(f"`{repeated}` is in the chain twice", place)
    are_near = any(_near_links(step, part, parts) for part in parts)
    if not are_near and not set(step.chain).intersection(parts):
        yield Fault("the chain holds no input, and so no model", place, f"name {_listed(parts)}")


def _near_links(step: CreateModel, part: str, parts: tuple[str, ...]) -> bool:
    # One typo is one fault: a link that is no part and near to one stands for that.
    unknown = [link for link in step.chain if link not in parts]
    return did_you_mean(part, unknown) is not None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
