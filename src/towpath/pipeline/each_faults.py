"""What is wrong with steps that are made once for each item, and with what takes from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.each_declaration import find_list_problem
from towpath.config.pipeline_declaration import (
    AnyStep,
    BatchTransform,
    BiasCheck,
    CommandStep,
    Condition,
    CreateModel,
    Explain,
    Fail,
    QualityCheck,
    RegisterModel,
    RepeatedStep,
    Tuning,
    is_json,
    list_bindings,
    output_files,
)
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import Fault, Place
from towpath.pipeline import item_texts
from towpath.pipeline.step_graph import (
    FromInput,
    FromItem,
    FromOutput,
    FromParam,
    Literal,
    Loop,
    Node,
    beside_best,
    outputs_of,
)

_ALONE = ("at_once", "best_by", "may_fail")
#: The key of what refers to outputs besides the inputs.
_TEXTS = {Condition: "if", Fail: "message", RegisterModel: "labels", CommandStep: "command"}
#: The kinds that take one file for each input, and no list of such.
_OF_ONE = (QualityCheck, BiasCheck, Explain, CreateModel, BatchTransform)


def _using_hint(step: AnyStep, name: str) -> str:
    """How a step uses an item."""
    if isinstance(step, QualityCheck):
        return f"take what a step with the same `each` made, or a suite `suites/{{{name}}}.yaml`"
    if isinstance(step, _OF_ONE):
        return "take what a step with the same `each` made"
    return f"write `params: [{name}]`"


def find_each_faults(
    declared: DeclaredPipeline, nodes: Mapping[str, Node], uses: Mapping[str, Node]
) -> Iterator[Fault]:
    """Everything that is wrong with ``each``, each fault with its place.

    ``uses`` are the steps that carry out pipelines. What is wrong with ``each`` inside of those is
    said of them, apart from what they are given here.
    """
    for name, node in {**nodes, **uses}.items():
        case = _Case(declared, nodes, node)
        if name not in declared.pipeline.steps:
            yield from case.taken_faults()
            continue
        if isinstance(node.step, RepeatedStep):
            yield from case.declaration_faults(node.step)
            yield from case.text_faults(node.step, node.loop)
        if isinstance(node.step, Tuning):
            yield from case.search_faults(node.step, node.loop)
            continue
        if node.loop:
            yield from case.list_faults(node.loop)
            yield from case.unused_faults(node.loop)
            yield from () if name in uses else case.best_faults(node.loop)
        yield from case.taken_faults()


class _Case(Struct, frozen=True):
    declared: DeclaredPipeline
    nodes: Mapping[str, Node]
    node: Node

    def _place_of(self, *loc: str | int) -> Place | None:
        return self.declared.places.find_place("steps", self.node.name, *loc)

    def taken_faults(self) -> Iterator[Fault]:
        """What it takes of steps with ``each`` that it cannot take whole."""
        for argument, source in {**self.node.arguments, **self.node.mentions}.items():
            for taken in outputs_of(source):
                maker = self.nodes[taken.step]
                if not maker.is_cell_by_cell(self.node.loop) and self.node.name != taken.step:
                    yield from self.gathered_faults(argument, taken)

    def declaration_faults(self, step: RepeatedStep) -> Iterator[Fault]:
        """Keys that say nothing without ``each``, and names that are something else already."""
        if not step.each and not isinstance(step, Tuning):
            for key in _ALONE:
                if key in step.model_fields_set:
                    what = f"`{key}` is for a step with `each`, and `{self.node.name}` has none"
                    hint = "write `each: {item: [1, 2]}`, or remove it"
                    yield Fault(what, self._place_of(key), hint)
        pipeline = self.declared.pipeline
        for name in step.each:
            if name == "value":
                what = "`value` is what a cell made: no item may be called so"
                yield Fault(what, self._place_of("each", name), "rename it")
            for section, taken in (
                ("a parameter", pipeline.params),
                ("an input", pipeline.inputs),
                ("a step", pipeline.steps),
            ):
                if name in taken:
                    what = f"`{name}` is {section} already: a name has one meaning"
                    hint = f"rename the item: `each: {{one_{name}: ...}}`"
                    yield Fault(what, self._place_of("each", name), hint)
        if step.best_by and isinstance(step, QualityCheck | RegisterModel):
            what = f"a {step.kind} hands on nothing of which one cell's could be the best"
            hint = "write it in the step that makes the model"
            yield Fault(what, self._place_of("best_by"), hint)

    def text_faults(self, step: RepeatedStep, loop: Loop | None) -> Iterator[Fault]:
        """Texts with items that are none, and names that they cannot make."""
        faults = dict(item_texts.find_text_faults(step, list(step.each)))
        yield from (replace(fault, place=self._place_of(key)) for key, fault in faults.items())
        if faults or loop is None:
            return
        key = "as" if isinstance(step, RegisterModel) else "expectations"
        if isinstance(step, RegisterModel) and not any(item_texts.list_item_texts(step)):
            what = f"each cell of `{self.node.name}` would register `{step.model}`"
            hint = f"write `as: {step.model}-{{{next(iter(loop.lists))}}}`"
            yield Fault(what, self._place_of(key), hint)
            return
        lists = item_texts.find_declared_lists(self.declared, loop)
        if lists and (fault := item_texts.find_name_problem(step, item_texts.combine_items(lists))):
            yield replace(fault, place=self._place_of(key))

    def search_faults(self, step: Tuning, loop: Loop | None) -> Iterator[Fault]:
        """An objective that is no number of a trial, and outputs that the best's would hide."""
        place = self._place_of("minimize" if step.minimize else "maximize")
        if loop and loop.best:
            number = loop.best.number
            if number.step != self.node.name:
                what = f"`{number.step}` is another step: a trial is judged by what it makes itself"
                shown = next(iter(loop.outputs), "score")
                yield Fault(what, place, f"name an output of `{self.node.name}`: `{shown}.mse`")
            elif not is_json(loop.outputs[number.output]):
                yield Fault(f"`{number.output}` holds no number: only a JSON output does", place)
            elif not number.keys:
                what = f"`{number.output}` is a document: name the number in it"
                yield Fault(what, place, f"write `{number.output}.mse`")
        for name in beside_best(step):
            if name in output_files(step):
                what = f"`{name}` is what a tuning makes beside its outputs"
                yield Fault(what, self._place_of("outputs"), "name the output otherwise")

    def list_faults(self, loop: Loop) -> Iterator[Fault]:
        """Lists that are none."""
        for name, source in loop.lists.items():
            place = self._place_of("each", name)
            match source:
                case FromParam(name=param):
                    yield from self._param_faults(param, place)
                case FromInput(name=file):
                    hint = "a list is a parameter, written here, or a list in a JSON output"
                    yield Fault(f"`{file}` is a file or a model, not a list", place, hint)
                case FromOutput() if not is_json(self.nodes[source.step].file_of(source.output)):
                    what = f"`{source.step}.{source.output}` holds no list: only a JSON output does"
                    yield Fault(what, place)
                case FromOutput() if self.nodes[source.step].is_gathered(source.output):
                    yield from self._nested_faults(loop, name, source)

    def _nested_faults(self, loop: Loop, name: str, source: FromOutput) -> Iterator[Fault]:
        """Rows of all cells where a list in each of them is meant, and lists of one's own cells
        that are asked for too early."""
        place = self._place_of("each", name)
        maker = self.nodes[source.step].loop
        shown = f"`{source.step}.{source.output}`"
        if maker and maker.is_within(loop):
            before = list(loop.lists)[: list(loop.lists).index(name)]
            if late := next((item for item in maker.lists if item not in before), None):
                what = f"which list `{name}` is hangs on `{late}`, which stands behind it"
                yield Fault(what, place, f"write `{late}` before `{name}`")
        elif source.keys and isinstance(source.keys[0], str):
            what = f"{shown} is a list of its cells: it has no `{source.keys[0]}`"
            hint = f"`each: {{{name}: {source.step}.{source.output}}}` takes each cell, and "
            hint += f"`params: {{it: {name}.value.{source.keys[0]}}}` what it holds"
            yield Fault(what, place, hint)

    def _param_faults(self, name: str, place: Place | None) -> Iterator[Fault]:
        param = self.declared.pipeline.params.get(name)
        if param is None:
            yield Fault(f"`params.{name}` is a group of parameters, no list", place)
        elif param.accepted_type != "list":
            hint = f"write `{name}: [...]` under `params`"
            yield Fault(f"parameter `{name}` is no list", place, hint)
        elif isinstance(param.default, list) and (problem := find_list_problem(param.default)):
            where = self.declared.place_of_param(name)
            hint = "a step with `each` is made once for each item of the list"
            yield Fault(f"parameter `{name}` {problem}", where, hint)

    def unused_faults(self, loop: Loop) -> Iterator[Fault]:
        """Items that change nothing, for the step does not use them."""
        step = self.node.step
        if isinstance(step, RegisterModel) or any(item_texts.find_text_faults(step, [*loop.lists])):
            return  # two of whose cells would have one name; or a typo of what is not used
        declared = [*list_bindings(step, "inputs"), *list_bindings(step, "params")]
        if len(self.node.arguments) < len(declared):  # one that is wrong may have been meant
            return
        used_items = self._used_items(loop)
        for name in loop.lists:
            if name not in used_items:
                what = f"`{self.node.name}` does not use its item `{name}`: its cells are alike"
                yield Fault(what, self._place_of("each", name), _using_hint(step, name))

    def _used_items(self, loop: Loop) -> set[str]:
        """The items that a step names itself, and those of the cells that it takes from."""
        sources = [*self.node.arguments.values(), *self.node.mentions.values()]
        used = {source.name for source in sources if isinstance(source, FromItem)}
        texts = item_texts.list_item_texts(self.node.step)
        used |= {name for text in texts for name in item_texts.named_items(text)}
        for source in sources:
            for taken in outputs_of(source):
                maker = self.nodes[taken.step].loop
                used |= maker.lists.keys() if maker and maker.is_within(loop) else set()
            if isinstance(source, Literal):
                used |= {name for name in loop.lists if f"{{{name}}}" in str(source.value)}
        return used

    def best_faults(self, loop: Loop) -> Iterator[Fault]:
        """A number that is not one of each cell, and outputs that the best cell's would hide."""
        if loop.best is None:
            return
        assert isinstance(self.node.step, RepeatedStep)
        assert self.node.step.best_by
        place = self._place_of("best_by", self.node.step.best_by.key)
        number = loop.best.number
        maker = self.nodes[number.step]
        if not (maker.loop and maker.loop.is_within(loop) and loop.is_within(maker.loop)):
            what = f"`{number.step}` is not made for each of the same: it has no number of a cell"
            yield Fault(what, place, f"it takes the same `each` as `{self.node.name}`")
        elif not is_json(maker.file_of(number.output)):
            what = f"`{number.step}.{number.output}` holds no number: only a JSON output does"
            yield Fault(what, place)
        elif waiting := self._waits_for_best(number.step):
            what = f"the best cell of `{self.node.name}` is known after `{number.step}`, which "
            what += f"needs `{waiting}`, which takes it"
            yield Fault(what, place, "`best_by` compares by what the cells alone are made of")
        for name in beside_best(self.node.step):
            if name in loop.outputs:
                what = f"`{name}` is what a step with `best_by` makes beside its outputs"
                yield Fault(what, self._place_of("outputs"), "name the output otherwise")

    def _waits_for_best(self, start: str) -> str:
        """A step before ``start`` that takes what this one hands on; empty for none."""
        waiting, passed = [start], {start}
        while waiting:
            node = self.nodes[waiting.pop()]
            if self.node.name in node.needs and not self.node.is_cell_by_cell(node.loop):
                return node.name
            before = (node.needs & self.nodes.keys()) - passed - {self.node.name}
            passed |= before
            waiting += before
        return ""

    def gathered_faults(self, argument: str, taken: FromOutput) -> Iterator[Fault]:
        """One file asked for where there is one of each cell."""
        maker = self.nodes[taken.step]
        if not maker.is_gathered(taken.output):
            return
        shown, step = f"`{taken.step}.{taken.output}`", self.node.step
        place = self._argument_place(argument)
        if taken.keys and isinstance(taken.keys[0], str):
            hint = f"write `{taken.step}.{taken.output}[0].value.{taken.keys[0]}`, or take it whole"
            yield Fault(f"{shown} is a list of its cells: it has no `{taken.keys[0]}`", place, hint)
        elif isinstance(maker.step, QualityCheck) and taken.output == "data":
            what = f"{shown} is the data of each cell, which is handed on to its own cells alone"
            yield Fault(what, place, "take it from the step that made it")
        elif isinstance(step, _OF_ONE) or (isinstance(step, RegisterModel) and argument == "model"):
            what = f"{shown} is one for each cell, and a {step.kind} takes one `{argument}`"
            hint = f"`best_by` in `{taken.step}` hands on one of them"
            if maker.loop and maker.loop.lists:
                hint += f"; the same `each` in `{self.node.name}` takes each"
            yield Fault(what, place, hint)

    def _argument_place(self, argument: str) -> Place | None:
        for name, _, position in list_bindings(self.node.step, "inputs"):
            if name == argument:
                return self._place_of("inputs", position)
        return self._place_of(_TEXTS.get(type(self.node.step), "inputs"))
