"""Whether a step runs, is reused or is skipped, and why: the plan of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Artifact, CacheEntry, Made
from towpath.config.expression import parse_condition
from towpath.config.foreign_values import Fields
from towpath.config.pipeline_declaration import (
    Callback,
    Condition,
    Expiry,
    Fail,
    Notify,
    QualityCheck,
    RegisterModel,
    Stop,
    Tuning,
)
from towpath.errors import Malformed, Refused, StepFailed, TowpathError
from towpath.pipeline import cache_key
from towpath.plain_data import list_fields
from towpath.planning import cell_items, cell_results, kind_code, known_cells, step_code
from towpath.planning.run_state import RunState, StepDecision, StepNotEnded, StepVerdict
from towpath.scratch import replace_text

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph, Loop, Node
    from towpath.steps.work_order import Value
    from towpath.workspace import Workspace


class ReusePolicy(Struct, frozen=True):
    """How eagerly results are reused.

    ``force`` runs every step; ``selected`` are the steps asked for (None: all). What else is
    ``needed`` by them is taken from an earlier run, and the rest left out. ``writers`` are those
    whose entries are believed (None: everybody's). ``ended`` are results of the run that is tried
    again, by step: they hold for the same key, whether they could be reused elsewhere or not.
    """

    force: bool = False
    selected: frozenset[str] | None = None
    needed: frozenset[str] = frozenset()
    writers: frozenset[str] | None = None
    ended: Mapping[str, CacheEntry] = field(default_factory=dict)


class StepJudge(Struct, frozen=True, eq=False):
    """Decides for the steps of one graph, over one project's store and memory.

    ``decide_registration`` is passed in, for the registry stands above this room; None where no
    step that registers is asked about.
    """

    workspace: Workspace
    graph: Graph
    memory: PipelineMemory
    decide_registration: Callable[[Node, RegisterModel, RunState], StepDecision] | None
    policy: ReusePolicy = ReusePolicy()
    code_of_cells: dict[tuple[object, ...], Mapping[str, str]] = field(default_factory=dict)

    def decide_step(self, node: Node, known: RunState) -> StepDecision:
        """What becomes of ``node``, given what is known of the steps before it."""
        if self.policy.selected is not None and not _is_among(node, self.policy.needed):
            return StepDecision(node.name, StepVerdict.SKIP, "not selected")
        if reason := known.skip_reason(node):
            return StepDecision(node.name, StepVerdict.SKIP, reason)
        if node.loop and node.awaits_cells:
            return self._await_lists(node, node.loop, known)
        if pending := known.pending(node):
            shown = "its cells" if node.gathers_cells else _join_names(pending)
            return StepDecision(node.name, StepVerdict.UNDECIDED, f"after {shown}")
        if isinstance(node.step, Condition | Fail | Stop | Notify):
            return StepDecision(node.name, StepVerdict.RUN)
        if isinstance(node.step, RegisterModel) and node.loop is None:
            assert self.decide_registration
            return self.decide_registration(node, node.step, known)
        return self._by_key(node, known)

    def _await_lists(self, node: Node, loop: Loop, known: RunState) -> StepDecision:
        """A step whose cells are not there: its list is not known yet, or holds nothing; or a
        search that goes on."""
        if isinstance(node.step, Tuning):
            ended = sum(cell in known.made for cell in loop.cells or ())
            reason = f"{ended} of {node.step.trials} trials are known"
            return StepDecision(node.name, StepVerdict.UNDECIDED, reason)
        try:
            cells = cell_items.read_items(known, node, loop)
        except StepNotEnded as waiting:
            reason = f"its cells are known after `{waiting.step}`"
            return StepDecision(node.name, StepVerdict.UNDECIDED, reason)
        reason = cell_items.empty_list_reason(loop, cells)
        return StepDecision(node.name, StepVerdict.SKIP, reason)

    def _gather(self, node: Node, loop: Loop, known: RunState) -> StepDecision:
        if failed := known.unforgiven_cells(loop):
            number = len(loop.cells or ())
            if known.refused.issuperset(failed):
                raise Refused(f"{len(failed)} of {number} cells did not pass, first `{failed[0]}`")
            raise StepFailed(f"{len(failed)} of {number} cells failed, first `{failed[0]}`")
        ingredients = cell_results.gathering_ingredients(node, known)
        key = cache_key.digest_value(ingredients)
        entry = self._trusted_entry(key)
        verdict = StepVerdict.REUSE if entry else StepVerdict.RUN
        reason = _made_by(entry) if entry else self._run_reason(node, ingredients)
        return StepDecision(node.name, verdict, reason, key, ingredients, entry)

    def _by_key(self, node: Node, known: RunState) -> StepDecision:
        if node.own_to_run and node.own_to_run not in known.run:  # in a plan
            return StepDecision(node.name, StepVerdict.RUN, _own_reason(node))
        if node.loop:
            return self._gather(node, node.loop, known)
        try:
            arguments = known.arguments(node)
        except StepNotEnded as waiting:
            return StepDecision(node.name, StepVerdict.UNDECIDED, f"after `{waiting.step}`")
        code = self._read_code(node, arguments, known)
        ingredients = cache_key.gather_ingredients(known.graph, node, arguments, code)
        key = cache_key.digest_value(ingredients)
        if self.policy.selected is not None and not _is_among(node, self.policy.selected):
            return self._take_earlier(node, key, ingredients)
        reason, entry = self._find_usable(node, known.graph.folder_of(node), key)
        if entry:
            reason, verdict = _made_by(entry), StepVerdict.REUSE
        else:
            reason, verdict = reason or self._run_reason(node, ingredients), StepVerdict.RUN
        return StepDecision(node.name, verdict, reason, key, ingredients, entry)

    def _read_code(
        self, node: Node, arguments: Mapping[str, Artifact | Value], known: RunState
    ) -> Mapping[str, str]:
        # The cells of a step have the same code, but for what the names of their files ask for,
        # and the suite that each is held against.
        files = [(n, v.name) for n, v in arguments.items() if isinstance(v, Artifact)]
        suite = node.step.expectations if isinstance(node.step, QualityCheck) else None
        case = (node.declared_name, suite, tuple(files))
        code = self.code_of_cells.get(case)
        if code is None:
            code = step_code.read_step_code(known.graph, node, arguments, self.workspace)
            if node.cell:
                self.code_of_cells[case] = code
        return code

    def _take_earlier(self, node: Node, key: str, found: Mapping[str, str]) -> StepDecision:
        # Who selects steps wants these to run, and not those before them: what such a step made
        # last will do, whatever has changed. It is `stale` then, and nothing of it is registered.
        last = self.memory.find_last(node.name)
        for candidate in (key, last.key if last else ""):
            entry = self._trusted_entry(candidate) if candidate else None
            if entry:
                reason, stale = f"not selected, {_made_by(entry)}", candidate != key
                return StepDecision(
                    node.name, StepVerdict.REUSE, reason, candidate, entry.ingredients, entry, stale
                )
        return StepDecision(node.name, StepVerdict.RUN, "needed, and never run here", key, found)

    def _find_usable(self, node: Node, folder: str, key: str) -> tuple[str, CacheEntry | None]:
        cache = node.step.cache
        if self.policy.force:
            return "forced", None
        if ended := self._find_ended(node, key):
            return "", ended
        if cache is False:
            return "cache: false", None
        if node.own_to_run:
            return _own_reason(node), None
        if isinstance(node.step, Callback):
            return "asked in each run", None
        if not kind_code.find_step_code(self.workspace.code, folder, node).is_known:
            return step_code.UNKNOWN, None
        entry = self._trusted_entry(key)
        if entry is None:
            return self._unusable_reason(list(self.workspace.store.entries(key))), None
        if isinstance(cache, Expiry):
            # In real seconds, over two machines' clocks: an hour between them is an hour too early.
            age = datetime.now(UTC) - datetime.fromisoformat(entry.made)
            if age.total_seconds() > cache.expires:
                return f"expired: made {entry.made}", None
        return "", entry

    def _find_ended(self, node: Node, key: str) -> CacheEntry | None:
        entry = self.policy.ended.get(node.name)
        if entry is None or entry.key != key or self.policy.writers:
            return None
        outputs = entry.result.outputs.values()
        is_whole = all(self.workspace.store.has(artifact.digest) for artifact in outputs)
        return entry if is_whole else None

    def _trusted_entry(self, key: str) -> CacheEntry | None:
        # The store has held all of its bytes against their digests.
        store, writers = self.workspace.store, self.policy.writers
        return store.entry(key, sorted(writers)) if writers else store.entry(key)

    def _unusable_reason(self, found: Sequence[CacheEntry]) -> str:
        # Whoever may write to a store can say what a step made: a run in CI that registers
        # believes only what CI wrote (docs/trust.md).
        writers = self.policy.writers
        if not found:
            return ""
        if writers and not any(entry.writer in writers for entry in found):
            return f"its result was written by `{found[0].writer}`, which is not trusted here"
        return "what it made is not whole in the store"

    def _run_reason(self, node: Node, found: Mapping[str, str]) -> str:
        last = self.memory.find_last(node.name)
        if last is None:
            return "never run here"
        if last.undeclared:
            return f"it opened {', '.join(last.undeclared)}, which it does not declare"
        return first_difference(last.ingredients, found) or "what it made is not in the store"


def _is_among(node: Node, names: frozenset[str]) -> bool:
    # Who names a step means its cells too, also those that are not known yet.
    return node.name in names or (node.cell is not None and node.cell.step in names)


def plan_steps(judge: StepJudge, known: RunState) -> Iterator[StepDecision]:
    """A decision for each step, in order, as far as it can be known without running any.

    Conditions whose values are known are decided on the way, for they choose what follows.
    """
    for node in known_cells.walk_nodes(known):
        try:
            decision = judge.decide_step(node, known)
        except StepFailed as error:  # a key that is not there, say: the run will tell it
            decision = StepDecision(node.name, StepVerdict.UNDECIDED, error.faults[0].what)
        if isinstance(node.step, Condition) and decision.verdict is StepVerdict.RUN:
            decision = choose_branch(node, node.step, decision, known)
        elif decision.verdict is StepVerdict.SKIP:
            known.skipped[node.name] = decision.reason
        elif decision.entry:
            known.take_result(decision, decision.entry.result)
        yield replace(decision, cell_of=node.cell.step) if node.cell else decision


def evaluate_choice(node: Node, step: Condition, known: RunState) -> bool:
    """Which way a condition goes."""
    return parse_condition(step.expression).evaluate(partial(known.look_up_value, node))


def choose_branch(
    node: Node, step: Condition, decision: StepDecision, known: RunState
) -> StepDecision:
    """A condition decided ahead of a run, where its values are known; what it chose is kept."""
    try:
        verdict = evaluate_choice(node, step, known)
    except TowpathError as error:  # a NaN, say: the run will tell it as a failed step
        return replace(decision, verdict=StepVerdict.UNDECIDED, reason=error.faults[0].what)
    known.chosen[decision.step] = verdict
    known.take_result(decision, Made(facts={"chosen": verdict}))
    return replace(decision, reason=describe_choice(step, verdict))


def describe_choice(step: Condition, verdict: bool) -> str:
    """Which way a condition went, in words."""
    return f"`{step.expression}` is {str(verdict).lower()}"


def tells_choice(reason: str) -> bool:
    """Whether a reason is the words of a condition that went one way."""
    return reason.startswith("`") and reason.endswith(("` is true", "` is false"))


def first_difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The first ingredient that differs, in words; empty if none does."""
    for label in {**after, **before}:
        old, new = before.get(label), after.get(label)
        if old != new:
            return _describe_difference(label, old, new)
    return ""


#: How an ingredient that is another one is told, by the first word of its label.
_CHANGED = {
    "parameter": "`{name}` {old} -> {new}",
    "package": "`{name}` {old} -> {new}",
    "python": "Python {old} -> {new}",
    "format": "input `{name}` is read as {new}, no longer as {old}",
    "input": "input `{name}` changed",
    "code": "code of `{name}` changed",
}
#: The same where it may be new or gone as well.
_DIFFERENT = {
    "declaration": "its declaration changed",
    "cells": "its cells are other ones",
    "options": "how input `{name}` is read was declared otherwise",
}
#: The same of an input that need not be there.
_THERE = {"input": "input `{name}` is there now"}
_GONE = {"input": "input `{name}` is not there any more"}


def _describe_difference(label: str, old: str | None, new: str | None) -> str:
    what, _, name = label.partition(" ")
    words = {**_CHANGED, **_DIFFERENT} if old and new else _DIFFERENT
    if what == "input" and cache_key.ABSENT in (old, new):
        words = _THERE if old == cache_key.ABSENT else _GONE
    verb = "is new" if old is None else "is gone"
    text = words.get(what, f"{what} `{{name}}` {verb}")
    return text.format(name=name, old=old, new=new)


def _own_reason(node: Node) -> str:
    return f"it takes `run.{node.own_to_run}`, which no other run has"


def _made_by(entry: CacheEntry) -> str:
    return f"made by {entry.made_by}"


def _join_names(steps: frozenset[str]) -> str:
    return ", ".join(f"`{step}`" for step in sorted(steps))


class LastExecution(Struct, frozen=True):
    """A step's last execution here; ``undeclared`` are files it opened without saying so."""

    key: str
    ingredients: Mapping[str, str] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()


class PipelineMemory(Struct, frozen=True, dict=True):
    """The last keys of one pipeline, in a small file."""

    # Results are found by their keys in the store; losing this costs only the words of a reason.

    path: Path

    @classmethod
    def of_pipeline(cls, state: Path, pipeline: str) -> PipelineMemory:
        """The memory of a pipeline under a project's state folder."""
        return cls(state / "state" / "last" / f"{pipeline}.json")

    def find_last(self, step: str) -> LastExecution | None:
        """What is remembered of a step."""
        return self._last_by_step.get(step)

    @cached_property
    def _last_by_step(self) -> dict[str, LastExecution]:
        try:
            return foreign.table_of(_read_last)(foreign.parse_json(self.path.read_bytes()))
        except (OSError, Malformed):  # a stranger's branch may bring one: see docs/trust.md
            return {}

    def remember(self, latest: Mapping[str, LastExecution]) -> None:
        """Add the latest keys to what is on disk, in one atomic step."""
        if not latest:
            return
        # Read anew: a run of other steps may have ended meanwhile. Of two that end in the same
        # moment one's keys are lost, which costs a reason's words.
        kept = PipelineMemory(self.path)._last_by_step
        # Of cells and trials those of now, or the file would grow with each list and each search.
        repeated = {name.partition("@")[0] for name in latest if "@" in name}
        stays = {n for n in kept if "@" not in n or n.partition("@")[0] not in repeated}
        merged = {**{name: kept[name] for name in kept if name in stays}, **latest}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({step: list_fields(last) for step, last in merged.items()})
        replace_text(self.path, text)


def _read_last(value: object) -> LastExecution:
    fields = Fields(value)
    return LastExecution(
        fields.get("key", foreign.read_text),
        fields.get("ingredients", foreign.table_of(foreign.read_text)),
        fields.get("undeclared", foreign.list_of(foreign.read_text)),
    )
