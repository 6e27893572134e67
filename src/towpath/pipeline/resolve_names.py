"""Resolve every name of a pipeline into nodes, and say all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from towpath.config import expression, message_template
from towpath.config.output_reference import Reference
from towpath.config.pipeline_declaration import (
    BatchTransform,
    CommandStep,
    Condition,
    Fail,
    FunctionStep,
    QualityCheck,
    RegisterModel,
    Step,
    bindings,
    is_json,
)
from towpath.config.pipeline_file import Declared
from towpath.errors import Fault, Place
from towpath.pipeline import (
    command_faults,
    condition_branches,
    file_formats,
    step_order,
    written_outputs,
)
from towpath.pipeline.pipeline_names import Names
from towpath.pipeline.step_graph import FromInput, FromParam, Literal, Node, Source, outputs_of


@dataclass(frozen=True)
class Resolved:
    """The nodes in an order to run them, and every fault; with faults the nodes are not whole."""

    nodes: Mapping[str, Node]
    faults: tuple[Fault, ...]


def resolve(declared: Declared) -> Resolved:
    """Resolve a declaration; its own faults come first among the answer's."""
    names = Names(declared)
    nodes = {name: _Binding(names, name, step).node() for name, step in _steps(declared)}
    nodes, faulty = condition_branches.placed(nodes, names)
    nodes = step_order.waiting(nodes)
    ordered, circles = step_order.ordered(nodes, declared.places)
    faults = [
        *declared.faults,
        *_shared_names(declared),
        *names.all_faults(),
        *written_outputs.faults(declared),
        *command_faults.faults(declared),
        *file_formats.format_faults(declared),
        *faulty,
        *circles,
        *([] if circles else condition_branches.never(ordered, names)),
        *_unused(declared, names),
    ]
    return Resolved(ordered, tuple(sorted(dict.fromkeys(faults), key=_position)))


def _steps(declared: Declared) -> Iterator[tuple[str, Step]]:
    yield from declared.pipeline.steps.items()


def _position(fault: Fault) -> tuple[str, int]:
    return (fault.place.file, fault.place.line) if fault.place else ("", 0)


def _shared_names(declared: Declared) -> Iterator[Fault]:
    """Rule 1: parameters, inputs and steps are one namespace; folders are named after steps."""
    seen: dict[str, str] = {}
    pipeline = declared.pipeline
    for section, entries in (
        ("params", pipeline.params),
        ("inputs", pipeline.inputs),
        ("steps", pipeline.steps),
    ):
        for name in entries:
            if name in seen:
                what = f"`{name}` is in `{seen[name]}` already: a name has one meaning"
                yield Fault(what, declared.places.at(section, name), "rename one of them")
            seen.setdefault(name, section)
    folded: dict[str, str] = {}
    for name in pipeline.steps:
        other = folded.setdefault(name.lower(), name)
        if other != name:
            what = f"step `{name}` differs from `{other}` in capitals only"
            yield Fault(what, declared.places.at("steps", name), "rename one of them")


def _unused(declared: Declared, names: Names) -> Iterator[Fault]:
    if declared.blind:
        return
    pipeline = declared.pipeline
    for section, word, others in (
        ("params", "parameter", pipeline.inputs.keys() | pipeline.steps.keys()),
        ("inputs", "input", pipeline.params.keys() | pipeline.steps.keys()),
    ):
        for name in getattr(pipeline, section):
            if name not in names.used and name not in others:
                place = declared.places.at(section, name)
                yield Fault(
                    f"{word} `{name}` is not used by any step", place, "remove it, or use it"
                )


class _Binding:
    """Binds one step's references to sources."""

    def __init__(self, names: Names, name: str, step: Step) -> None:
        self.names = names
        self.name = name
        self.step = step
        self.arguments: dict[str, Source] = {}
        self.seen: dict[str, str] = {}

    def node(self) -> Node:
        self._inputs()
        if isinstance(self.step, FunctionStep | CommandStep):
            self._params()
        if isinstance(self.step, FunctionStep):
            self._literals(self.step)
        self._wanted()
        node = Node(
            name=self.name,
            step=self.step,  # type: ignore[arg-type]  # a Step of KINDS is one of AnyStep
            arguments=self.arguments,
            mentions=dict(self._mentions()),
            outputs=self.names.outputs[self.name],
        )
        taken = frozenset(o.step for source in node.sources for o in outputs_of(source))
        return replace(node, data_needs=taken, needs=taken | self._after())

    def _place(self, *loc: str | int) -> Place | None:
        return self.names.declared.places.at("steps", self.name, *loc)

    def _fault(self, what: str, place: Place | None, hint: str | None = None) -> None:
        self.names.faults.append(Fault(what, place, hint))

    def _inputs(self) -> None:
        for argument, text, position in bindings(self.step, "inputs"):
            place = self._place("inputs", position)
            source = self.names.source(text, place)
            if isinstance(source, FromParam):
                takes = isinstance(self.step, FunctionStep | CommandStep)
                hint = f"write `params: [{source.name}]`" if takes else None
                self._fault(f"`{text}` is a parameter, not an input", place, hint)
                source = None
            other = next(iter(_WANTED.get(type(self.step), ("other",))[-1:]))
            self._take(argument, source, f"inputs: {{{other}: {text}}}", place)

    def _params(self) -> None:
        for argument, text, position in bindings(self.step, "params"):
            place = self._place("params", position)
            source = self.names.source(text, place)
            if source and not isinstance(source, FromParam):
                self._fault(f"`{text}` is no parameter", place, "write it under `inputs`")
                source = None
            self._take(argument, source, f"params: {{other: {text}}}", place)

    def _literals(self, step: FunctionStep) -> None:
        for argument, value in step.literals.items():
            place = self._place("with", argument)
            self._take(argument, Literal(value), "with: {other: ...}", place)

    def _take(self, argument: str, source: Source | None, other: str, place: Place | None) -> None:
        """Give the function an argument; one whose source is wrong counts as given."""
        key = other.partition(":")[0]
        if source and not argument:
            self._fault("a list's item has one name, this has two", place, f"write `{other}`")
        elif source and argument in self.seen:
            what = f"argument `{argument}` is given twice, first in `{self.seen[argument]}`"
            self._fault(what, place, f"rename it: `{other}`")
        elif source:
            self.arguments[argument] = source
        self.seen.setdefault(argument, key)

    def _wanted(self) -> None:
        """The arguments of the kinds that call no function of the project."""
        wanted = _WANTED.get(type(self.step))
        if wanted is None:
            return
        shown = " and ".join(f"`{name}`" for name in wanted)
        place = self._place("inputs")
        for name in wanted:
            if name not in self.seen:
                hint = f"write `inputs: {{{', '.join(f'{n}: ...' for n in wanted)}}}`"
                self._fault(f"a {self.step.kind} takes {shown}: `{name}` is not given", place, hint)
                return
        extra = [name for name in self.seen if name not in wanted]
        if extra and not isinstance(self.step, RegisterModel):
            self._fault(f"a {self.step.kind} takes {shown} and no `{extra[0]}`", place)

    def _mentions(self) -> Iterator[tuple[str, Source]]:
        for reference, place in self._mentioned():
            source = self.names.of(reference, place)
            if source is None:
                continue
            if isinstance(source, FromInput):
                self._fault(f"`{reference}` is a file or a model, not a value", place)
            elif any(
                not self._is_value(output.step, output.output) for output in outputs_of(source)
            ):
                what = f"`{reference.base}` holds no values: only a JSON output does"
                self._fault(what, place)
            else:
                yield reference.base, _whole(source)

    def _is_value(self, step: str, output: str) -> bool:
        return is_json(self.names.outputs[step][output])

    def _mentioned(self) -> Iterator[tuple[Reference, Place | None]]:
        match self.step:
            case Condition(expression=text):
                found = expression.parse(text).references
                yield from ((reference, self._place("if")) for reference in found)
            case Fail(message=text):
                found = message_template.parse(text).references
                yield from ((reference, self._place("message")) for reference in found)
            case RegisterModel(labels=labels):
                for label, text in labels.items():
                    place = self._place("labels", label)
                    yield from (
                        (reference, place) for reference in message_template.parse(text).references
                    )

    def _after(self) -> frozenset[str]:
        places = {name: self._place("after", i) for i, name in enumerate(self.step.after)}
        return frozenset(name for name, place in places.items() if self.names.step(name, place))


def _whole(source: Source) -> Source:
    """The document that keys reach into: the condition digs in it itself, and names near keys."""
    outputs = outputs_of(source)
    return replace(outputs[0], keys=()) if outputs else source


_WANTED: Mapping[type[Step], tuple[str, ...]] = {
    QualityCheck: ("data",),
    BatchTransform: ("model", "data"),
    RegisterModel: ("model",),
}
