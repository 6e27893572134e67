"""Where a run's inputs come from: a file, a pointer, a version, or another pipeline.

An input below ``artifacts/<pipeline>/`` is what a run of that pipeline put there. It is stale where
the pipeline would make it anew, or where its bytes are no longer those that it made. In a run for
an environment that the other pipeline declares too it is what that one made for it, out of the
store.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from towpath.backends.dvc import tracked_files
from towpath.config import names_and_paths
from towpath.config.artifact import Artifact, Made
from towpath.config.pipeline_declaration import Condition, Fail, Notify, RegisterModel, Stop
from towpath.errors import Fault, StepFailed, StoreError, TowpathError, UserError
from towpath.execution import last_outputs, run_inputs
from towpath.execution.single_step import read_from_tree
from towpath.pipeline import artifact_paths
from towpath.pipeline.pipeline_order import makers_of, overlaps, require_order
from towpath.pipeline.run_arguments import RunValues
from towpath.pipeline.step_graph import Graph, Node
from towpath.plain_data import list_fields
from towpath.planning import pipeline_check
from towpath.planning.declared_pipelines import read_pipelines
from towpath.planning.known_cells import walk_nodes
from towpath.planning.run_request import find_needed_steps, in_ci
from towpath.planning.run_state import RunState, StepDecision, StepVerdict
from towpath.planning.step_decisions import PipelineMemory, ReusePolicy, StepJudge, choose_branch
from towpath.registry.version_record import DataSource, UpstreamRun

if TYPE_CHECKING:
    from towpath.workspace import Workspace


class UpstreamLink(Struct, frozen=True):
    """An input of a pipeline that another pipeline makes.

    ``path`` is from the project's root; ``steps`` are those whose outputs it holds, ``run`` the one
    that made them, where it is known. ``stale`` says why it is not what the pipeline would make
    now, empty where it is; ``beyond`` is True where that pipeline's own input is what is stale.
    ``environment`` is the one that it is made for, ``artifact`` what is remembered of that.
    """

    input: str
    path: str
    pipeline: str
    steps: tuple[str, ...] = ()
    run: str = ""
    stale: str = ""
    beyond: bool = False
    environment: str = ""
    artifact: Artifact | None = None

    @property
    def update_command(self) -> str:
        """What brings it up to date."""
        if self.environment:
            return f"towpath run {self.pipeline} --for {self.environment}"
        return "towpath run --all" if self.beyond else f"towpath run {self.pipeline}"


class UpstreamPipeline(Struct):
    """A pipeline as a run of it would go now, as far as what is remembered of it tells.

    ``stale`` says of a step why it would run; ``runs`` which run made what it made; ``fault`` why
    the pipeline cannot be run at all.
    """

    graph: Graph | None = None
    known: RunState | None = None
    links: tuple[UpstreamLink, ...] = ()
    stale: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    def find_unmade(self, makers: Sequence[str]) -> str:
        """Why these steps have not made what they would make now; empty where they have."""
        assert self.graph
        assert self.known
        needed_steps = find_needed_steps(self.graph, frozenset(makers))
        for step in filter(needed_steps.__contains__, self.graph.nodes):
            if reason := self.stale.get(step):
                return f"`{step}` of pipeline `{self.graph.name}` would run: {reason}"
        for step in makers:
            if step not in self.known.made:
                reason = self.known.skipped.get(step, "it was not made")
                return f"`{step}` of pipeline `{self.graph.name}` would be skipped: {reason}"
        return ""


class UpstreamReader:
    """Looks at what a pipeline's inputs come from, each other pipeline once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.pipelines: dict[tuple[str, str], UpstreamPipeline] = {}

    def find_links(self, graph: Graph) -> tuple[UpstreamLink, ...]:
        """The inputs of a graph that other pipelines make. DeclarationError for a circle."""
        makers = makers_of(graph.name, graph.inputs, self.workspace.pipelines)
        if not makers:
            return ()
        require_order(read_pipelines(self.workspace))
        return tuple(self._make_link(graph, name, maker) for name, maker in makers.items())

    def _make_link(self, graph: Graph, name: str, maker: str) -> UpstreamLink:
        path = str(PurePosixPath(graph.inputs[name]))
        environment = self._find_environment(graph, maker)
        # One pipeline may make several inputs, and each look at it digests files.
        key = (maker, environment)
        upstream = self.pipelines.get(key) or self._look_at_pipeline(maker, environment)
        self.pipelines[key] = upstream
        if upstream.graph is None or upstream.known is None:
            return UpstreamLink(name, path, maker, stale=upstream.fault, environment=environment)
        held = _held_outputs(upstream.graph, path)
        steps = tuple(dict.fromkeys(step for step, _ in held))
        runs = dict.fromkeys(filter(None, map(upstream.runs.get, steps)))
        stale = self._stale_reason(upstream, path, held)
        beyond = any(link.stale for link in upstream.links)
        artifact = _stored_artifact(upstream.known, path, held) if environment else None
        return UpstreamLink(
            name, path, maker, steps, ", ".join(runs), stale, beyond, environment, artifact
        )

    def _find_environment(self, graph: Graph, maker: str) -> str:
        """The environment that another pipeline makes an input for: that of the graph, where both
        declare it."""
        if not graph.environment:
            return ""
        environments = self.workspace.pipeline(maker).pipeline.environments
        return graph.environment if graph.environment in environments else ""

    def read_artifacts(self, graph: Graph, awaited: Collection[str] = ()) -> dict[str, Artifact]:
        """The bytes of each input but for those that are ``awaited``: UserError or StoreError, with
        every fault. What another pipeline makes for an environment is taken as it is remembered,
        for ``artifacts/`` holds what it makes without one."""
        artifacts: dict[str, Artifact] = {}
        faults: list[Fault] = []
        links = self.find_links(graph) if graph.environment else ()
        apart = {link.input: link for link in links if link.environment}
        for link in apart.values():
            if link.input in awaited:
                continue
            if link.artifact:
                artifacts[link.input] = link.artifact
            elif not graph.files[link.input].optional:
                reason = link.stale or "it is no whole output of a step"
                what = f"input `{link.input}` is not made for `{link.environment}`: {reason}"
                faults.append(Fault(what, hint=link.update_command))
        if faults:
            raise UserError(*faults)
        read = run_inputs.read_input_artifacts(self.workspace, graph, {*awaited, *apart})
        return {**read, **artifacts}

    def _stale_reason(
        self, upstream: UpstreamPipeline, path: str, held: Mapping[tuple[str, str], str]
    ) -> str:
        if upstream.fault:
            return upstream.fault
        assert upstream.graph
        assert upstream.known
        if not held:
            return f"pipeline `{upstream.graph.name}` makes no such file"
        if reason := upstream.find_unmade([step for step, _ in held]):
            return reason
        if upstream.graph.environment:  # which leaves no file
            return ""
        if not (self.workspace.root / path).exists():
            return f"pipeline `{upstream.graph.name}` has not put it there"
        if not self._is_made(upstream.known, path, held):
            return f"it is not what pipeline `{upstream.graph.name}` made"
        return ""

    def _is_made(self, known: RunState, path: str, held: Mapping[tuple[str, str], str]) -> bool:
        # To the last file of a folder: somebody may have put one there by hand.
        store = self.workspace.store
        expected: dict[str, str] = {}
        for (step, output), place in held.items():
            digest = known.made[step].outputs[output].digest
            members = store.members(digest) if digest.endswith(".dir") else {"": digest}
            expected |= {str(PurePosixPath(place, name)): md5 for name, md5 in members.items()}
        digest = store.digest(self.workspace.root / path).digest
        if not digest.endswith(".dir"):
            return expected.get(path) == digest
        inside = PurePosixPath(path)
        below = {p: md5 for p, md5 in expected.items() if PurePosixPath(p).is_relative_to(inside)}
        members = store.members(store.put(self.workspace.root / path).digest)
        return below == {str(inside / name): md5 for name, md5 in members.items()}

    def _look_at_pipeline(self, pipeline: str, environment: str) -> UpstreamPipeline:
        upstream = UpstreamPipeline()
        values = RunValues(environment=environment)
        try:
            graph = pipeline_check.compile_checked_pipeline(self.workspace, pipeline, values)
            upstream.graph = graph
            upstream.links = self.find_links(graph)
            # What it was made of by the last good run: each run has something else to begin with,
            # and would make everything anew.
            took = last_outputs.list_last_taken(self.workspace, upstream.graph)
            taken = self.read_artifacts(upstream.graph, took)
            taken |= {name: artifact for name, artifact in took.items() if artifact}
        except TowpathError as error:
            upstream.fault = error.faults[0].what
            return upstream
        upstream.known = RunState(upstream.graph, taken)
        upstream.fault = next(filter(None, (link.stale for link in upstream.links)), "")
        self._walk_steps(upstream, upstream.graph, upstream.known)
        upstream.graph = upstream.known.graph  # with the cells that the walk has found
        return upstream

    def _walk_steps(self, upstream: UpstreamPipeline, graph: Graph, known: RunState) -> None:
        """Follow the pipeline as far as the results of its steps are remembered."""
        memory = PipelineMemory.of_pipeline(self.workspace.state, graph.name)
        policy = ReusePolicy(writers=frozenset({"ci"}) if in_ci() else None)
        judge = StepJudge(self.workspace, graph, memory, None, policy)
        for node in walk_nodes(known):
            # A plan of another pipeline must register nothing, nor ask whether it may.
            if isinstance(node.step, RegisterModel | Fail | Stop | Notify):
                known.skipped[node.name] = "it makes nothing"
                continue
            try:
                self._follow_step(upstream, judge, node, known)
            except TowpathError as error:  # that pipeline's own run will tell it, with its place
                upstream.stale[node.name] = error.faults[0].what

    def _follow_step(
        self, upstream: UpstreamPipeline, judge: StepJudge, node: Node, known: RunState
    ) -> None:
        decision = judge.decide_step(node, known)
        if isinstance(node.step, Condition) and decision.verdict is StepVerdict.RUN:
            choose_branch(node, node.step, decision, known)
        elif decision.verdict is StepVerdict.SKIP:
            known.skipped[node.name] = decision.reason
        elif decision.entry:
            upstream.runs[node.name] = decision.entry.made_by
            known.take_result(decision, decision.entry.result)
        elif result := self._made_last(judge, decision, node, known):
            known.take_result(decision, result)
        else:
            upstream.stale[node.name] = decision.reason

    def _made_last(
        self, judge: StepJudge, decision: StepDecision, node: Node, known: RunState
    ) -> Made | None:
        # A step that is never reused has no entry. Where its last run had the same key, what the
        # work tree holds of it is no older than anything else.
        last = judge.memory.find_last(node.name)
        is_of_key = last and not last.undeclared and last.key == decision.key
        if known.graph.environment or node.step.cache is True or not is_of_key:
            return None
        try:
            return read_from_tree(self.workspace, known.graph, node)
        except StepFailed:
            return None


def _stored_artifact(
    known: RunState, path: str, held: Mapping[tuple[str, str], str]
) -> Artifact | None:
    """What is remembered of the output whose own path it is."""
    for (step, output), place in held.items():
        if place == path and step in known.made:
            return known.made[step].outputs.get(output)
    return None


def _held_outputs(graph: Graph, path: str) -> dict[tuple[str, str], str]:
    """The outputs that a path is, is in, or holds, with their own paths."""
    asked_path = PurePosixPath(path)
    places = {
        (node.name, output): PurePosixPath(artifact_paths.output_path(graph, node.name, output))
        for node in graph.steps.values()
        for output in artifact_paths.own_outputs(node)
    }
    return {key: str(place) for key, place in places.items() if overlaps(asked_path, place)}


def locate_inputs(
    workspace: Workspace,
    graph: Graph,
    artifacts: Mapping[str, Artifact],
    links: Iterable[UpstreamLink] = (),
) -> dict[str, DataSource]:
    """Where each input was read; ``artifacts`` are the bytes that stood there. Of one that may be
    missing, and is, why there is nothing."""
    links_by_input = {link.input: link for link in links}
    absent = run_inputs.list_absent_inputs(workspace, graph)
    sources = {
        name: _locate_input(workspace, graph, name, artifact, links_by_input.get(name))
        for name, artifact in artifacts.items()
    }
    unseen = {name: reason for name, reason in absent.items() if name not in artifacts}
    return {**sources, **{name: DataSource(absent=reason) for name, reason in unseen.items()}}


def _locate_input(
    workspace: Workspace, graph: Graph, name: str, artifact: Artifact, link: UpstreamLink | None
) -> DataSource:
    location = graph.inputs[name]
    file = graph.files[name]
    if file.last is not None:
        if last := last_outputs.locate_last(workspace, graph, name, artifact):
            return last
        location = file.otherwise or location
    if names_and_paths.is_model_reference(location):
        from towpath import registry

        # What a stage runs, or is latest, moves on: the record keeps the version it stood for.
        version = registry.get_version(workspace.registry, location).version
        return DataSource(version=str(version), output=file.output)
    path = location.rstrip("/")
    if link is not None:
        return DataSource(path, pipeline=link.pipeline, run=link.run or None)
    return DataSource(path, _find_pointer(workspace, path, artifact))


def _find_pointer(workspace: Workspace, path: str, artifact: Artifact) -> str | None:
    # A pointer that names other bytes is no source of these.
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
    graph: Graph,
    sources: Mapping[str, DataSource],
    artifacts: Mapping[str, Artifact],
    links: Iterable[UpstreamLink] = (),
) -> dict[str, dict[str, Any]]:
    """The sources with their digests, as a record keeps them, and why one was stale. Of what was
    made last the whole artifact: the run that is tried again takes it once more."""
    last = {name: list_fields(artifacts[name]) for name in artifacts if graph.files[name].last}
    stale = {
        link.input: {"stale": f"{link.stale} ({link.update_command})"}
        for link in links
        if link.stale and link.input in artifacts
    }
    return {
        name: {
            **source.to_json(),
            **({"digest": artifacts[name].digest} if name in artifacts else {}),
            **({"artifact": last[name]} if name in last else {}),
            **stale.get(name, {}),
        }
        for name, source in sources.items()
    }


def upstream_runs(reader: UpstreamReader, graph: Graph) -> dict[str, UpstreamRun]:
    """What made the inputs of a graph that other pipelines make, and what made theirs."""
    runs: dict[str, UpstreamRun] = {}
    for link in reader.find_links(graph):
        pipeline = reader.pipelines[link.pipeline, link.environment]
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
