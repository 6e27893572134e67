"""The project's outputs after a run with the defaults: files, ``dvc.yaml``, ``dvc.lock``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.config.file_declaration import Output, Plot
from towpath.config.parameter_declaration import names_below
from towpath.config.pipeline_declaration import (
    DECLARES_OUTPUTS,
    BiasCheck,
    CommandStep,
    CreateModel,
    Evaluation,
    Explain,
    QualityCheck,
    RegisterModel,
    Step,
    is_json,
)
from towpath.pipeline import artifact_paths
from towpath.pipeline.step_graph import FromInput, FromParam, Graph, Node
from towpath.planning import step_code
from towpath.planning.run_state import RunState, StepNotEnded
from towpath.versions import work_tree_files

if TYPE_CHECKING:
    from towpath.backends.dvc.dvc_yaml import StageEntry
    from towpath.workspace import Workspace


def publish_outputs(workspace: Workspace, graph: Graph, known: RunState) -> None:
    """Bring the work tree up to what a run made; nothing is touched where nothing differs."""
    digests = {
        artifact_paths.output_path(graph, step, name): result.outputs[name].digest
        for step, result in known.made.items()
        for name in artifact_paths.own_outputs(graph.nodes[step])
        if name in result.outputs and graph.nodes[step].cell is None
    }
    from towpath.backends.dvc import dvc_yaml

    # Stock `dvc` takes the same lock: `dvc repro` and a run never write these files at once.
    with work_tree_files.hold_worktree(workspace):
        work_tree_files.bring_up_to_date(workspace, graph.name, digests)
        dvc_yaml.write_dvc_files(
            workspace.root,
            graph.name,
            list_dvc_stages(workspace, graph, known),
            list_model_paths(graph, known),
        )


def list_dvc_stages(workspace: Workspace, graph: Graph, known: RunState) -> list[StageEntry]:
    """The DVC stages that say what a run did so far; steps behind a condition are none."""
    checks = (QualityCheck, BiasCheck, Explain)
    kinds = (*DECLARES_OUTPUTS, CreateModel, *checks)
    return [
        _make_stage(workspace, graph, node)
        for node in artifact_paths.certain_nodes(graph)
        if isinstance(node.step, kinds) and node.name in known.made
    ]


def list_model_paths(graph: Graph, known: RunState) -> dict[str, str]:
    """The path of each model's file that could be registered, by the model's name."""
    paths = {}
    for node in graph.nodes.values():
        if isinstance(node.step, RegisterModel) and node.loop is None:  # of which it has cells
            with contextlib.suppress(StepNotEnded):  # what it would register was not made
                paths[node.step.model] = model_path(graph, node, known)
    return paths


def model_path(graph: Graph, node: Node, known: RunState) -> str:
    """Where the model that a step registers stands; Waiting if it was not made."""
    source = node.arguments["model"]
    if isinstance(source, FromInput):
        return graph.inputs[source.name].rstrip("/")
    origin = known.find_origin(source)
    return artifact_paths.output_path(graph, origin.step, origin.output)


def _make_stage(workspace: Workspace, graph: Graph, node: Node) -> StageEntry:
    outputs = artifact_paths.own_outputs(node)
    paths = {name: artifact_paths.output_path(graph, node.name, name) for name in outputs}
    drawn = {name: node.outputs[name].plot for name in outputs if node.outputs[name].plot}
    several = {n: p for n, p in drawn.items() if isinstance(p, Plot) and len(p.y or ()) > 1}
    plots = {paths[n]: _plot_options(plot) for n, plot in drawn.items() if n not in several}
    deps = [*_code_paths(workspace, graph, node), *_input_paths(graph, node)]
    metrics = [
        path
        for name, path in paths.items()
        # To DVC a metric is a mapping, and no list of cells.
        if not node.is_gathered(name) and _is_metric(node.step, name, node.outputs[name])
    ]
    from towpath.backends.dvc import dvc_yaml

    return dvc_yaml.StageEntry(
        name=stage_name(graph, node.name),
        cmd=f"towpath step {graph.name} {node.name}",
        desc=node.step.description,
        deps=tuple(dict.fromkeys(deps)),
        params=_param_keys(graph, node),
        outs=tuple(p for p in paths.values() if p not in metrics and p not in plots),
        metrics=tuple(metrics),
        plots=plots,
        top_plots={
            f"{stage_name(graph, node.name)}-{name}": _top_plot(plot, paths[name])
            for name, plot in several.items()
        },
    )


def stage_name(graph: Graph, step: str) -> str:
    """The name of a step's stage: DVC takes no dot in one, and no step's has a dash."""
    return f"{graph.name}-{step.replace('.', '--')}"


def _is_metric(step: Step, name: str, output: Output) -> bool:
    # DVC reads metrics by the extension, and to it an output is a metric or a plot, never both.
    if isinstance(step, CommandStep):
        return name in step.metrics and not output.plot
    is_document = is_json(output) and output.path.endswith(".json")
    return isinstance(step, Evaluation) and is_document and not output.plot


def _plot_options(plot: bool | Plot) -> Any:
    """What DVC is told of a plot; it has no word for `by`, and draws all rows as one line then."""
    if isinstance(plot, bool):
        return plot
    options = plot.model_dump(exclude_none=True, exclude={"by"})
    return options | ({"y": plot.y[0]} if plot.y else {})


def _top_plot(plot: Plot, path: str) -> dict[str, Any]:
    """The same of several columns, as DVC takes it: with the file's path beside them."""
    return {**_plot_options(plot), "y": {path: list(plot.y or ())}}


def _input_paths(graph: Graph, node: Node) -> Iterator[str]:
    for source in (*node.arguments.values(), *(node.loop.lists.values() if node.loop else ())):
        yield from artifact_paths.source_paths(graph, source)


def _code_paths(workspace: Workspace, graph: Graph, node: Node) -> Iterator[str]:
    # Of a folder DVC watches the folder: files may come to it.
    folders = [
        f
        for f in (_code_folder(workspace, graph.folder_of(node), word) for word in node.step.code)
        if f
    ]
    yield from folders
    inside = tuple(f"{folder}/" for folder in folders)
    sources = step_code.list_code_files(graph, node, workspace.code)
    # Code outside of the project has a path of this machine, which is for no file of Git's.
    own = (file for file in sources if not Path(file).is_absolute())
    yield from (file for file in own if not file.startswith(inside))


def _code_folder(workspace: Workspace, folder: str, said: str) -> str | None:
    for path in (f"{folder}/{said}", said):
        if (workspace.root / path).is_dir():
            return path.rstrip("/")
    return None


def _param_keys(graph: Graph, node: Node) -> dict[str, tuple[str, ...]]:
    """The keys that a step's result hangs on, by file: its own declaration, with those of the steps
    that carry out the pipelines around it, and its parameters' defaults; of a group the whole, to
    which keys may come."""
    keys: dict[str, list[str]] = {}
    parts = node.name.split(".")
    for size in range(1, len(parts) + 1):
        file, name = graph.locate_step(".".join(parts[:size]))
        keys.setdefault(file, []).append(f"steps.{name}")
    for source in node.taken_sources:
        if isinstance(source, FromParam):
            own = [source.name] * (source.name in graph.params)
            for leaf in own or names_below(graph.params, source.name):
                declared, name = graph.locate_param(leaf)
                name = name.removesuffix(leaf.removeprefix(source.name))
                values = graph.param_files.get(leaf)
                keys.setdefault(values or declared, []).append(name if values else f"params.{name}")
    return {file: tuple(dict.fromkeys(names)) for file, names in keys.items()}
