"""What a pipeline's last good run made, kept for its next one, and taken again.

Good is a run of all steps that ended well, with the values that the pipeline declares for its
environment; or with others, where it was asked to count as one by ``--register``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.config.artifact import Artifact, CacheEntry, Json, Made, read_artifact
from towpath.errors import Malformed, StoreError, UserError
from towpath.execution import run_folders
from towpath.execution.run_record import utc_now
from towpath.pipeline import artifact_paths, cache_key
from towpath.pipeline.last_inputs import list_last_names
from towpath.planning.run_request import in_ci
from towpath.registry.version_record import DataSource

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph
    from towpath.planning.run_state import RunState
    from towpath.workspace import Workspace

_RUNS = "runs"


class LastOutput(Struct, frozen=True):
    """What a run made at an output, and that run."""

    artifact: Artifact
    run: str


def find_last(workspace: Workspace, graph: Graph, name: str) -> LastOutput | None:
    """What an input stands for that is what was made last; None before there is any.

    StoreError where its bytes are not here: what stands in for it at first would not do now.
    """
    reference = graph.files[name].last
    if reference is None:
        return None
    last = _pick_output(next(_read_entries(workspace, graph), None), reference)
    if last is not None and not workspace.store.has(last.artifact.digest):
        what = f"input `{name}` is what run {last.run} made as `{reference}`, which is not here"
        hint = f"towpath pull, or begin anew: --input {name}=FILE --register"
        raise StoreError(what, hint=hint)
    return last


def _read_entries(workspace: Workspace, graph: Graph) -> Iterator[CacheEntry]:
    """What the good runs of a pipeline made, the latest first. StoreError where what the last one
    made cannot be read: the one before it would be taken for the last."""
    key, store = _last_key(workspace, graph), workspace.store.last_made
    # Whoever may write to a store can say what was made last: in CI only CI is believed.
    writers = ("ci",) if in_ci() else ("ci", "local")
    if damaged := store.find_damaged(key, writers):
        what = f"what the last run of pipeline `{graph.name}` made is not told by {damaged}"
        raise StoreError(what, hint="no run wrote it so: remove it, and the run before it counts")
    entries = list(store.read(key, writers))
    yield from sorted(entries, key=lambda entry: entry.made_by, reverse=True)


def _last_key(workspace: Workspace, graph: Graph) -> str:
    # Projects may share a store, and a repository may hold several: by the folder in that one,
    # which a shared registry does not change.
    repository, folder = workspace.repository, "."
    if repository and not repository.bare:
        folder = workspace.path_in_repository(repository).as_posix()
    fields = (workspace.project.name, folder, graph.name, graph.environment)
    return cache_key.digest_value(["last", *fields])


def _pick_output(entry: CacheEntry | None, reference: str) -> LastOutput | None:
    artifact = entry.result.outputs.get(reference) if entry else None
    if entry is None or artifact is None:
        return None
    runs = entry.result.facts.get(_RUNS)
    run = runs.get(reference) if isinstance(runs, dict) else None
    return LastOutput(artifact, str(run or entry.made_by))


def keep_last(workspace: Workspace, graph: Graph, known: RunState, run: str) -> None:
    """After a good run: let what it made be what the next one takes. Of a step that was skipped it
    is what it was before."""
    names = list_last_names(graph.pipeline)
    references = {str(graph.pipeline.inputs[name].last) for name in names}
    if not names:
        return
    before = next(_read_entries(workspace, graph), None)
    outputs: dict[str, Artifact] = {}
    runs: dict[str, Json] = {}
    for reference in sorted(references):
        step, _, output = reference.partition(".")
        artifact = known.made[step].outputs.get(output) if step in known.made else None
        last = LastOutput(artifact, run) if artifact else _pick_output(before, reference)
        if last is not None:
            outputs[reference], runs[reference] = last.artifact, last.run
    # Under the inputs' own names what it took: by this it is told whether it would be made anew.
    taken = {name: known.inputs[name] for name in names if name in known.inputs}
    whole = {**outputs, **taken}
    if not outputs or (before is not None and whole == before.result.outputs):
        return
    writer = "ci" if in_ci() else "local"
    key = _last_key(workspace, graph)
    result = Made(whole, facts={_RUNS: runs})
    entry = CacheEntry(key, graph.name, "", run, utc_now(), 0.0, writer, {}, result)
    workspace.store.last_made.write(entry)


def list_last_taken(workspace: Workspace, graph: Graph) -> dict[str, Artifact | None]:
    """What the last good run took for the inputs that are what was made before it, None for
    nothing; empty before there is such a run."""
    entry = next(_read_entries(workspace, graph), None)
    if entry is None:
        return {}
    return {name: entry.result.outputs.get(name) for name in list_last_names(graph.pipeline)}


def list_retried_inputs(workspace: Workspace, graph: Graph, word: str) -> dict[str, Artifact]:
    """What a run that is tried again took for such inputs. UserError where its record is not
    whole."""
    run = run_folders.find_run(workspace.runs, word)
    taken: dict[str, Artifact] = {}
    for name, file in graph.files.items():
        source = run.sources.get(name)
        if file.last is None or not isinstance(source, Mapping) or "artifact" not in source:
            continue
        try:
            artifact = read_artifact(source["artifact"])
        except Malformed as wrong:
            what = f"run {run.id} does not say what it took as `{name}`: {wrong.faults[0].what}"
            raise UserError(what, hint="run anew, without --retry") from wrong
        if not workspace.store.has(artifact.digest):
            what = f"what run {run.id} took as `{name}` is not in the store here"
            raise StoreError(what, hint="towpath pull, or run anew, without --retry")
        taken[name] = artifact
    return taken


def locate_last(
    workspace: Workspace, graph: Graph, name: str, artifact: Artifact
) -> DataSource | None:
    """Which run made what an input is; None where the file that stands in for it was taken."""
    reference = graph.files[name].last
    if reference is None:
        return None
    step, _, output = reference.partition(".")
    for entry in _read_entries(workspace, graph):
        last = _pick_output(entry, reference)
        if last is not None and last.artifact.digest == artifact.digest:
            path = artifact_paths.output_path(graph, step, output)
            return DataSource(path, pipeline=graph.name, run=last.run, output=reference)
    return None
