"""From a declared pipeline to a graph in which every name is resolved: pure, all faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config import expression
from towpath.config.expression import Reference, parse_value_reference
from towpath.config.parameter_declaration import PREFIX
from towpath.config.pipeline_declaration import (
    BatchTransform,
    BiasCheck,
    Callback,
    CommandStep,
    Condition,
    CreateModel,
    DuckDBStep,
    Explain,
    Fail,
    FunctionStep,
    NotebookStep,
    Notify,
    PipelineStep,
    QualityCheck,
    RegisterModel,
    RepeatedStep,
    Step,
    Stop,
    Tuning,
    is_json,
    list_bindings,
    output_files,
)
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import DeclarationError, Fault, Place, UsageError
from towpath.pipeline import (
    each_faults,
    file_formats,
    item_texts,
    nested_pipelines,
    step_cells,
    step_faults,
    step_order,
)
from towpath.pipeline.embed_pipeline import embed_body, list_body_outputs, rename_steps
from towpath.pipeline.file_formats import given_input
from towpath.pipeline.last_inputs import find_last_faults, read_as_written
from towpath.pipeline.nested_each import (
    list_output_faults,
    spread_loops,
)
from towpath.pipeline.pipeline_names import (
    PipelineBody,
    PipelineNames,
    find_shared_names,
    find_unused_names,
)
from towpath.pipeline.run_arguments import (
    BoundArguments,
    RunValues,
    apply_environment,
    bind_arguments,
    declare_check_data,
    environment_faults,
)
from towpath.pipeline.step_graph import (
    BestCell,
    FromInput,
    FromItem,
    FromOutput,
    FromParam,
    FromRun,
    Graph,
    Literal,
    Loop,
    Node,
    Source,
    outputs_of,
)


def compile_with_arguments(
    declared: DeclaredPipeline,
    arguments: Mapping[str, object] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Graph:
    """The graph of a pipeline with the arguments of one run.

    ``arguments`` are values of parameters, typed or as text from a command line; ``inputs`` other
    paths for the pipeline's inputs. Raises as :func:`compile_with_values` does.
    """
    return compile_with_values(declared, RunValues(arguments or {}, inputs or {}))


def compile_with_values(declared: DeclaredPipeline, values: RunValues) -> Graph:
    """The graph of a pipeline with all that a run is given.

    Raises DeclarationError with every fault of the declaration, UsageError with every argument
    that does not fit.
    """
    resolved = _resolve_sound(declared)
    bound = bind_arguments(declared, values)
    inner_faults = nested_pipelines.find_value_faults(declared, resolved.uses, bound.params)
    if faults := [*bound.faults, *inner_faults]:
        raise UsageError(*faults)
    graph = _build_graph(declared, resolved.nodes, bound, values.environment)
    for node in graph.nodes.values():
        if node.loop and node.loop.cells is None and not node.loop.list_needs:
            raise UsageError(f"step `{node.name}` is made once for each of a list, which is null")
    return graph


def outline_graph(declared: DeclaredPipeline, environment: str = "") -> Graph:
    """The graph for a look at it: a parameter that each run must give is None.

    Raises DeclarationError with every fault of the declaration, UsageError for an environment that
    it does not declare.
    """
    nodes = _resolve_sound(declared).nodes
    pipeline = apply_environment(declared.pipeline, environment)
    defaults = {name: param.default for name, param in pipeline.params.items()}
    paths = {name: file.path for name, file in pipeline.inputs.items()}
    bound = BoundArguments(pipeline, defaults, paths, ())
    return _build_graph(declared, nodes, bound, environment)


def _resolve_sound(declared: DeclaredPipeline) -> ResolvedPipeline:
    resolved = resolve_pipeline(declared)
    if resolved.faults:
        raise DeclarationError(*resolved.faults)
    return resolved


def _build_graph(
    declared: DeclaredPipeline, nodes: Mapping[str, Node], bound: BoundArguments, environment: str
) -> Graph:
    inputs = bound.pipeline.inputs
    files = {
        name: read_as_written(bound.pipeline, given_input(inputs[name], path))
        for name, path in bound.inputs.items()
    }
    graph = Graph(
        name=bound.pipeline.name,
        folder=declared.folder,
        pipeline=bound.pipeline,
        params=bound.params,
        inputs=bound.inputs,
        nodes=declare_check_data(nodes, files),
        given=bound.given,
        tried=bound.tried,
        files=files,
        formats=declared.own_formats,
        environment=environment,
        param_files=declared.param_files,
        bodies=nested_pipelines.locate_bodies(declared),
        inner_params=declared.inner_params,
    )
    lists = step_cells.find_static_lists(graph, declared.places)
    items = {name: list(item_texts.combine_items(lists[name])) for name in lists}
    return step_cells.make_cells(graph, items) if items else graph


class ResolvedPipeline(Struct, frozen=True):
    """The nodes in an order to run them, and every fault; with faults the nodes are not whole.

    ``uses`` are the steps that carry out other pipelines, whose own steps are among the nodes;
    ``bodies`` are those pipelines, resolved for themselves.
    """

    nodes: Mapping[str, Node]
    faults: tuple[Fault, ...]
    uses: Mapping[str, Node] = field(default_factory=dict)
    bodies: Mapping[str, ResolvedPipeline] = field(default_factory=dict)


def resolve_pipeline(declared: DeclaredPipeline) -> ResolvedPipeline:
    """Resolve a declaration, with those of the pipelines that it carries out."""
    bodies = {name: resolve_pipeline(body) for name, body in declared.bodies.items()}
    names = PipelineNames(declared, _describe_bodies(declared, bodies))
    names.used |= nested_pipelines.list_inherited(declared)
    nodes, uses = _bind_steps(declared, names, bodies)
    nodes, faulty = step_order.place_in_branches(nodes, names)
    nodes = step_order.wait_for_checks(nodes)
    ordered, circles = step_order.order_nodes(nodes, declared.places)
    ordered, unfit = spread_loops(ordered, uses, declared.places)
    last_faults = tuple(find_last_faults(declared, names))
    body_faults = [fault for body in bodies.values() for fault in body.faults]
    faults = [
        *declared.faults,
        *last_faults,
        *body_faults,
        *nested_pipelines.find_nested_faults(declared, uses),
        *unfit,
        *list_output_faults(ordered, declared.places),
        *find_shared_names(declared),
        *names.all_faults(),
        *step_faults.find_output_faults(declared),
        *step_faults.find_command_faults(declared),
        *each_faults.find_each_faults(declared, ordered, uses),
        *step_faults.find_surroundings_faults(declared),
        *step_faults.find_chain_faults(declared),
        *file_formats.format_faults(declared),
        *environment_faults(declared),
        *faulty,
        *([] if body_faults else circles),  # where they may be told already
        # Where steps go in a circle there is no order in which a branch could be followed.
        *([] if circles else step_order.unreachable_faults(ordered, names)),
        *find_unused_names(declared, names),
    ]
    # By line, as a person goes through the file; one fault may be found in two ways.
    places = {f: (f.place.file, f.place.line) if f.place else ("", 0) for f in faults}
    return ResolvedPipeline(ordered, tuple(sorted(places, key=places.__getitem__)), uses, bodies)


def list_declared_steps(declared: DeclaredPipeline) -> Mapping[str, Step]:
    """The steps of a pipeline by name, with those of the pipelines in it (``clean.create``)."""
    if not declared.bodies:
        return declared.pipeline.steps
    return {name: node.step for name, node in resolve_pipeline(declared).nodes.items()}


def _bind_steps(
    declared: DeclaredPipeline, names: PipelineNames, bodies: Mapping[str, ResolvedPipeline]
) -> tuple[dict[str, Node], dict[str, Node]]:
    """The steps with their names resolved, those of inner pipelines among them; and apart the
    steps that carry those out."""
    nodes: dict[str, Node] = {}
    uses: dict[str, Node] = {}
    for name, step in declared.pipeline.steps.items():
        binding = _Binding(names, name, step)
        node = binding.bind_node()
        if name in bodies:
            uses[name] = node
            body = declared.bodies[name]
            nodes |= embed_body(node, body, bodies[name].nodes, binding.list_steps_before())
        elif not isinstance(step, PipelineStep):
            nodes[name] = node
    return nodes, uses


def _describe_bodies(
    declared: DeclaredPipeline, bodies: Mapping[str, ResolvedPipeline]
) -> dict[str, PipelineBody]:
    return {
        name: PipelineBody(
            tuple(resolved.nodes),
            list_body_outputs(declared.pipeline.steps[name], resolved.nodes),
            declared.bodies[name].malformed,
            declared.bodies[name].blind,
        )
        for name, resolved in bodies.items()
    }


#: What a source of a value is, in the place of a file.
_VALUES: Mapping[type[Source], str] = {
    FromItem: "an item of `each`", FromRun: "a value of the run", FromParam: "a parameter",
}  # fmt: skip
_TAKES_PARAMS = FunctionStep | CommandStep | NotebookStep | DuckDBStep | PipelineStep


class _Binding:
    def __init__(self, names: PipelineNames, name: str, step: Step) -> None:
        self.names = names
        self.name = name
        self.step = step
        self.arguments: dict[str, Source] = {}
        self.seen: dict[str, str] = {}
        self.items = frozenset(step.each) if isinstance(step, RepeatedStep) else frozenset()
        self.ranges = tuple(step.ranges) if isinstance(step, Tuning) else ()

    def bind_node(self) -> Node:
        self._bind_inputs()
        if isinstance(self.step, _TAKES_PARAMS):
            self._bind_params()
        if isinstance(self.step, FunctionStep | NotebookStep | DuckDBStep | PipelineStep):
            for argument, value in self.step.literals.items():
                place = self._place_of("with", argument)
                self._bind_argument(argument, Literal(value), "with: {other: ...}", place)
        for name in self.ranges:
            place = self._place_of("ranges", name)
            self._bind_argument(name, FromItem(name), "ranges: {other: ...}", place)
        self._check_wanted()
        node = Node(
            name=self.name,
            # A pipeline that it waits for or watches is its steps.
            step=rename_steps(self.step, self._spell_names),
            arguments=self.arguments,
            mentions=dict(self._bind_mentions()),
            outputs=self.names.outputs[self.name],
            beside=dict(self._bind_beside()),
            loop=self._bind_loop(self.step) if isinstance(self.step, RepeatedStep) else None,
        )
        # What it takes from and what it waits for are two things: of `after` a skipped step is no
        # reason to skip this one.
        taken = node.taken_steps
        self._check_watched(taken)
        return replace(node, data_needs=taken, needs=taken | self.list_steps_before())

    def _spell_names(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(step for name in names for step in self.names.list_steps(name))

    def _check_watched(self, taken: frozenset[str]) -> None:
        """A step that runs where another failed can take nothing from that one."""
        watched = self._spell_names(self.step.on_failure.steps) if self.step.on_failure else ()
        for name in sorted(taken.intersection(watched)):
            what = f"`{self.name}` runs where `{name}` made nothing, and takes something from it"
            self._note_fault(what, self._place_of("on_failure"))

    def _place_of(self, *loc: str | int) -> Place | None:
        return self.names.declared.places.find_place("steps", self.name, *loc)

    def _note_fault(self, what: str, place: Place | None, hint: str | None = None) -> None:
        self.names.faults.append(Fault(what, place, hint))

    def _bind_loop(self, step: RepeatedStep) -> Loop | None:
        """The lists of a step with ``each``; None where one of them is wrong. Of a search there
        are no lists: its trials come while it goes on."""
        if isinstance(step, Tuning):
            key = ("minimize" if step.minimize else "maximize",)
            best = self._bind_number(step.objective, step.minimize is not None, key)
            return Loop({}, output_files(step), best, (), searching=True) if best else None
        lists: dict[str, Source] = {}
        for name, items in step.each.items():
            place = self._place_of("each", name)
            if not isinstance(items, str):
                lists[name] = Literal(items)
            elif source := self.names.source(items, place):
                lists[name] = source
        if not step.each or len(lists) < len(step.each):
            return None
        by, best = step.best_by, None
        if by:
            best = self._bind_number(by.reference, by.minimize is not None, ("best_by", by.key))
        return Loop(lists, output_files(step), best)

    def _bind_number(self, text: str, least: bool, key: tuple[str, ...]) -> BestCell | None:
        if isinstance(self.step, PipelineStep):  # whose number is one of its own steps'
            text = text if text.startswith(f"{self.name}.") else f"{self.name}.{text}"
        reference = parse_value_reference(text)
        # `minimize: metrics.mse` is the step's own output, though a step is called so too.
        is_other = reference.output in self.names.outputs.get(reference.name, ())
        if reference.name in self.names.outputs[self.name] and not is_other:
            first = (reference.output,) if reference.output else ()
            reference = Reference(self.name, reference.name, (*first, *reference.keys))
        place = self._place_of(*key)
        source = self.names.find_single_source(reference, place)
        if source is not None and not isinstance(source, FromOutput):
            self._note_fault(f"`{reference}` is no output of a step", place)
        if not isinstance(source, FromOutput):
            return None
        return BestCell(source, least)

    def _bind_inputs(self) -> None:
        for argument, text, position in list_bindings(self.step, "inputs"):
            place = self._place_of("inputs", position)
            source = self.names.source(text, place, self.items)
            if isinstance(source, FromItem | FromRun | FromParam):
                takes = isinstance(self.step, _TAKES_PARAMS) or not isinstance(source, FromParam)
                hint = f"write `params: [{text}]`" if takes else None
                self._note_fault(f"`{text}` is {_VALUES[type(source)]}, not an input", place, hint)
                source = None
            elif isinstance(source, FromInput):
                self._check_optional(source, argument, place)
            other = next(iter(_WANTED.get(type(self.step), ("other",))[-1:]))
            self._bind_argument(argument, source, f"inputs: {{{other}: {text}}}", place)

    def _check_optional(self, source: FromInput, argument: str, place: Place | None) -> None:
        """Only a step that can be given None may take what need not be there."""
        if not self.names.pipeline.inputs[source.name].optional:
            return
        takes = isinstance(self.step, FunctionStep | CommandStep | NotebookStep)
        takes |= isinstance(self.step, QualityCheck) and argument == "baseline"
        takes |= isinstance(self.step, RegisterModel) and argument != "model"
        if body := self.names.declared.bodies.get(self.name):
            inner = body.pipeline.inputs.get(argument)
            takes = inner is None or inner.optional
        if not takes:
            what = f"`{self.name}` cannot do without `{argument}`, and `{source.name}` is optional"
            hint = "a step that calls a function is given None, and may hand on what it has instead"
            self._note_fault(what, place, hint)

    def _bind_beside(self) -> Iterator[tuple[str, Source]]:
        """The files that are kept with a version."""
        if not isinstance(self.step, RegisterModel):
            return
        names: set[str] = set()
        for name, text, position in list_bindings(self.step, "beside"):
            place = self._place_of("beside", position)
            source = self.names.source(text, place)
            if source is None:
                continue
            if isinstance(source, FromParam | FromRun) or any(o.keys for o in outputs_of(source)):
                what = f"`{text}` is a value: what stands beside a version is a file"
                self._note_fault(what, place, "write it to an output of a step")
            elif not name or name in names:
                twice = f"`{name}` stands twice under `beside`"
                what = twice if name else "a list's item has one name, this has two"
                self._note_fault(what, place, f"write `beside: {{other: {text}}}`")
            else:
                names.add(name)
                yield name, source

    def _bind_params(self) -> None:
        for argument, text, position in list_bindings(self.step, "params"):
            place = self._place_of("params", position)
            source = self.names.source(text, place, self.items)
            if source and not isinstance(source, FromParam | FromItem | FromRun):
                self._note_fault(f"`{text}` is no parameter", place, "write it under `inputs`")
                source = None
            self._bind_argument(argument, source, f"params: {{other: {text}}}", place)

    def _bind_argument(
        self, argument: str, source: Source | None, other: str, place: Place | None
    ) -> None:
        # One whose source is wrong counts as given: one mistake is one fault.
        key = other.partition(":")[0]
        if source and not argument:
            self._note_fault("a list's item has one name, this has two", place, f"write `{other}`")
        elif source and argument in self.seen:
            what = f"argument `{argument}` is given twice, first in `{self.seen[argument]}`"
            self._note_fault(what, place, f"rename it: `{other}`")
        elif source:
            self.arguments[argument] = source
        self.seen.setdefault(argument, key)

    def _check_wanted(self) -> None:
        """The arguments of the kinds that call no function of the project."""
        wanted_names = _WANTED.get(type(self.step))
        if wanted_names is None:
            return
        shown = " and ".join(f"`{name}`" for name in wanted_names)
        kind = f"{'an' if self.step.kind[0] in 'aeiou' else 'a'} {self.step.kind}"
        place = self._place_of("inputs")
        for name in wanted_names:
            if name not in self.seen:
                hint = f"write `inputs: {{{', '.join(f'{n}: ...' for n in wanted_names)}}}`"
                self._note_fault(f"{kind} takes {shown}: `{name}` is not given", place, hint)
                return
        free = _FREE.get(type(self.step), ())
        extra = [name for name in self.seen if name not in (*wanted_names, *free)]
        if extra and not isinstance(self.step, RegisterModel | CreateModel):
            self._note_fault(f"{kind} takes {shown} and no `{extra[0]}`", place)

    def _bind_mentions(self) -> Iterator[tuple[str, Source]]:
        for reference, place in self._mentioned_references():
            source = self.names.find_single_source(reference, place, self.items)
            if source is None:
                continue
            if isinstance(source, FromItem):
                # Its further keys the message digs under itself.
                yield reference.base, FromItem(source.name, source.keys[: bool(reference.output)])
            elif reference.name == PREFIX:
                # The reference digs under its keys itself, so that a fault can name the near one.
                yield reference.base, FromParam(str(reference.output))
            elif isinstance(source, FromInput):
                self._note_fault(f"`{reference}` is a file or a model, not a value", place)
            elif any(not is_json(self.names.find_file(output)) for output in outputs_of(source)):
                what = f"`{reference.base}` holds no values: only a JSON output does"
                self._note_fault(what, place)
            elif reference.keys and self._is_list_of_cells(reference):
                what = f"`{reference.base}` is a list of its cells: it has no `{reference.keys[0]}`"
                hint = f"write `{reference.base}[0].value.{reference.keys[0]}`"
                self._note_fault(what, place, hint)
            else:
                yield self._mention_output(reference, source)

    def _mention_output(self, reference: Reference, source: Source) -> tuple[str, Source]:
        outputs = outputs_of(source)
        if not outputs:
            return reference.base, source
        # Of an inner pipeline's output the base says the step alone.
        inner = f"{outputs[0].step}.{outputs[0].output}"
        name = inner if reference.name in self.names.bodies else reference.base
        # The condition digs under the keys itself, so that a fault can name the near key.
        return name, replace(outputs[0], keys=())

    def _is_list_of_cells(self, reference: Reference) -> bool:
        step = self.names.pipeline.steps[reference.name]
        if isinstance(step, PipelineStep):  # which of its steps are made for each is not known yet
            return False
        is_list = isinstance(step, RepeatedStep) and bool(step.each) and step.best_by is None
        return is_list and isinstance(reference.keys[0], str) and not self._has_its_cells(step)

    def _has_its_cells(self, maker: Step) -> bool:
        """Whether each cell of this step has one of the other's as its own."""
        lists = self.step.each if isinstance(self.step, RepeatedStep) else {}
        return isinstance(maker, RepeatedStep) and maker.each.items() <= dict(lists).items()

    def _mentioned_references(self) -> Iterator[tuple[Reference, Place | None]]:
        match self.step:
            case Condition(expression=text):
                named = expression.parse_condition(text).references
                yield from ((reference, self._place_of("if")) for reference in named)
            case Fail() | Stop() | Notify() | Callback():
                text = self.step.message
                named = expression.parse_message(text).references
                yield from ((reference, self._place_of("message")) for reference in named)
            case RegisterModel(labels=labels):
                for label, text in labels.items():
                    place = self._place_of("labels", label)
                    named = expression.parse_message(text).references
                    yield from ((reference, place) for reference in named)

    def list_steps_before(self) -> frozenset[str]:
        """The steps that it waits for without taking anything."""
        places = {name: self._place_of("after", i) for i, name in enumerate(self.step.after)}
        watched = self.step.on_failure.steps if self.step.on_failure else ()
        places |= dict.fromkeys(watched, self._place_of("on_failure"))
        sound = [name for name, place in places.items() if self.names.step(name, place)]
        return frozenset(self._spell_names(sound))


_WANTED: Mapping[type[Step], tuple[str, ...]] = {
    QualityCheck: ("data",),
    BiasCheck: ("data",),
    Explain: ("model", "data"),
    BatchTransform: ("model", "data"),
    RegisterModel: ("model",),
    CreateModel: ("samples",),
}
# What they may be given besides.
_FREE: Mapping[type[Step], tuple[str, ...]] = {QualityCheck: ("baseline",), BiasCheck: ("model",)}
