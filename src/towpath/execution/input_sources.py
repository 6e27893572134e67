"""What a run read from where: path, pointer, version or pipeline of each of its inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends.dvc import tracked_files
from towpath.config import names_and_paths
from towpath.errors import StoreError
from towpath.registry.version_record import DataSource, UpstreamRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from towpath.config.artifact import Artifact
    from towpath.execution.upstream_pipelines import UpstreamLink, UpstreamReader
    from towpath.pipeline.step_graph import Graph
    from towpath.workspace import Workspace


def locate_inputs(
    workspace: Workspace,
    graph: Graph,
    artifacts: Mapping[str, Artifact],
    links: Iterable[UpstreamLink] = (),
) -> dict[str, DataSource]:
    """Where each input was read; ``artifacts`` are the bytes that stood there."""
    links_by_input = {link.input: link for link in links}
    return {
        name: _locate_input(workspace, graph.inputs[name], artifact, links_by_input.get(name))
        for name, artifact in artifacts.items()
    }


def _locate_input(
    workspace: Workspace, said: str, artifact: Artifact, link: UpstreamLink | None
) -> DataSource:
    if names_and_paths.is_model_reference(said):
        return DataSource(version=_current_version(workspace, said))
    path = said.rstrip("/")
    if link is not None:
        return DataSource(path, pipeline=link.pipeline, run=link.run or None)
    return DataSource(path, _find_pointer(workspace, path, artifact))


def _current_version(workspace: Workspace, reference: str) -> str:
    """The version that a reference stood for: what a stage runs, or is latest, moves on."""
    from towpath import registry

    return str(registry.get_version(workspace.registry, reference).version)


def _find_pointer(workspace: Workspace, path: str, artifact: Artifact) -> str | None:
    """The `.dvc` file that names these bytes; one that names others is no source of theirs."""
    root = workspace.root
    try:
        pointer = tracked_files.find_covering_pointer(root, Path(path))
        named = tracked_files.find_tracked(root, Path(path)) if pointer else None
    except StoreError:
        return None
    if pointer is None or named is None or named.digest != artifact.digest:
        return None
    return os.path.relpath(pointer.file, root)


def sources_as_json(
    sources: Mapping[str, DataSource],
    artifacts: Mapping[str, Artifact],
    links: Iterable[UpstreamLink] = (),
) -> dict[str, dict[str, Any]]:
    """The sources with their digests, as a record keeps them, and why one was stale."""
    stale = {
        link.input: {"stale": f"{link.stale} ({link.update_command})"}
        for link in links
        if link.stale
    }
    return {
        name: {**source.to_json(), "digest": artifacts[name].digest, **stale.get(name, {})}
        for name, source in sources.items()
    }


def upstream_runs(reader: UpstreamReader, graph: Graph) -> dict[str, UpstreamRun]:
    """What made the inputs of a graph that other pipelines make, and what made theirs."""
    runs: dict[str, UpstreamRun] = {}
    for link in reader.find_links(graph):
        pipeline = reader.pipelines[link.pipeline]
        if pipeline.graph is None or pipeline.known is None:
            continue
        taken = pipeline.known.inputs
        runs[link.pipeline] = UpstreamRun(
            link.run or None,
            dict(pipeline.graph.params),
            {name: artifact.digest for name, artifact in taken.items()},
            locate_inputs(reader.workspace, pipeline.graph, taken, pipeline.links),
        )
        runs |= upstream_runs(reader, pipeline.graph)
    return runs
