"""Executes a notebook: its variables given, its outputs taken, itself kept as .ipynb and page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends.dvc import Store
from towpath.config.artifact import Json, Made
from towpath.config.source_folders import module_folders
from towpath.control_characters import show_controls
from towpath.errors import Fault, Place, StepFailed
from towpath.steps import step_results
from towpath.steps.program_watch import ProgramWatch
from towpath.steps.project_functions import hint_missing_module
from towpath.steps.work_order import Order, Value

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import NotebookStep
    from towpath.steps.notebook_execution import CellFailure, ExecutedNotebook

_KEPT = ("notebook", "page")
_LONGEST = 600  # characters of an error's words


def execute(order: Order) -> Made:
    """Execute the notebook, store what it wrote, and itself as it was executed.

    Raises:
        StepFailed: where a cell fails, by the number that it has in the source, the kernel dies, or
            an output is not written. The notebook as far as it went stays in the step's folder.
    """
    from towpath.steps import notebook_execution

    step: NotebookStep = order.step  # type: ignore[assignment] # only this kind comes here
    file, store = order.find_file(step.notebook), Store(order.root)
    watch = ProgramWatch.begin(order)
    folders = dict.fromkeys((order.root / order.folder, *module_folders(order.root)))
    executed = notebook_execution.execute_notebook(
        (order.root / file).read_text(encoding="utf-8"), _variables(order, store), order.root,
        watch.program_environment(folders),
    ).make_portable(order.directory, order.root)  # fmt: skip
    if executed.failure:
        notebook_files = _write_kept(order, executed, file, order.directory)
        order.remove_bytes()
        raise _cell_failure(order, file, executed.failure, notebook_files["page"])
    paths = {name: order.place_output(name) for name in order.outputs if name not in _KEPT}
    outputs, values = step_results.take_outputs(order, store, paths, "notebook", {})
    notebook_files = _write_kept(order, executed, file, order.directory / "outputs")
    outputs |= step_results.store_files(order, store, notebook_files)
    undeclared: list[Json] = [path for path in watch.undeclared_files() if path != file]
    order.remove_bytes()
    return Made(outputs, values, {"undeclared": undeclared} if undeclared else {})


def _variables(order: Order, store: Store) -> dict[str, Any]:
    """What the notebook is given: values, paths of inputs, and paths to write outputs to."""
    values: dict[str, Any] = {}
    for name, argument in order.arguments.items():
        if isinstance(argument, Value):
            values[name] = argument.value
        else:
            values[name] = str(order.place_input(store, name, argument))
    return values | {n: str(order.place_output(n)) for n in order.outputs if n not in _KEPT}


def _write_kept(
    order: Order, executed: ExecutedNotebook, file: str, folder: Path
) -> dict[str, Path]:
    """The notebook as it was executed, and its page, in a folder."""
    paths = {name: folder / order.outputs[name].path for name in _KEPT}
    folder.mkdir(parents=True, exist_ok=True)
    executed.write_notebook(paths["notebook"])
    executed.write_page(paths["page"], Path(file).stem)
    return paths


def _cell_failure(order: Order, file: str, failure: CellFailure, page: Path) -> StepFailed:
    at_cell = f"cell {failure.number}" if failure.number else "the values that it is given"
    line = f", line {failure.line}" if failure.line else ""
    words = show_controls(failure.words.strip(), kept="\n")[:_LONGEST]
    hint = hint_missing_module(order.root, words)
    if failure.has_died:
        what = f"{at_cell}: the kernel died" if failure.number else "the kernel died"
        hint = "compiled code crashed, or the machine ran out of memory"
    else:
        what = f"{at_cell}{line}: {failure.name}{': ' if words else ''}{words}"
    page_path = page.relative_to(order.root) if page.is_relative_to(order.root) else page
    page_fault = Fault(f"the notebook as far as it went is {page_path.as_posix()}")
    causes = ("Killed",) if failure.has_died else (failure.name, "Exception")
    return StepFailed(Fault(what, Place(file), hint), page_fault, causes=causes)
