"""One step on the files of the work tree, as stock DVC asks for it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from towpath.config.artifact import Artifact, Json, Made
from towpath.config.pipeline_declaration import (
    AnyStep,
    Callback,
    CommandStep,
    CreateModel,
    DaskStep,
    DuckDBStep,
    FunctionStep,
    NotebookStep,
    QualityCheck,
    Retry,
    is_json,
)
from towpath.credentials import Secret
from towpath.errors import Fault, StepFailed, TowpathError, UsageError, did_you_mean
from towpath.execution import run_inputs
from towpath.execution.secret_sources import FetchBlock, require_secrets, resolve_secrets
from towpath.pipeline import artifact_paths, file_formats
from towpath.pipeline.step_cells import is_list_per_cell
from towpath.pipeline.step_graph import Cell, FromInput, Graph, Node, Source, outputs_of
from towpath.planning import (
    cell_results,
    kind_code,
    known_cells,
    model_code,
    pipeline_check,
)
from towpath.planning.run_state import RunState, StepDecision, StepVerdict
from towpath.steps.formats import jsons
from towpath.steps.kinds import IN_A_PROCESS
from towpath.steps.own_environment import find_requirements
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.workspace import Workspace


def carry_out(
    workspace: Workspace,
    pipeline: str,
    step: str,
    say: Callable[[str], object],
    fetch_block: FetchBlock | None = None,
) -> Made:
    """Run a step on what the work tree holds, and put its outputs there; nothing is recorded.

    ``say`` gets each line that the step prints, and what a failed attempt said.
    """
    from towpath.steps import step_process

    graph = pipeline_check.compile_checked_pipeline(workspace, pipeline)
    node = _find_node(graph, step)
    require_secrets(graph, [step], fetch_block or (lambda _: None))
    attempt = partial(_attempt_step, node, say, resolve_secrets(node, fetch_block))
    if node.loop:
        return _carry_out_cells(workspace, graph, node, attempt)
    order = order_on_tree(workspace, graph, node)
    imported = step_process.find_libraries(workspace, graph.folder_of(node), [node])
    with step_process.warm_supervisor(workspace.root, graph.folder_of(node), [node], imported):
        result = attempt(order)
    _put_outputs(workspace, graph, node, result)
    return result


def _put_outputs(workspace: Workspace, graph: Graph, node: Node, result: Made) -> None:
    for name in artifact_paths.own_outputs(node):
        target = workspace.root / artifact_paths.output_path(graph, node.name, name)
        workspace.store.copy_to(result.outputs[name].digest, target)


def _carry_out_cells(
    workspace: Workspace, graph: Graph, node: Node, attempt: Callable[[Order], Made]
) -> Made:
    """Run a step with ``each``, one cell after the other."""
    from towpath.steps import step_process

    run_state = RunState(graph, run_inputs.read_input_artifacts(workspace, graph))
    assert node.loop
    if any(is_list_per_cell(graph, node.loop, source) for source in node.loop.lists.values()):
        what = f"`{node.name}` has another list for each cell of a step, which only a run knows"
        raise UsageError(what, hint=f"towpath run {graph.name}")
    for maker, outputs in _taken_from(workspace, graph, node.loop.lists.values()).items():
        result = _read_outputs(workspace, graph, graph.nodes[maker], outputs)
        run_state.take_result(StepDecision(maker, StepVerdict.REUSE), result)
    best = node.loop.best
    if best and best.number.step != node.name:
        what = f"the best cell of `{node.name}` is known after `{best.number.step}`"
        raise UsageError(what, hint=f"towpath run {graph.name}")
    imported = step_process.find_libraries(workspace, graph.folder_of(node), [node])
    cell_form = replace(node, outputs=node.loop.outputs)
    with step_process.warm_supervisor(workspace.root, graph.folder_of(node), [cell_form], imported):
        known_cells.grow_graph(run_state, node.name)
        # Of a list that another step makes they come at once, of a search one after the other.
        while cells := [n for n in _cells_of(run_state, node) if not run_state.has_ended(n)]:
            for cell in cells:
                _carry_out_cell(workspace, run_state, run_state.graph.nodes[cell], attempt)
            known_cells.grow_graph(run_state, node.name)
    if run_state.graph.nodes[node.name].awaits_cells:
        raise StepFailed(f"`{node.name}` has no cells: a list of it is empty, or none")
    node = run_state.graph.nodes[node.name]
    if reason := run_state.skip_reason(node):
        raise StepFailed(reason)
    gathered = cell_results.gather_cells(workspace.store, node, run_state)
    _put_outputs(workspace, run_state.graph, node, gathered)
    return gathered


def _cells_of(known: RunState, node: Node) -> tuple[str, ...]:
    loop = known.graph.nodes[node.name].loop
    return (loop and loop.cells) or ()


def _carry_out_cell(
    workspace: Workspace, known: RunState, cell: Node, attempt: Callable[[Order], Made]
) -> None:
    try:
        result = attempt(order_on_tree(workspace, known.graph, cell))
    except TowpathError:
        known.failed.add(cell.name)
        if not known.forgive_cell(cell):
            raise
    else:
        known.take_result(StepDecision(cell.name, StepVerdict.RUN), result)


def _find_node(graph: Graph, step: str) -> Node:
    node = graph.nodes.get(step)
    if node is None or node.step.kind not in IN_A_PROCESS:
        what = f"{graph.name} has no step `{step}` to run"
        raise UsageError(what, hint=did_you_mean(step, graph.nodes))
    if isinstance(node.step, Callback):
        what = f"step `{step}` waits for an answer, which is given to a run"
        raise UsageError(what, hint=f"towpath run {graph.name}")
    return node


def order_on_tree(workspace: Workspace, graph: Graph, node: Node) -> Order:
    """The order that a run would give for a step, if what it takes were as the work tree holds it.

    :raises StepFailed: naming each file that is not there.
    """
    run_state = RunState(graph, run_inputs.read_input_artifacts(workspace, graph))
    for maker, outputs in _taken_from(workspace, graph, node.taken_sources).items():
        result = _read_outputs(workspace, graph, graph.nodes[maker], outputs)
        run_state.take_result(StepDecision(maker, StepVerdict.REUSE), result)
    directory = workspace.state / "steps" / graph.name / node.name
    return make_order(workspace, graph, node, run_state, directory)


def _taken_from(
    workspace: Workspace, graph: Graph, sources: Iterable[Source]
) -> dict[str, dict[str, str]]:
    """The outputs that are taken, with their paths, by the step that makes them, in its order: of
    a choice (``a.x or b.y``) the first that is there."""
    outputs_by_step: dict[str, dict[str, str]] = {}
    faults = []
    for source in sources:
        choices = outputs_of(source)
        paths = [artifact_paths.output_path(graph, c.step, c.output) for c in choices]
        present = [number for number, path in enumerate(paths) if (workspace.root / path).exists()]
        if choices and not present:
            faults.append(_absent_fault(graph, choices[0].step, paths[0]))
        for number in present[:1]:
            choice = choices[number]
            outputs_by_step.setdefault(choice.step, {})[choice.output] = paths[number]
    if faults:
        raise StepFailed(*dict.fromkeys(faults))
    return {name: outputs_by_step[name] for name in graph.nodes if name in outputs_by_step}


def _absent_fault(graph: Graph, step: str, path: str) -> Fault:
    is_check = isinstance(graph.nodes[step].step, QualityCheck)
    first = "towpath run" if is_check else "dvc pull, or towpath run"
    return Fault(f"{path} of step `{step}` is not there", hint=first)


def read_from_tree(workspace: Workspace, graph: Graph, node: Node) -> Made:
    """What a step made, as the work tree holds it.

    :raises StepFailed: naming the first output that is not there.
    """
    paths = {name: artifact_paths.output_path(graph, node.name, name) for name in node.outputs}
    for path in paths.values():
        if not (workspace.root / path).exists():
            raise StepFailed(_absent_fault(graph, node.name, path))
    return _read_outputs(workspace, graph, node, paths)


def _read_outputs(workspace: Workspace, graph: Graph, node: Node, outputs: dict[str, str]) -> Made:
    """What a step made, as far as it is asked for."""
    artifacts: dict[str, Artifact] = {}
    values: dict[str, Json] = {}
    for name, path in outputs.items():
        file = workspace.root / path
        if node.cell and graph.nodes[node.cell.step].is_gathered(name) and file.suffix == ".json":
            value = _read_own_value(file, node.cell)
            content = json.dumps(value, ensure_ascii=False).encode()
            artifacts[name] = workspace.store.put_bytes(content, f"{name}.json")
            values[name] = value
            continue
        artifacts[name] = workspace.store.put(file)
        if is_json(node.outputs[name]) and file.stat().st_size <= jsons.SMALL:
            values[name] = jsons.parse_document(file.read_bytes(), path)
    return Made(artifacts, values)


def _read_own_value(file: Path, cell: Cell) -> Json:
    """What a cell made, out of the list of what all of them did."""
    listed = jsons.parse_document(file.read_bytes(), file.name)
    for row in listed if isinstance(listed, list) else ():
        if isinstance(row, dict) and all(row.get(k) == item for k, item in cell.items.items()):
            return row.get("value")
    raise StepFailed(f"{file.name} of step `{cell.step}` holds nothing of `{cell.label}`")


def _attempt_step(
    node: Node, say: Callable[[str], object], secrets: Mapping[str, Secret], order: Order
) -> Made:
    from towpath.steps import step_process

    order, retry = replace(order, secrets=secrets), node.step.retry
    for pause in find_pauses(retry):
        assert retry
        try:
            return step_process.call_step(order, say)
        except TowpathError as error:
            if not is_worth_another(error, retry, order):
                raise
            for fault in error.faults:
                say(str(fault))
        # Spread at random, so that steps that one server refused do not all come back at once.
        time.sleep(pause * (1 + random.uniform(-1, 1) * retry.jitter))
    return step_process.call_step(order, say)


def make_order(
    workspace: Workspace, graph: Graph, node: Node, known: RunState, directory: Path
) -> Order:
    """The order for a node whose inputs are known; ``directory`` is for its log and outputs."""
    from towpath.steps import step_process

    sources = node.arguments.items()
    formats = {name: file_formats.declared_format(graph, source) for name, source in sources}
    options = {name: file_formats.declared_options(graph, source) for name, source in sources}
    arguments = known.arguments(node)
    artifacts = {name: value for name, value in arguments.items() if isinstance(value, Artifact)}
    own_formats = file_formats.own_formats(graph, node, artifacts)
    return Order(
        root=workspace.root,
        pipeline=graph.name,
        folder=graph.folder_of(node),
        name=node.name,
        step=_place_step(workspace, node.step),
        arguments=arguments,
        outputs=node.outputs,
        directory=directory,
        formats={name: form for name, form in formats.items() if form},
        facts={name: known.made[name].facts for name in node.data_needs if name in known.made},
        trust=workspace.project.trust,
        code=_code_files(workspace, graph, node),
        libraries=step_process.find_step_libraries(workspace, graph.folder_of(node), node.step),
        annotations=_argument_types(workspace, graph, node),
        options={name: value for name, value in options.items() if value.declared_options()},
        gathered=frozenset(name for name, source in sources if _is_gathered(graph, source)),
        absent=frozenset(n for n, s in sources if isinstance(s, FromInput) and n not in artifacts),
        own_formats=own_formats,
        requirements=find_requirements(workspace.root, graph.folder_of(node), node.step),
    )


def _place_step(workspace: Workspace, step: AnyStep) -> AnyStep:
    """The step; one for a cluster that names none is carried out on the runner's."""
    if isinstance(step, DaskStep) and step.address is None and step.workers is None:
        return step.model_copy(update={"address": workspace.project.runner.address})
    return step


def _is_gathered(graph: Graph, source: Source) -> bool:
    return any(
        graph.nodes[choice.step].is_gathered(choice.output)
        and not is_json(graph.nodes[choice.step].file_of(choice.output))
        for choice in outputs_of(source)
    )


def _code_files(workspace: Workspace, graph: Graph, node: Node) -> tuple[str, ...]:
    if isinstance(node.step, CommandStep | NotebookStep):
        code = kind_code.find_step_code(workspace.code, graph.folder_of(node), node)
        return tuple(code.list_sources())
    if isinstance(node.step, DuckDBStep):
        named = kind_code.list_named_files(node.step)
        return workspace.code.file_names(graph.folder_of(node), named)
    if isinstance(node.step, CreateModel):
        return model_code.list_bundle_files(graph, node, workspace)
    # Of a bundle that it takes, the project's own copy of its code may be what is imported.
    steps = {choice.step for source in node.arguments.values() for choice in outputs_of(source)}
    makers = [graph.nodes[name] for name in sorted(steps)]
    bundled = [maker for maker in makers if isinstance(maker.step, CreateModel)]
    taken = [f for maker in bundled for f in model_code.list_bundle_files(graph, maker, workspace)]
    return (*workspace.code.file_names(graph.folder_of(node), node.step.code), *taken)


def _argument_types(workspace: Workspace, graph: Graph, node: Node) -> dict[str, str]:
    if not isinstance(node.step, FunctionStep):
        return {}
    signature = workspace.code.step_signature(graph.folder_of(node), node.step.run)
    return {argument.name: argument.asks for argument in signature.arguments if argument.asks}


def find_pauses(retry: Retry | None) -> Iterator[float]:
    """The seconds before each further attempt, without what is added or taken away at random."""
    if retry:
        yield from (retry.delay * retry.backoff**number for number in range(retry.attempts - 1))


def is_worth_another(error: object, retry: Retry, order: Order) -> bool:
    """Whether what ended an attempt is worth another; never where the run was interrupted."""
    from towpath.steps import step_process

    if step_process.is_stopped(order):
        return False
    names = error.causes if isinstance(error, StepFailed) else ()
    return not retry.errors or not set(names).isdisjoint(retry.errors)
