"""The state of a run so far: what was decided of each step, what it made, what was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config.artifact import Artifact, CacheEntry, Json, Made
from towpath.config.expression import parse_message
from towpath.config.parameter_declaration import find_parameter, nest_values
from towpath.config.pipeline_declaration import Callback, Notify, RepeatedStep, Tuning
from towpath.errors import StepFailed, did_you_mean
from towpath.pipeline.step_graph import (
    FirstOf,
    FromInput,
    FromItem,
    FromOutput,
    FromParam,
    FromRun,
    Literal,
    outputs_of,
)
from towpath.planning.search_progress import SearchProgress
from towpath.registry import ModelSignature
from towpath.registry.version_record import read_signature
from towpath.steps.work_order import Value

if TYPE_CHECKING:
    from towpath.config.step_surroundings import FailureWatch
    from towpath.pipeline.step_graph import Branch, Graph, Loop, Node, Source


class StepVerdict(StrEnum):
    """What becomes of a step."""

    RUN = "run"
    REUSE = "reuse"
    SKIP = "skip"
    UNDECIDED = "undecided"


class StepDecision(Struct, frozen=True):
    """What becomes of a step, and why; ``entry`` is what is reused, ``stale`` if it is what an
    earlier run made of another declaration, code or data. A ``deferred`` registration is skipped
    for now, and kept. ``cell_of`` is the step of which this is a cell."""

    step: str
    verdict: StepVerdict
    reason: str = ""
    key: str = ""
    ingredients: Mapping[str, str] = field(default_factory=dict)
    entry: CacheEntry | None = None

    @property
    def may_run(self) -> bool:
        """Whether the step runs, or may when more is known."""
        return self.verdict in (StepVerdict.RUN, StepVerdict.UNDECIDED)

    stale: bool = False
    deferred: bool = False
    cell_of: str = ""


class StepNotEnded(Exception):  # not a fault: an answer that is not there yet
    """What is asked for depends on a step that has not ended."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


class RunState(Struct):
    """The fold of a run so far. ``inputs`` are the artifacts of the pipeline's own inputs, without
    those that may be missing and are.

    ``refused`` are those of the ``failed`` that a check said no to.
    ``graph`` grows: by the cells of a step whose list another step makes. ``forgiven`` are cells
    that were not made and that their step may do without; ``searches`` is how far each has come.
    ``awaited`` says of inputs that are yet to be made or brought, in a plan, by what: the name of
    another pipeline, or an address.
    ``stopped`` names the step that ended the run well: no other begins after it. ``run`` has what
    references to the run itself stand for, as far as it is known.
    """

    graph: Graph
    inputs: Mapping[str, Artifact]
    made: dict[str, Made] = field(default_factory=dict)
    decisions: dict[str, StepDecision] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    forgiven: set[str] = field(default_factory=set)
    chosen: dict[str, bool] = field(default_factory=dict)
    searches: dict[str, SearchProgress] = field(default_factory=dict)
    awaited: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""
    run: Mapping[str, Json] = field(default_factory=dict)

    def has_ended(self, step: str) -> bool:
        """Whether nothing more will come of a step."""
        return step in self.made or step in self.skipped or step in self.failed

    def pending(self, node: Node) -> frozenset[str]:
        """The steps that ``node`` waits for and that have not ended."""
        return frozenset(step for step in node.needs if not self.has_ended(step))

    def skip_reason(self, node: Node) -> str:
        """Why ``node`` does not run whatever else happens; empty if it may."""
        if node.loop and node.gathers_cells:
            return self._gathering_reason(node, node.loop)
        # The first by name: of two that failed, runs of one graph shall give the same reason.
        if self.stopped and self.stopped != node.name:
            return f"`{self.stopped}` stopped the run"
        watch = node.step.on_failure
        watched = watch.steps if watch else ()
        if failed := sorted(s for s in node.needs if s in self.failed and s not in watched):
            return f"`{failed[0]}` failed"
        return (
            self._unmet_watch(watch)
            or self._branch_reason(node.branch)
            or next(filter(None, map(self._none_made, node.taken_sources)), "")
        )

    def _gathering_reason(self, node: Node, loop: Loop) -> str:
        """Why a step hands on nothing, though its cells have ended."""
        if reason := self._branch_reason(node.branch):
            return reason
        cells = loop.cells or ()
        if not all(map(self.has_ended, cells)) or self.unforgiven_cells(loop):
            return ""
        lost = [cell for cell in cells if cell in self.skipped and cell not in self.forgiven]
        return self.skipped[lost[0]] if lost else ""

    def unforgiven_cells(self, loop: Loop) -> list[str]:
        """The cells that failed, and that their step cannot do without."""
        cells = loop.cells or ()
        return [cell for cell in cells if cell in self.failed and cell not in self.forgiven]

    def forgive_cell(self, node: Node) -> bool:
        """Note a cell that was not made, where its step may do without it."""
        step = node.step
        may_fail = isinstance(step, Tuning) or (isinstance(step, RepeatedStep) and step.may_fail)
        is_lost = (node.name in self.failed and may_fail) or bool(node.needs & self.forgiven)
        if node.cell and is_lost:
            self.forgiven.add(node.name)
        return node.cell is not None and is_lost

    def _unmet_watch(self, watch: FailureWatch | None) -> str:
        """Why a step that watches others need not run; empty where it is to, or they go on."""
        if watch is None or not all(map(self.has_ended, watch.steps)):
            return ""
        failed = watch.when != "skipped" and any(step in self.failed for step in watch.steps)
        skipped = watch.when != "failed" and any(step in self.skipped for step in watch.steps)
        if failed or skipped:
            return ""
        names = ", ".join(f"`{step}`" for step in watch.steps)
        if len(watch.steps) > 1:
            words = {"failed": "failed", "skipped": "was skipped"}
            return f"none of {names} {words.get(watch.when, 'failed or was skipped')}"
        words = {"failed": "did not fail", "skipped": "was not skipped"}
        return f"{names} {words.get(watch.when, 'neither failed nor was skipped')}"

    def _branch_reason(self, branch: Branch | None) -> str:
        if branch is None:
            return ""
        if branch.condition in self.skipped:
            return f"`{branch.condition}` was skipped"
        if self.chosen.get(branch.condition, branch.holds) is not branch.holds:
            return f"`{branch.condition}` is {'false' if branch.holds else 'true'}"
        return ""

    def _none_made(self, source: Source) -> str:
        choices = [choice.step for choice in outputs_of(source)]
        if not choices or not self.skipped.keys() >= set(choices):
            return ""
        verb = "was" if len(choices) == 1 else "were"
        return f"{' and '.join(f'`{step}`' for step in choices)} {verb} skipped"

    def arguments(self, node: Node) -> dict[str, Artifact | Value]:
        """Each argument's artifact or value, with what a step tells or asks; :class:`StepNotEnded`
        if one is not there yet."""
        arguments = {name: self.resolve(source) for name, source in node.arguments.items()}
        if isinstance(node.step, Notify | Callback):
            arguments["message"] = Value(self.fill_message(node, node.step.message))
        if isinstance(node.step, Callback):
            answers: dict[str, Json] = {
                name: param.model_dump(mode="json", exclude_unset=True)
                for name, param in node.step.answers.items()
            }
            arguments["answers"] = Value(answers)
        return arguments

    def resolve(self, source: Source) -> Artifact | Value:
        """What a source stands for now."""
        if isinstance(source, Literal):
            return Value(source.value)
        if isinstance(source, FromRun):
            if source.name not in self.run:
                raise StepFailed(f"`run.{source.name}` is known once a run has begun")
            return Value(self.run[source.name])
        assert not isinstance(source, FromItem), "a cell has its items put in"
        if isinstance(source, FromParam):
            return Value(find_parameter(self.graph.params, source.name))
        if isinstance(source, FromInput):
            if source.name in self.awaited:
                raise StepNotEnded(self.awaited[source.name])
            if self.graph.files[source.name].optional:
                return self.inputs.get(source.name, Value(None))
            return self.inputs[source.name]
        origin = self.find_origin(source)
        if origin.keys:
            return Value(self.value(origin))
        return self.made[origin.step].outputs[origin.output]

    def find_origin(self, source: Source) -> FromOutput:
        """The output that a source takes: of a choice the one whose step was made."""
        assert isinstance(source, FirstOf | FromOutput)
        for choice in outputs_of(source):
            if choice.step in self.made:
                return choice
        raise StepNotEnded(next(c.step for c in outputs_of(source) if c.step not in self.skipped))

    def value(self, source: FromOutput) -> Json:
        """The content of a JSON output, or what stands under keys in it."""
        values, path = self.made[source.step].values, f"{source.step}.{source.output}"
        if source.output not in values:
            hint = "a .json output of at most 64 KiB does"
            raise StepFailed(f"{path} holds no values to look into", hint=hint)
        return value_inside(values[source.output], source.keys, path)

    def look_up_value(self, node: Node, name: str) -> Json:
        """The small value that a name in a condition or a message of ``node`` stands for."""
        if name not in node.mentions:
            return self._look_up_inner(node, f"{name}.")
        source = node.mentions[name]
        if isinstance(source, FirstOf | FromOutput):
            return self.value(self.find_origin(source))
        resolved = self.resolve(source)
        return resolved.value if isinstance(resolved, Value) else resolved.digest

    def _look_up_inner(self, node: Node, prefix: str) -> Json:
        """The values of an inner pipeline that are mentioned below a name (``clean.evaluate``), as
        the keys of the reference go through them."""
        names = [name for name in node.mentions if name.startswith(prefix)]
        return nest_values({n.removeprefix(prefix): self.look_up_value(node, n) for n in names})

    def fill_message(self, node: Node, text: str) -> str:
        """A message of a node with the values of this run."""
        return parse_message(text).fill(partial(self.look_up_value, node))

    def take_result(self, decision: StepDecision, made: Made) -> None:
        """A step has ended well."""
        self.decisions[decision.step] = decision
        self.made[decision.step] = made


def value_inside(value: Json, keys: Sequence[str | int], path: str) -> Json:
    """What stands under keys in a document. Error: StepFailed with the near name."""
    for key in keys:
        try:
            value = value[key]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            key_names = list(value) if isinstance(value, dict) else []
            listed = f"it has {', '.join(key_names[:8])}" if key_names else None
            hint = did_you_mean(str(key), key_names) or listed
            raise StepFailed(f"{path} has no `{key}`", hint=hint) from None
        path = f"{path}.{key}"
    return value


_UNKNOWN = "unknown"


def find_signature(known: RunState, graph: Graph, source: Source) -> ModelSignature | None:
    """What a model takes and gives, by the step that made it; what that step did not learn is told
    by the model that it took in: a step that hands a model on, or wraps it, keeps its signature."""
    if not outputs_of(source):
        return None
    signed = _find_signed(known, graph, known.find_origin(source))
    return read_signature(dict(signed)) if signed and signed.get("inputs") else None


def find_noted_needs(known: RunState, source: Source) -> tuple[str, ...]:
    """The names that a model's file needs `trust` for."""
    if not outputs_of(source):
        return ()
    return as_names(_noted_fact(known, known.find_origin(source), "needs"))


def as_names(value: Json) -> tuple[str, ...]:
    """The names that a step noted as a fact; none where it is no list."""
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _find_signed(known: RunState, graph: Graph, origin: FromOutput) -> Mapping[str, Any] | None:
    # What a step hands on of its best cell is that cell's.
    winner = known.made[origin.step].facts.get("best")
    if isinstance(winner, str) and winner in known.made and winner in graph.nodes:
        origin = replace(origin, step=winner)
    own = _noted_signature(known, origin)
    if own is not None and _UNKNOWN not in (own.get("inputs"), own.get("outputs")):
        return own
    taken = [signed for model in _models_taken(known, graph, origin)
             if (signed := _find_signed(known, graph, model))]  # fmt: skip
    if own is None:
        return taken[0] if len(taken) == 1 else None
    return next((_fill_unknown(own, signed) for signed in taken if _is_alike(own, signed)), own)


def _noted_fact(known: RunState, origin: FromOutput, fact: str) -> Json:
    """What a step noted of one of its outputs."""
    noted = known.made[origin.step].facts.get(fact)
    return noted.get(origin.output) if isinstance(noted, dict) else None


def _noted_signature(known: RunState, origin: FromOutput) -> Mapping[str, Any] | None:
    signed = _noted_fact(known, origin, "signature")
    return signed if isinstance(signed, dict) else None


def _models_taken(known: RunState, graph: Graph, origin: FromOutput) -> Iterator[FromOutput]:
    """The models among what a step took in: outputs of steps that noted a signature, or of the
    same kind of file."""
    suffix = _file_suffix(known, origin)
    for source in graph.nodes[origin.step].arguments.values():
        taken = known.find_origin(source) if outputs_of(source) else None
        if taken is None or taken.keys:
            continue
        if _noted_signature(known, taken) or _file_suffix(known, taken) == suffix:
            yield taken


def _file_suffix(known: RunState, origin: FromOutput) -> str:
    artifact = known.made[origin.step].outputs.get(origin.output)
    return PurePosixPath(artifact.name).suffix if artifact else ""


def _column_names(signed: Mapping[str, Any]) -> object:
    inputs = signed.get("inputs")
    if isinstance(inputs, list):
        return [column.get("name") for column in inputs if isinstance(column, dict)]
    return None


def _is_alike(own: Mapping[str, Any], taken: Mapping[str, Any]) -> bool:
    # A pipeline around a model may take other columns than the model inside it.
    names, features = _column_names(own), own.get("features")
    return names in (None, _column_names(taken)) and features in (None, taken.get("features"))


def _fill_unknown(own: Mapping[str, Any], taken: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a step did not learn itself, from the model that it took in."""
    unknown = {name for name in ("inputs", "outputs") if own.get(name) == _UNKNOWN}
    if all(column.get("type") == _UNKNOWN for column in own["inputs"] if isinstance(column, dict)):
        unknown.add("inputs")
    return {**taken, **{key: value for key, value in own.items() if key not in unknown}}
