"""A notebook held against its step: what is not there, not Python, or not given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.config.pipeline_declaration import NotebookStep, notebook_outputs
from towpath.dependencies.notebook_source import PARAMETERS, Notebook, NotebookCell
from towpath.errors import Fault, Place, did_you_mean

if TYPE_CHECKING:
    from towpath.dependencies import CodeReader
    from towpath.pipeline.step_graph import Node


def find_notebook_faults(
    reader: CodeReader, folder: str, node: Node, place: Place | None, whole: bool
) -> Iterator[Fault]:
    """Everything that is wrong with a step's notebook. ``whole``: each of the step's references
    could be resolved. DeclarationError where there is no notebook to read."""
    step = node.step
    assert isinstance(step, NotebookStep)
    notebook = reader.notebook(folder, step.notebook)
    file = reader.find_notebook(folder, step.notebook)
    if notebook.language != "python":
        what = f"the notebook is written in {notebook.language}: a kernel of Python executes it"
        yield Fault(what, Place(file), "a program of another language is a step of kind `command`")
        return
    syntax_faults = list(_syntax_faults(notebook, file))
    yield from syntax_faults
    if syntax_faults:  # what else it names is not known
        return
    kept_names = notebook_outputs(step)
    variables = [*node.arguments, *(name for name in node.outputs if name not in kept_names)]
    if whole:
        yield from _unused_faults(node, notebook, variables, place)
    yield from _overwritten_faults(notebook, variables, file)


def _syntax_faults(notebook: Notebook, file: str) -> Iterator[Fault]:
    for cell in notebook.cells:
        try:
            cell.parse()
        except SyntaxError as error:
            at_cell = f"cell {cell.number}, line {error.lineno or 1}"
            yield Fault(f"{at_cell}: this is not Python: {error.msg}", Place(file))
        except (ValueError, RecursionError) as error:
            yield Fault(f"cell {cell.number}: this is not Python: {error}", Place(file))


def _unused_faults(
    node: Node, notebook: Notebook, variables: list[str], place: Place | None
) -> Iterator[Fault]:
    names = {name for cell in notebook.cells for name in _named_in(cell)}
    with_magic = [cell.source for cell in notebook.cells if cell.python != cell.source]
    for name in variables:
        if name in names or any(name in text for text in with_magic):  # `!head $raw` names it too
            continue
        near = did_you_mean(name, names)
        if name in node.outputs and name not in node.arguments:
            what = f"the notebook does not say where it writes `{name}`"
            hint = near or f"`{name}` is the path: write to it, as `table.to_csv({name})`"
        else:
            what = f"the notebook does not use `{name}`"
            hint = near or f"remove it, or use it: `{name}` is a variable in it"
        yield Fault(what, place, hint)


def _named_in(cell: NotebookCell) -> Iterator[str]:
    # Whatever it is named for: a value that only the cell of the parameters says is used by none.
    for node in ast.walk(cell.parse()):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def _overwritten_faults(notebook: Notebook, variables: list[str], file: str) -> Iterator[Fault]:
    """Cells that would give a variable another value after the run has given it its own."""
    tagged = [place for place, cell in enumerate(notebook.cells) if PARAMETERS in cell.tags]
    # The values come behind the first cell that is tagged: it says the defaults.
    behind = notebook.cells[tagged[0] + 1 :] if tagged else notebook.cells
    for cell in behind:
        for statement in cell.parse().body:
            for name in _assigned_names(statement):
                if name in variables:
                    what = f"cell {cell.number} gives `{name}` a value, over that of the run"
                    hint = "give it another name there"
                    if not tagged:
                        hint = f"tag cell {cell.number} `parameters`: its values are then defaults"
                    yield Fault(what, Place(file), hint)
                    variables = [other for other in variables if other != name]


def _assigned_names(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            # `rate = float(rate)` makes something of what was given.
            used = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
            names = (node.id for node in targets if isinstance(node, ast.Name))
            yield from (name for name in names if name not in used)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant()):
            yield name
