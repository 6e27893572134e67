"""What a step with ``each`` hands on of its cells: all of them, or the best one."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from towpath.config.artifact import Artifact, Json, Made
from towpath.config.expression import pick_value
from towpath.config.pipeline_declaration import Tuning, is_json
from towpath.errors import Fault, StepFailed
from towpath.pipeline.cache_key import canonical_text, digest_value
from towpath.pipeline.step_cells import cell_file
from towpath.steps.work_order import CELLS

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.pipeline.step_graph import BestCell, Cell, Loop, Node
    from towpath.planning.run_state import RunState

#: The fact of a trial that failed, and is remembered as such: why.
FAILED = "failed"
#: A change in what is handed on raises it.
_REVISION = 3
_SMALL = 1 << 16  # bytes of a document that conditions and messages may look into


def gathering_ingredients(node: Node, known: RunState) -> dict[str, str]:
    """What goes into the key of what a step hands on: its cells' items and what each made."""
    assert node.loop
    best = node.loop.best
    compared = best and [best.number.step, best.number.output, list(best.number.keys), best.least]
    declaration = [_REVISION, list(node.loop.lists), sorted(node.loop.outputs), compared]
    cells = [
        [
            *(cell.label, dict(cell.items)),
            *(_files_of(known.made[name]), _files_of(known.made[by]) if by else {}),
        ]
        for name, cell, by in _made_cells(node, known)
    ]
    trials = _list_trials(node.step, node.loop, known) if isinstance(node.step, Tuning) else []
    return {
        "declaration": digest_value(declaration),
        "cells": digest_value([cells, trials] if trials else cells),
    }


def _files_of(made: Made) -> dict[str, list[str]]:
    # The names too: a folder of all cells' files has their extensions.
    return {name: [artifact.digest, artifact.name] for name, artifact in made.outputs.items()}


def _list_trials(step: Tuning, loop: Loop, known: RunState) -> list[Json]:
    """What the table of a search shows beside the numbers: its columns, and the trials that failed
    too."""
    trials: list[Json] = [list(step.ranges)]
    trials += [[dict(c.items), _was_made(known, name)] for name, c in _list_cells(loop, known)]
    return trials


def _list_cells(loop: Loop | None, known: RunState) -> Iterator[tuple[str, Cell]]:
    """The cells of a step by their names, in declared order."""
    for name in (loop and loop.cells) or ():
        if cell := known.graph.nodes[name].cell:
            yield name, cell


def _made_cells(node: Node, known: RunState) -> Iterator[tuple[str, Cell, str]]:
    """The cells that were made, in declared order, each with the one that has its number."""
    best = node.loop and node.loop.best
    for name, cell in _list_cells(node.loop, known):
        by = f"{best.number.step}@{_label_of(known, best, cell)}" if best else ""
        if _was_made(known, name) and (not by or _was_made(known, by)):
            yield name, cell, by


def _was_made(known: RunState, name: str) -> bool:
    return name in known.made and FAILED not in known.made[name].facts


def _label_of(known: RunState, best: BestCell, cell: Cell) -> str:
    if best.number.step == cell.step:
        return cell.label
    maker = known.graph.nodes[best.number.step].loop
    assert maker
    if list(maker.lists) == list(cell.items):
        return cell.label
    # The same lists in another order: its label has the items in that order.
    others = (other for _, other in _list_cells(maker, known) if other.items == cell.items)
    return next(others, cell).label


def gather_cells(store: Store, node: Node, known: RunState) -> Made:
    """What a step hands on, stored: of a JSON output the list of its cells, of others a folder;
    with ``best_by`` what the best cell made, which it was, and the numbers of all.

    Raises StepFailed where no cell was made, or a number that is compared is none.
    """
    assert node.loop
    cells = node.loop.cells or ()
    if not any(_was_made(known, cell) for cell in cells):
        word = "trials" if isinstance(node.step, Tuning) else "cells"
        hint = f"the first is `{cells[0]}`" if cells else None
        raise StepFailed(f"none of its {len(cells)} {word} ended well", hint=hint)
    if node.loop.best:
        return _hand_on_best(store, node, node.loop.best, known)
    results = [(cell, known.made[name]) for name, cell, _ in _made_cells(node, known)]
    outputs: dict[str, Artifact] = {}
    values: dict[str, Json] = {}
    for output in node.outputs:
        if is_json(node.loop.outputs[output]):
            rows = [_row(cell, _document(store, result, output)) for cell, result in results]
            outputs[output] = _put_document(store, node, output, rows, values)
        else:
            outputs[output] = _gather_folder(store, output, results)
    return Made(outputs, values)


def _row(cell: Cell, value: Json) -> dict[str, Json]:
    return {**cell.items, "value": value}


def _document(store: Store, made: Made, output: str) -> Json:
    if output in made.values:
        return made.values[output]
    return json.loads(store.read_small(made.outputs[output].digest))  # type: ignore[no-any-return]


def _put_document(
    store: Store, node: Node, output: str, document: Any, values: dict[str, Json]
) -> Artifact:
    content = json.dumps(document, indent=2, ensure_ascii=False).encode()
    if len(content) <= _SMALL:
        values[output] = document
    return store.put_bytes(content, PurePosixPath(node.outputs[output].path).name)


def _gather_folder(store: Store, output: str, made: list[tuple[Cell, Made]]) -> Artifact:
    rows: list[dict[str, Json]] = []
    members: dict[str, Artifact] = {}
    for cell, result in made:
        artifact = result.outputs[output]
        path = cell_file(cell.label, artifact.name)
        members[path] = artifact
        rows.append(_row(cell, path))
    content = json.dumps(rows, indent=2, ensure_ascii=False).encode()
    members[CELLS] = store.put_bytes(content, CELLS)
    return store.put_members(members, output)


def _hand_on_best(store: Store, node: Node, best: BestCell, known: RunState) -> Made:
    search = isinstance(node.step, Tuning)
    rows: list[dict[str, Json]] = []
    numbers: list[tuple[float, str, int]] = []
    first_fault: Fault | None = None
    for name, cell, by in _made_cells(node, known):
        try:
            number = _number_of(store, best, known.made[by], by)
            if search:
                _require_finite(number, by)
        except StepFailed as failure:
            if not (search or node.step.may_fail):  # type: ignore[union-attr]  # it has cells
                raise
            first_fault = first_fault or failure.faults[0]
            continue
        numbers.append((number if best.least else -number, name, len(rows)))
        rows.append(_row(cell, number))
    if not numbers:
        raise _none_has_number(node, first_fault)
    # Of several that are equal the first.
    _, winner, place = min(numbers, key=lambda triple: triple[0])
    result = known.made[winner]
    values = dict(result.values)
    outputs = dict(result.outputs)
    outputs["best"] = _put_document(store, node, "best", rows[place], values)
    if search:
        content = _trials_table(node, known, {name: rows[n]["value"] for _, name, n in numbers})
        outputs["trials"] = store.put_bytes(content, "trials.csv")
    else:
        outputs["cells"] = _put_document(store, node, "cells", rows, values)
    facts = {name: fact for name, fact in result.facts.items() if name in ("signature", "needs")}
    return Made(outputs, values, {**facts, "best": winner})


def _require_finite(number: float, step: str) -> None:
    if math.isinf(number):  # which no search can go by
        raise StepFailed(f"`{step}` reached {number}, which is no number to go by")


def _none_has_number(node: Node, first_fault: Fault | None) -> StepFailed:
    word = "trials" if isinstance(node.step, Tuning) else "cells"
    hint = str(first_fault) if first_fault else None
    return StepFailed(f"none of its {word} has a number to compare", hint=hint)


def _trials_table(node: Node, known: RunState, numbers: Mapping[str, Json]) -> bytes:
    """A row for each trial in their order, those without a number too."""
    assert isinstance(node.step, Tuning)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trial", *node.step.ranges, "value", "state"])
    for name, cell in _list_cells(node.loop, known):
        state = "done" if name in numbers else "no number" if _was_made(known, name) else "failed"
        values = (cell.items[key] for key in node.step.ranges)
        items = (value if isinstance(value, str) else json.dumps(value) for value in values)
        writer.writerow([cell.label, *items, numbers.get(name, ""), state])
    return table.getvalue().encode()


def _number_of(store: Store, best: BestCell, made: Made, cell: str) -> float:
    shown = f"{cell}.{best.number.output}"
    number = pick_value(_document(store, made, best.number.output), best.number.keys, shown)
    where = ".".join(map(str, (shown, *best.number.keys)))
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise StepFailed(Fault(f"`{where}` is {canonical_text(number)[:60]}, not a number"))
    if math.isnan(number):
        raise StepFailed(Fault(f"`{where}` is NaN: no cell can be called the best"))
    return number
