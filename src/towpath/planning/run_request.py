"""What a run is asked to do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.errors import Fault, Place, UsageError, did_you_mean
from towpath.pipeline.run_arguments import RunValues

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph


class RunRequest(Struct, frozen=True):
    """A run of one pipeline.

    ``only``, ``begin`` and ``end`` select steps, the others taking what an earlier run made;
    ``force`` runs every selected step; ``register`` registers though the values are other than the
    declared ones; ``require_register`` makes it an error if the run could not register; ``push``
    publishes what it registered; ``retry`` names an earlier run, of which what ended well is taken
    as it is; ``jobs`` bounds the steps that run at once; ``environment`` is what the run is for;
    ``param_places`` are the lines of parameters that a file gave.
    """

    pipeline: str
    params: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    begin: str | None = None
    end: str | None = None
    force: bool = False
    require_register: bool = False
    push: bool = False
    register: bool = False
    retry: str | None = None
    jobs: int | None = None
    environment: str = ""
    param_places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def values(self) -> RunValues:
        """The values that it gives."""
        return RunValues(self.params, self.inputs, self.environment, self.param_places)

    @property
    def is_whole(self) -> bool:
        """Whether no steps are selected."""
        return not (self.only or self.begin or self.end)

    def asked_fields(self) -> dict[str, Any]:
        """What of it a record keeps, for :func:`repeat_request`."""
        return {
            "params": dict(self.params),
            "inputs": dict(self.inputs),
            "only": list(self.only),
            "begin": self.begin,
            "end": self.end,
            "for": self.environment,
        }


def repeat_request(request: RunRequest, asked: Mapping[str, Any]) -> RunRequest:
    """What an earlier run was asked, with what is asked otherwise now."""
    return replace(
        request,
        params={**asked.get("params", {}), **request.params},
        inputs={**asked.get("inputs", {}), **request.inputs},
        only=request.only or tuple(asked.get("only", ())),
        begin=request.begin or asked.get("begin"),
        end=request.end or asked.get("end"),
        environment=request.environment or asked.get("for", ""),
    )


def describe_asked(asked: Mapping[str, Any]) -> str:
    """What a run was asked, as its record keeps it, in words that can be typed again."""
    words = []
    for table, option in (("params", ""), ("inputs", "--input ")):
        values = asked.get(table)
        pairs = values.items() if isinstance(values, Mapping) else ()
        words += [f"{option}{name}={value}" for name, value in pairs]
    only = asked.get("only")
    words += [f"--only {step}" for step in only] if isinstance(only, list) else []
    words += [f"--from {asked['begin']}"] if asked.get("begin") else []
    words += [f"--to {asked['end']}"] if asked.get("end") else []
    return " ".join(words)


def select_steps(graph: Graph, request: RunRequest) -> frozenset[str] | None:
    """The steps that may run; None for all."""
    named = [*request.only, *filter(None, (request.begin, request.end))]
    if not named:
        return None
    names, listed = [*graph.steps, *graph.bodies], f"it has {', '.join(graph.steps)}"
    unknown = [
        Fault(f"no step `{name}` in {graph.name}", hint=did_you_mean(name, names) or listed)
        for name in named
        if name not in names
    ]
    if unknown:
        raise UsageError(*unknown)
    only = [step for name in request.only for step in graph.list_steps(name)]
    chosen = frozenset(only or graph.nodes)
    if request.begin:
        chosen &= _find_after(graph, graph.list_steps(request.begin))
    if request.end:
        chosen &= find_needed_steps(graph, frozenset(graph.list_steps(request.end)))
    if not chosen:
        raise UsageError("no step is selected", hint=f"the order is {', '.join(graph.steps)}")
    return chosen


def find_needed_steps(graph: Graph, steps: frozenset[str]) -> frozenset[str]:
    """Steps and all that they wait for."""
    needed_steps = set(steps)
    # Each node comes after what it needs, so one pass backwards is enough.
    for name in reversed(list(graph.nodes)):
        if name in needed_steps:
            needed_steps |= graph.nodes[name].needs
    return frozenset(needed_steps)


def _find_after(graph: Graph, steps: Iterable[str]) -> frozenset[str]:
    begun = frozenset(steps)
    later_steps = set(begun)
    for name, node in graph.nodes.items():
        if node.needs & later_steps or node.declared_name in begun:
            later_steps.add(name)
    return frozenset(later_steps)


def in_ci() -> bool:
    """Whether this is a run of a CI service, as they all say by ``CI=true``."""
    # GitHub, GitLab, CircleCI and others set it; a person's shell does not.
    return os.environ.get("CI", "").lower() in ("true", "1")
