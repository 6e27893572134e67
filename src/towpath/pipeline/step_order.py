"""Which condition decides about a step, and what could never run."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from towpath.config.declaration import Places
from towpath.config.pipeline_declaration import (
    BiasCheck,
    Condition,
    Fail,
    QualityCheck,
    RegisterModel,
    Stop,
)
from towpath.errors import Fault
from towpath.pipeline.pipeline_names import PipelineNames
from towpath.pipeline.step_graph import Branch, FromOutput, Node


def place_in_branches(
    nodes: Mapping[str, Node], names: PipelineNames
) -> tuple[dict[str, Node], list[Fault]]:
    """The nodes with the branch that each is in; a step is in one branch of one condition."""
    branch_of: dict[str, Branch] = {}
    faults: list[Fault] = []
    for condition, key, step, position in _named_steps(nodes, names):
        place = names.declared.places.find_place("steps", condition, key, position)
        if not names.step(step, place):
            continue
        if step in branch_of:
            first = branch_of[step]
            where = f"`{first.condition}`" if first.condition != condition else "this condition"
            branch = "then" if first.holds else "else"
            what = f"`{step}` is in two branches, first in `{branch}` of {where}"
            faults.append(Fault(what, place, "a step has one branch"))
        else:
            branch_of[step] = Branch(condition, key == "then")
    for name, node in nodes.items():
        if isinstance(node.step, Condition) and not (node.step.then or node.step.otherwise):
            place = names.declared.places.find_place("steps", name)
            hint = "name steps under `then` or `else`"
            faults.append(Fault(f"`{name}` decides nothing", place, hint))
    for step in names.bodies.keys() & branch_of.keys():
        branch_of |= dict.fromkeys(names.list_steps(step), branch_of[step])
    return {name: _in_branch(node, branch_of.get(name)) for name, node in nodes.items()}, faults


def unreachable_faults(nodes: Mapping[str, Node], names: PipelineNames) -> Iterator[Fault]:
    """Steps that no run could carry out, or that would end every run; nodes are in order."""
    guards: dict[str, dict[str, bool]] = {}
    for name, node in nodes.items():
        guards[name], clash = _find_guards(node, guards)
        place = names.declared.places.find_place("steps", name)
        if clash:
            what = f"`{name}` can never run: it needs both branches of `{clash}`"
            yield Fault(what, place, _either_hint(node, clash, guards))
        if _ends_every_run(node, guards[name], names):
            what = f"`{name}` would end every run"
            yield Fault(what, place, "name it under `then` or `else` of a condition")
    yield from _registered_twice(nodes, guards, names)


def _either_hint(node: Node, clash: str, guards: Mapping[str, Mapping[str, bool]]) -> str:
    # Only what a step is given can be chosen so: a condition cannot.
    taken = {
        source.step: (name, source)
        for name, source in node.arguments.items()
        if isinstance(source, FromOutput) and clash in guards.get(source.step, {})
    }
    if len(taken) < 2:
        return "a condition, a message or a label takes values of one branch"
    (name, first), (_, second) = list(taken.values())[:2]
    chosen = f"{first.step}.{first.output} or {second.step}.{second.output}"
    return f"`inputs: {{{name}: {chosen}}}` takes the one that was made"


def _named_steps(
    nodes: Mapping[str, Node], names: PipelineNames
) -> Iterator[tuple[str, str, str, int]]:
    for name, node in nodes.items():
        if isinstance(node.step, Condition) and name in names.pipeline.steps:
            for key, steps in (("then", node.step.then), ("else", node.step.otherwise)):
                yield from ((name, key, step, i) for i, step in enumerate(steps))


def _in_branch(node: Node, branch: Branch | None) -> Node:
    if branch is None or node.branch:  # of a condition of its own pipeline, which is in this branch
        return node
    return replace(node, branch=branch, needs=node.needs | {branch.condition})


def _find_guards(
    node: Node, guards: Mapping[str, Mapping[str, bool]]
) -> tuple[dict[str, bool], str | None]:
    """The answers that conditions must have given for a step to run, and a contradiction."""
    # Of a choice (`a.x or b.y`) either will do, so that none of its steps is certain.
    certain = {s.step for s in node.taken_sources if isinstance(s, FromOutput)}
    answers: dict[str, bool] = {}
    clash = None
    for before in [*sorted(certain), *([node.branch.condition] if node.branch else [])]:
        for condition, holds in guards.get(before, {}).items():
            clash = condition if answers.setdefault(condition, holds) is not holds else clash
    if node.branch and answers.setdefault(*node.branch) is not node.branch.holds:
        clash = node.branch.condition
    return answers, clash


def _ends_every_run(node: Node, guards: Mapping[str, bool], names: PipelineNames) -> bool:
    # Where the file could not be read whole, what was not read may name it.
    is_named = node.name in names.used or names.declared.blind or names.declared.malformed
    is_watch = node.step.on_failure is not None
    return isinstance(node.step, Fail | Stop) and not (guards or is_named or is_watch)


def _registered_twice(
    nodes: Mapping[str, Node], guards: Mapping[str, Mapping[str, bool]], names: PipelineNames
) -> Iterator[Fault]:
    # A run registers one version of a model, so the steps must exclude each other.
    steps_by_model: dict[str, list[str]] = {}
    for name, node in nodes.items():
        if not isinstance(node.step, RegisterModel):
            continue
        others = steps_by_model.setdefault(node.step.model, [])
        rivals = (o for o in others if not _exclude_each_other(guards[name], guards[o]))
        if rival := next(rivals, None):
            what = f"`{name}` and `{rival}` both register `{node.step.model}`"
            owner, dot, _ = name.partition(".")
            # Of two uses of a pipeline, whose file is sound for itself, the second is one too many.
            at_use = dot and owner != rival.partition(".")[0]
            loc = (owner,) if at_use else (name, "as")
            place = names.declared.places.find_place("steps", *loc)
            yield Fault(what, place, "a run registers one version of a model")
        others.append(name)


def _exclude_each_other(one: Mapping[str, bool], other: Mapping[str, bool]) -> bool:
    return any(other.get(condition, holds) is not holds for condition, holds in one.items())


def wait_for_checks(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes, in which a registration waits for every check that is not after it."""
    result = dict(nodes)
    checks = [n for n, node in nodes.items() if isinstance(node.step, QualityCheck | BiasCheck)]
    for name, node in nodes.items():
        if isinstance(node.step, RegisterModel):
            later = _find_later(name, result)
            before = frozenset(check for check in checks if check not in later)
            # A check after it, be it by way of other steps, would close a circle.
            result[name] = replace(node, needs=node.needs | before)
    return result


def order_nodes(nodes: Mapping[str, Node], places: Places) -> tuple[dict[str, Node], list[Fault]]:
    """The nodes, each after what it needs and otherwise as declared, and a fault for each circle.

    Steps in a circle, and what comes after them, follow at the end.
    """
    order = list(_sort_nodes(nodes))
    rest = {name: node for name, node in nodes.items() if name not in set(order)}
    faults = [_circle_fault(circle, places) for circle in _find_circles(rest)]
    return {name: nodes[name] for name in [*order, *rest]}, faults


def _find_later(start: str, nodes: Mapping[str, Node]) -> set[str]:
    followers = _find_followers(nodes)
    later_steps, todo = {start}, [start]
    while todo:
        new = set(followers[todo.pop()]) - later_steps
        later_steps |= new
        todo += new
    return later_steps


def _find_followers(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    followers: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for needed in node.needs:
            followers[needed].append(name)
    return followers


def _sort_nodes(nodes: Mapping[str, Node]) -> Iterator[str]:
    position = {name: index for index, name in enumerate(nodes)}
    followers = _find_followers(nodes)
    open_needs = {name: len(node.needs) for name, node in nodes.items()}
    names = list(nodes)
    ready = [index for name, index in position.items() if not open_needs[name]]
    # A heap, where graphlib gives whole levels: ready steps keep the order of their declaration,
    # so that a table, a drawing and `dvc.yaml` show them as they were written.
    while ready:
        name = names[heapq.heappop(ready)]
        yield name
        for follower in followers[name]:
            open_needs[follower] -= 1
            if not open_needs[follower]:
                heapq.heappush(ready, position[follower])


def _find_circles(nodes: Mapping[str, Node]) -> Iterator[list[str]]:
    """Circles that share no step, each in the order in which its steps would have to run."""
    rest = dict(nodes)
    while rest:
        circle = _walk_circle(rest)
        yield circle
        for name in circle:
            del rest[name]
        # What waited for the circle alone is in none, and would be told as a second fault.
        while loose := [name for name, node in rest.items() if not node.needs & rest.keys()]:
            for name in loose:
                del rest[name]


def _walk_circle(nodes: Mapping[str, Node]) -> list[str]:
    # Each of these needs another of them: going back from one to the next must come round.
    position = {name: index for index, name in enumerate(nodes)}
    path = [next(iter(nodes))]
    while True:
        before = min(nodes[path[-1]].needs & nodes.keys(), key=position.__getitem__)
        if before in path:
            circle = path[path.index(before) :][::-1]
            first = circle.index(min(circle, key=position.__getitem__))
            return circle[first:] + circle[:first]
        path.append(before)


def _circle_fault(circle: list[str], places: Places) -> Fault:
    shown = " -> ".join([*circle, circle[0]])
    # An inner pipeline is sound by itself: what is given to it closes the circle.
    named = next((name for name in circle if "." not in name), circle[0].partition(".")[0])
    return Fault(f"the steps go in a circle: {shown}", places.find_place("steps", named))
