"""Whether a step runs, is reused or is skipped, and why: the plan of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from towpath.config.artifact import Entry, Made
from towpath.config.pipeline_declaration import Condition, Expiry, Fail, RegisterModel
from towpath.errors import StepFailed, TowpathError
from towpath.pipeline import cache_key, command_code
from towpath.planning.run_state import Decision, RunState, Verdict, Waiting
from towpath.steps.kinds import condition

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.pipeline.step_graph import Graph, Node
    from towpath.planning.run_memory import Memory
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Policy:
    """How eagerly results are reused.

    ``force`` runs every step; ``selected`` are the steps asked for (None: all). What else is
    ``needed`` by them is taken from an earlier run, and the rest left out. ``writers`` are those
    whose entries are believed (None: everybody's).
    """

    force: bool = False
    selected: frozenset[str] | None = None
    needed: frozenset[str] = frozenset()
    writers: frozenset[str] | None = None


class Registrar(Protocol):
    """Registers models for a run, and knows what it registered before."""

    def require(self, steps: Iterable[str]) -> None:
        """UserError where ``steps`` must register, and may not."""

    def decide(self, node: Node, step: RegisterModel, known: RunState) -> Decision:
        """What becomes of a step that registers."""

    def register(self, node: Node, step: RegisterModel, known: RunState, run_id: str) -> Made:
        """Make the version of a step's model."""

    def defer(
        self, node: Node, step: RegisterModel, known: RunState, run_id: str, folder: Path
    ) -> None:
        """Keep what a trial leaves unregistered, in the run's ``folder``."""


@dataclass(frozen=True)
class Judge:
    """Decides for the steps of one graph, over one project's store and memory.

    ``registry`` is None where no step that registers is asked about.
    """

    workspace: Workspace
    graph: Graph
    memory: Memory
    registry: Registrar | None
    policy: Policy = Policy()

    def decide(self, node: Node, known: RunState) -> Decision:
        """What becomes of ``node``, given what is known of the steps before it."""
        if self.policy.selected is not None and node.name not in self.policy.needed:
            return Decision(node.name, Verdict.SKIP, "not selected")
        if reason := known.skip_reason(node):
            return Decision(node.name, Verdict.SKIP, reason)
        if pending := known.pending(node):
            return Decision(node.name, Verdict.UNDECIDED, f"after {_names(pending)}")
        if isinstance(node.step, (Condition, Fail)):
            return Decision(node.name, Verdict.RUN)
        if isinstance(node.step, RegisterModel):
            assert self.registry
            return self.registry.decide(node, node.step, known)
        return self._by_key(node, known)

    def chooses(self, node: Node, step: Condition, known: RunState) -> bool:
        """Which way a condition goes."""
        return condition.evaluate(step, partial(known.lookup, node))

    def _by_key(self, node: Node, known: RunState) -> Decision:
        try:
            arguments = known.arguments(node)
        except Waiting as waiting:
            return Decision(node.name, Verdict.UNDECIDED, f"after `{waiting.step}`")
        found = cache_key.ingredients(self.graph, node, arguments, self.workspace)
        key = cache_key.key(found)
        if self.policy.selected is not None and node.name not in self.policy.selected:
            return self._earlier(node, key, found)
        reason, entry = self._usable(node, key)
        if entry:
            return Decision(node.name, Verdict.REUSE, _made_by(entry), key, found, entry)
        return Decision(node.name, Verdict.RUN, reason or self._reason(node, found), key, found)

    def _earlier(self, node: Node, key: str, found: Mapping[str, str]) -> Decision:
        """For a step that the selected ones need: what it made last, whatever has changed."""
        last = self.memory.last(node.name)
        for candidate in (key, last.key if last else ""):
            entry = self._entry(candidate) if candidate else None
            if entry:
                reason, stale = f"not selected, {_made_by(entry)}", candidate != key
                return Decision(
                    node.name, Verdict.REUSE, reason, candidate, entry.ingredients, entry, stale
                )
        return Decision(node.name, Verdict.RUN, "needed, and never run here", key, found)

    def _usable(self, node: Node, key: str) -> tuple[str, Entry | None]:
        cache = node.step.cache
        if self.policy.force:
            return "forced", None
        if cache is False:
            return "cache: false", None
        if not command_code.is_known(self.workspace.code, node.step):
            return command_code.UNKNOWN, None
        remembered = list(self.workspace.store.entries(key))
        entry = self._entry(key) if remembered else None
        if entry is None:
            return self._lost(remembered), None
        if isinstance(cache, Expiry) and _age(entry) > cache.expires:
            return f"expired: made {entry.made}", None
        return "", entry

    def _entry(self, key: str) -> Entry | None:
        """The entry of ``key`` if it is believed and all of its bytes are right."""
        store, writers = self.workspace.store, self.policy.writers
        entry = store.entry(key, sorted(writers)) if writers else store.entry(key)
        return entry if entry and self._has_readable_models(entry) else None

    def _has_readable_models(self, entry: Entry) -> bool:
        """Whether the model files that a step made can be read: else it would be reused for good,
        and who takes them would fail for good."""
        names = [a for a in entry.result.outputs.values() if a.name.endswith(".skops")]
        if not names:
            return True
        from towpath.steps.model_io import skops_archive

        return all(skops_archive.is_readable(self.workspace.store.path(a.digest)) for a in names)

    def _lost(self, found: Sequence[Entry]) -> str:
        """Why a result that is remembered cannot be used; empty where none is."""
        writers = self.policy.writers
        if not found:
            return ""
        if writers and not any(entry.writer in writers for entry in found):
            return f"its result was written by `{found[0].writer}`, which is not trusted here"
        return "what it made is not whole in the store"

    def _reason(self, node: Node, found: Mapping[str, str]) -> str:
        last = self.memory.last(node.name)
        if last is None:
            return "never run here"
        if last.undeclared:
            return f"it opened {', '.join(last.undeclared)}, which it does not declare"
        return first_difference(last.ingredients, found) or "what it made is not in the store"


def plan(judge: Judge, known: RunState) -> Iterator[Decision]:
    """A decision for each step, in order, as far as it can be known without running any.

    Conditions whose values are known are decided on the way, for they choose what follows.
    """
    for node in judge.graph.nodes.values():
        try:
            decision = judge.decide(node, known)
        except StepFailed as error:  # a key that is not there, say: the run will tell it
            decision = Decision(node.name, Verdict.UNDECIDED, error.faults[0].what)
        if isinstance(node.step, Condition) and decision.verdict is Verdict.RUN:
            decision = choose_branch(judge, node, node.step, decision, known)
        elif decision.verdict is Verdict.SKIP:
            known.skipped[node.name] = decision.reason
        elif decision.entry:
            known.take(decision, decision.entry.result)
        yield decision


def choose_branch(
    judge: Judge, node: Node, step: Condition, decision: Decision, known: RunState
) -> Decision:
    """A condition decided ahead of a run, where its values are known; what it chose is kept."""
    try:
        verdict = judge.chooses(node, step, known)
    except TowpathError as error:  # a NaN, say: the run will tell it as a failed step
        return replace(decision, verdict=Verdict.UNDECIDED, reason=error.faults[0].what)
    known.chosen[decision.step] = verdict
    known.take(decision, Made(facts={"chosen": verdict}))
    return replace(decision, reason=choice(step, verdict))


def choice(step: Condition, verdict: bool) -> str:
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
            return _difference(label, old, new)
    return ""


def _difference(label: str, old: str | None, new: str | None) -> str:
    what, _, name = label.partition(" ")
    if what == "declaration":
        return "its declaration changed"
    if what in ("parameter", "package", "python") and old and new:
        return f"{'Python' if what == 'python' else f'`{name}`'} {old} -> {new}"
    if what == "format" and old and new:
        return f"input `{name}` is read as {new}, no longer as {old}"
    if what == "options":
        return f"how input `{name}` is read was declared otherwise"
    if what == "input" and old and new:
        return f"input `{name}` changed"
    if what == "code" and old and new:
        return f"code of `{name}` changed"
    verb = "is new" if old is None else "is gone"
    return f"{what} `{name}` {verb}"


def _made_by(entry: Entry) -> str:
    return f"made by {entry.made_by}"


def _age(entry: Entry) -> float:
    """In seconds."""
    return (datetime.now(UTC) - datetime.fromisoformat(entry.made)).total_seconds()


def _names(steps: frozenset[str]) -> str:
    return ", ".join(f"`{step}`" for step in sorted(steps))
