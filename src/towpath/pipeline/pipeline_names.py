"""The one namespace of a pipeline: what a reference names, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from towpath.config import expression as references
from towpath.config.expression import Reference
from towpath.config.file_declaration import Output
from towpath.config.parameter_declaration import PREFIX, list_groups, names_below
from towpath.config.pipeline_declaration import is_json, output_files
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import Fault, Place, did_you_mean
from towpath.pipeline.step_graph import (
    RUN_VALUES,
    FirstOf,
    FromInput,
    FromItem,
    FromOutput,
    FromParam,
    FromRun,
    Source,
    beside_best,
)

#: What a word of YAML or JSON is in a condition.
_WORDS = {
    **dict.fromkeys(("true", "TRUE"), "conditions are written as in Python: `True`"),
    **dict.fromkeys(("false", "FALSE"), "conditions are written as in Python: `False`"),
    **dict.fromkeys(("null", "NULL", "none", "nil"), "conditions are written as in Python: `None`"),
}


class PipelineBody(Struct, frozen=True):
    """What an inner pipeline has to be referred to, and what of it could not be read."""

    steps: tuple[str, ...]
    outputs: Mapping[str, Output]
    malformed: frozenset[str] = frozenset()
    is_blind: bool = False


class PipelineNames:
    """Resolves references; keeps what was used, what was meant, and each unknown name once.

    ``bodies`` has the steps and the outputs (``create.table``) of the pipelines that steps carry
    out, by step.
    """

    def __init__(
        self, declared: DeclaredPipeline, bodies: Mapping[str, PipelineBody] | None = None
    ) -> None:
        self.declared = declared
        self.bodies = bodies or {}
        self.pipeline = declared.pipeline
        self.outputs = {
            name: {**output_files(step), **beside_best(step)}
            for name, step in self.pipeline.steps.items()
        }
        self.outputs |= {name: dict(body.outputs) for name, body in self.bodies.items()}
        self.groups = list_groups(self.pipeline.params)
        self.used: set[str] = set(declared.mentioned)
        self.faults: list[Fault] = []
        self._unknown: dict[str, list[Fault]] = {}

    def all_faults(self) -> Iterator[Fault]:
        """What was found, an unknown name once with the other places behind it."""
        yield from self.faults
        for first, *others in self._unknown.values():
            places = {fault.place for fault in others if fault.place}
            # One typo in six places is one mistake: one fault, with the other lines behind it.
            lines = sorted({p.line for p in places} - {first.place.line if first.place else 0})
            also = f", also in line {', '.join(map(str, lines))}" if lines else ""
            yield Fault(first.what + also, first.place, first.hint)

    def source(self, text: str, place: Place | None, items: Collection[str] = ()) -> Source | None:
        """What a reference, or several with ``or`` between, takes from; None where it is wrong.

        ``items`` are the names of the step's own items.
        """
        alternatives = references.parse_alternatives(text)
        if any(reference.keys != reference.plain_keys for reference in alternatives):
            what = f"`{text}`: a parameter as a key is for conditions, messages and labels"
            self.faults.append(Fault(what, place, 'write the key itself, such as `["mse"]`'))
            self.used.update(r.name for found in alternatives for r in found.with_keys)
            return None
        sources = [self.find_single_source(reference, place, items) for reference in alternatives]
        if len(sources) == 1:
            return sources[0]
        outputs = tuple(source for source in sources if isinstance(source, FromOutput))
        if len(outputs) == len(sources):
            return FirstOf(outputs)
        if None not in sources:
            what = f"`{text}`: `or` stands between outputs of steps only"
            self.faults.append(Fault(what, place, "the one that was made is taken"))
        return None

    def find_single_source(
        self, reference: Reference, place: Place | None, items: Collection[str] = ()
    ) -> Source | None:
        """What a single reference takes from; None where it is wrong, which is then noted."""
        name = reference.name
        if name == PREFIX:
            return self._parameter_source(reference, place)
        if name == "run" and name not in {**self.pipeline.steps, **self.pipeline.inputs}:
            return self._run_source(reference, place)
        if name in items:
            return _item_source(reference)
        self.used.add(name)
        if name in self.pipeline.steps:
            return self._output_source(reference, place)
        # What stands in the file and could not be read is told where it stands, and not as unknown.
        if name in self.declared.malformed or self.declared.blind:
            return None
        if name in self.pipeline.params:
            return self._bare_source(FromParam(name), "a parameter", reference, place)
        if name in self.pipeline.inputs:
            return self._bare_source(FromInput(name), "an input", reference, place)
        if name in self.groups:
            what = f"`{name}` is a group of parameters"
            self.faults.append(Fault(what, place, f"write `{PREFIX}.{reference}`"))
            self.used.update(names_below(self.pipeline.params, name))
            return None
        hint = _WORDS.get(name) or self._near_hint(reference, items)
        self._note_unknown(str(reference), f"nothing is called `{name}`", place, hint)
        return None

    def _run_source(self, reference: Reference, place: Place | None) -> FromRun | None:
        """What ``run.id`` names: a value of the run itself."""
        if reference.output in RUN_VALUES and not reference.keys:
            return FromRun(reference.output)
        listed = f"it has {', '.join(RUN_VALUES)}"
        near = did_you_mean(reference.output, RUN_VALUES) if reference.output else None
        self.faults.append(Fault(f"`{reference}` is no value of a run", place, near or listed))
        return None

    def _parameter_source(self, reference: Reference, place: Place | None) -> FromParam | None:
        """What ``params.train.rate`` names: a parameter, or a group of them."""
        if reference.output is None:
            what = f"`{reference}` names no parameter"
            self.faults.append(Fault(what, place, f"write `{PREFIX}.name`"))
            return None
        name = ""
        for key in (reference.output, *reference.plain_keys):
            above, name = name, f"{name}.{key}" if name else str(key)
            if above in self.pipeline.params:
                what = f"`{PREFIX}.{above}` is a parameter: it has no key `{key}`"
                self.faults.append(Fault(what, place, f"write `{PREFIX}.{above}`"))
                return None
            if name not in self.groups and name not in self.pipeline.params:
                self._note_no_parameter(above, str(key), place)
                return None
        self.used.update([name, *names_below(self.pipeline.params, name)])
        return FromParam(name)

    def _note_no_parameter(self, group: str, key: str, place: Place | None) -> None:
        # What stands in the file and could not be read is told there.
        if self.declared.blind or (group or key).partition(".")[0] in self.declared.malformed:
            return
        inside = f"{group}." if group else ""
        names = dict.fromkeys(
            name.removeprefix(inside).partition(".")[0]
            for name in (*self.pipeline.params, *self.declared.unnamed_values)
            if name.startswith(inside)
        )
        near = self._nearest_name(key, names)
        listed = f"it has {', '.join(names)}" if names else None
        if near:
            meant = f"{inside}{near}"
            self.used.update([meant, *names_below(self.pipeline.params, meant)])
        shown = f"`{PREFIX}.{group}`" if group else f"`{PREFIX}`"
        hint = f"did you mean `{near}`?" if near else listed
        self._note_unknown(f"{PREFIX}.{inside}{key}", f"{shown} has no `{key}`", place, hint)

    def list_steps(self, name: str) -> tuple[str, ...]:
        """The steps that a name stands for: of a pipeline all of its own."""
        body = self.bodies.get(name)
        return tuple(f"{name}.{inner}" for inner in body.steps) if body else (name,)

    def find_file(self, source: FromOutput) -> Output:
        """The declaration of an output that a source takes."""
        owner, dot, inner = source.step.partition(".")
        return self.outputs[owner][f"{inner}.{source.output}" if dot else source.output]

    def step(self, name: str, place: Place | None) -> bool:
        """Whether a step of that name is there; what is wrong with it is noted."""
        if name in self.pipeline.steps:
            return True
        if name in self.declared.malformed or self.declared.blind:
            return False
        if name in self.pipeline.params or name in self.pipeline.inputs:
            kind = "a parameter" if name in self.pipeline.params else "an input"
            self.faults.append(Fault(f"`{name}` is {kind}, not a step", place))
            return False
        near = self._nearest_name(name, [*self.pipeline.steps, *self.declared.malformed])
        hint = near and f"did you mean `{near}`?"
        self._note_unknown(f"step {name}", f"no step is called `{name}`", place, hint)
        return False

    def _note_unknown(self, key: str, what: str, place: Place | None, hint: str | None) -> None:
        """Note a name that nothing has."""
        self._unknown.setdefault(key, []).append(Fault(what, place, hint))

    def _bare_source(
        self, source: Source, kind: str, reference: Reference, place: Place | None
    ) -> Source | None:
        if reference.output is None and not reference.keys:
            return source
        key = f"`{reference.output}`" if reference.output else f"key `{reference.keys[0]}`"
        what = f"`{reference.name}` is {kind}: it has no {key}"
        self.faults.append(Fault(what, place, f"write `{reference.name}`"))
        return None

    def _output_source(self, reference: Reference, place: Place | None) -> FromOutput | None:
        step, outputs = reference.name, self.outputs[reference.name]
        if step in self.bodies:
            return self._body_source(reference, self.bodies[step], place)
        if not outputs:
            kind = self.pipeline.steps[step].kind
            self.faults.append(Fault(f"`{step}` ({kind}) has no outputs", place))
        elif reference.output is None:
            hint = f"write {_list_names(f'{step}.{output}' for output in outputs)}"
            self.faults.append(Fault(f"`{step}` is a step: name one of its outputs", place, hint))
        elif reference.output not in outputs:
            self._no_output(reference, place)
        elif reference.keys and not is_json(outputs[reference.output]):
            file = outputs[reference.output].path
            what = f"`{reference.base}` is {file}: only a JSON output has keys"
            self.faults.append(Fault(what, place))
        else:
            return FromOutput(step, reference.output, reference.plain_keys)
        return None

    def _body_source(
        self, reference: Reference, body: PipelineBody, place: Place | None
    ) -> FromOutput | None:
        """What ``clean.create.table`` names: an output of a step of an inner pipeline."""
        words = [] if reference.output is None else [reference.output, *reference.plain_keys]
        for size in range(2, len(words) + 1):
            name, keys = ".".join(map(str, words[:size])), tuple(words[size:])
            if name not in body.outputs:
                continue
            if keys and not is_json(body.outputs[name]):
                what = f"`{reference.name}.{name}` is {body.outputs[name].path}: only a JSON output"
                self.faults.append(Fault(f"{what} has keys", place))
                return None
            inner, _, output = name.rpartition(".")
            return FromOutput(f"{reference.name}.{inner}", output, keys)
        name = ".".join(map(str, words[:2]))
        if reference.output in body.malformed or body.is_blind:
            return None
        what = f"`{reference.name}` is a pipeline: it has no output `{name}`"
        if not words:
            what = f"`{reference.name}` is a pipeline: name an output of one of its steps"
        near = did_you_mean(name, body.outputs) if words else None
        listed = _list_names(f"{reference.name}.{output}" for output in [*body.outputs][:8])
        self._note_unknown(f"{reference.name}.{name}", what, place, near or f"write {listed}")
        return None

    def _no_output(self, reference: Reference, place: Place | None) -> None:
        outputs = self.outputs[reference.name]
        near = did_you_mean(str(reference.output), outputs)
        if f"{reference.name}.{reference.output}" in {*self.pipeline.params, *self.groups}:
            near = f"write `{PREFIX}.{reference}` for the parameter"
        listed = _list_names(f"{reference.name}.{output}" for output in outputs)
        what = f"`{reference.name}` has no output `{reference.output}`"
        self._note_unknown(reference.base, what, place, near or listed)

    def _near_hint(self, reference: Reference, items: Collection[str]) -> str | None:
        # What was meant counts as used, lest one typo be two faults.
        pipeline = self.pipeline
        names = [*pipeline.params, *pipeline.inputs, *pipeline.steps, *self.declared.malformed]
        names += items
        if reference.output is None:
            makers = [step for step, outputs in self.outputs.items() if reference.name in outputs]
            if output_names := [f"{step}.{reference.name}" for step in makers]:
                return f"did you mean {_list_names(output_names)}?"
        near = self._nearest_name(reference.name, names)
        return near and f"did you mean `{near}`?"

    def _nearest_name(self, name: str, known: Iterable[str]) -> str | None:
        known = sorted(known)  # `malformed` has no order of its own
        hint = did_you_mean(name, known)
        near = next((k for k in known if hint and f"`{k}`" in hint), None)
        if near:
            self.used.add(near)
        return near


def _list_names(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _item_source(reference: Reference) -> FromItem:
    first = (reference.output,) if reference.output else ()
    return FromItem(reference.name, (*first, *reference.plain_keys))


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
            is_used = name in names.used or name in others
            if not is_used and name not in declared.file_params:  # a file serves several pipelines
                what = f"{word} `{name}` is not used by any step"
                place = declared.places.find_place(section, *name.split("."))
                yield Fault(what, place, "remove it, or use it")
