"""What is known of a graph's steps while it runs: what they made, which way conditions went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from towpath.engine.graph import FirstOf, FromInput, FromOutput, FromParam, Literal, source_of
from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.spec.artifact import Artifact, Json, Made
from towpath.steps.order import Value

if TYPE_CHECKING:
    from towpath.engine.graph import Graph, Node, Source


class Waiting(Exception):  # noqa: N818 - not a fault: an answer that is not there yet
    """What is asked for depends on a step that has not ended."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


@dataclass
class Known:
    """The fold of a run so far. ``inputs`` are the artifacts of the pipeline's own inputs."""

    graph: Graph
    inputs: Mapping[str, Artifact]
    made: dict[str, Made] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    chosen: dict[str, bool] = field(default_factory=dict)

    def ended(self, step: str) -> bool:
        """Whether nothing more will come of a step."""
        return step in self.made or step in self.skipped or step in self.failed

    def pending(self, node: Node) -> frozenset[str]:
        """The steps that ``node`` waits for and that have not ended."""
        return frozenset(step for step in node.needs if not self.ended(step))

    def skip_reason(self, node: Node) -> str:
        """Why ``node`` does not run whatever else happens; empty if it may."""
        if failed := sorted(step for step in node.needs if step in self.failed):
            return f"`{failed[0]}` failed"
        if node.branch and (reason := self._branch_reason(*node.branch_of)):
            return reason
        for source in node.arguments.values():
            if reason := self._source_reason(source):
                return reason
        gone = sorted(step for step in node.data_needs if step in self.skipped)
        needed = [s for s in gone if not self._is_alternative(node, s)]
        return f"`{needed[0]}` was skipped" if needed else ""

    def _branch_reason(self, condition: str, wanted: bool) -> str:
        if condition in self.skipped:
            return f"`{condition}` was skipped"
        if condition in self.chosen and self.chosen[condition] is not wanted:
            return f"`{condition}` was {'false' if wanted else 'true'}"
        return ""

    def _source_reason(self, source: Source) -> str:
        if isinstance(source, FirstOf) and all(s.step in self.skipped for s in source.sources):
            steps = " and ".join(f"`{s.step}`" for s in source.sources)
            return f"{steps} were skipped"
        return ""

    def _is_alternative(self, node: Node, step: str) -> bool:
        direct = {s.step for s in node.arguments.values() if isinstance(s, FromOutput)}
        return step not in direct and any(
            isinstance(s, FirstOf) and step in {a.step for a in s.sources}
            for s in node.arguments.values()
        )

    def arguments(self, node: Node) -> dict[str, Artifact | Value]:
        """Each argument's artifact or value; :class:`Waiting` if one is not there yet."""
        return {name: self.resolve(source) for name, source in node.arguments.items()}

    def resolve(self, source: Source) -> Artifact | Value:
        """What a source stands for now."""
        if isinstance(source, Literal):
            return Value(source.value)
        if isinstance(source, FromParam):
            return Value(self.graph.params[source.name])
        if isinstance(source, FromInput):
            return self.inputs[source.name]
        if isinstance(source, FirstOf):
            return self.resolve(self._first(source))
        return self._output(source)

    def _first(self, source: FirstOf) -> FromOutput:
        for option in source.sources:
            if option.step in self.made:
                return option
        raise Waiting(next(s.step for s in source.sources if s.step not in self.skipped))

    def _output(self, source: FromOutput) -> Artifact | Value:
        made = self.made.get(source.step)
        if made is None:
            raise Waiting(source.step)
        if source.keys:
            return Value(self.value(source))
        return made.outputs[source.output]

    def value(self, source: FromOutput) -> Json:
        """The small value inside a JSON output that ``step.output.key`` names."""
        value: Json = self.made[source.step].values.get(source.output)
        path = f"{source.step}.{source.output}"
        if source.output not in self.made[source.step].values:
            raise StepFailed(
                Fault(f"{path} holds no values to look into", hint="a .json output of at most 64 KiB does")
            )
        for key in source.keys:
            value = _inside(value, key, path)
            path = f"{path}.{key}"
        return value

    def lookup(self, reference: str) -> Json:
        """The small value that a reference in a condition or a message stands for."""
        source = source_of(self.graph, reference)
        if isinstance(source, FromOutput):
            return self.value(source)
        resolved = self.resolve(source)
        return resolved.value if isinstance(resolved, Value) else resolved.digest

    def take(self, step: str, key: str, made: Made) -> None:
        """A step has ended well."""
        self.keys[step] = key
        self.made[step] = made


def _inside(value: Json, key: str | int, path: str) -> Json:
    try:
        return value[key]  # type: ignore[index,call-overload,no-any-return]
    except (KeyError, IndexError, TypeError):
        known = list(value) if isinstance(value, dict) else []
        hint = did_you_mean(str(key), known) or (f"it has {', '.join(known[:8])}" if known else None)
        raise StepFailed(Fault(f"{path} has no `{key}`", hint=hint)) from None
