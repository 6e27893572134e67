"""The pipeline's own inputs: files of the project, or models of the registry, by digest."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.backends.dvc import remote_data, tracked_files
from towpath.backends.git import large_files
from towpath.config import names_and_paths
from towpath.config.artifact import Artifact
from towpath.errors import (
    DeclarationError,
    Fault,
    RegistryError,
    StoreError,
    TowpathError,
    UsageError,
    UserError,
    did_you_mean,
)
from towpath.execution import last_outputs, version_inputs
from towpath.pipeline import pipeline_order
from towpath.planning import pipeline_check

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph
    from towpath.workspace import Workspace


def find_unfetched_inputs(workspace: Workspace, graph: Graph) -> dict[str, str]:
    """The address of each input that is declared to come from elsewhere and that no pointer pins
    yet, by its name. DeclarationError, with every fault, where a pointer pins another address, or
    other data stands in its place."""
    unfetched: dict[str, str] = {}
    faults: list[Fault] = []
    for name, address in _remote_addresses(graph).items():
        path = graph.inputs[name]
        pinned = remote_data.read_pinned_source(workspace.root, path)
        if pinned is None and not (workspace.root / path).exists():
            unfetched[name] = address
        elif pinned is None:
            faults.append(_foreign_data_fault(name, path, address))
        elif pinned.address != address:
            what = f"input `{name}` is declared from {address}, and was brought from "
            faults.append(Fault(what + pinned.address, pinned.place, f"towpath update {name}"))
    if faults:
        raise DeclarationError(*faults)
    return unfetched


def _foreign_data_fault(name: str, path: str, address: str) -> Fault:
    hint = f"move it away and the run brings it, or declare `{name}: {path}`"
    return Fault(f"{path} is not from {address}: it was put there by hand", hint=hint)


def _remote_addresses(graph: Graph) -> dict[str, str]:
    # What `--input` gives instead lies here, or is a model.
    declared = graph.pipeline.inputs
    return {
        name: file.address
        for name, file in declared.items()
        if file.address and graph.inputs[name] == file.path
    }


def fetch_remote_inputs(workspace: Workspace, graph: Graph, tell: Callable[[str], object]) -> None:
    """Bring each input that is declared to come from elsewhere and is not pinned yet; ``tell``
    hears each address before. Raises StoreError, with every fault, for those that do not come."""
    faults: list[Fault] = []
    for name, address in find_unfetched_inputs(workspace, graph).items():
        tell(address)
        try:
            remote_data.import_data(workspace.root, address, graph.inputs[name])
        except StoreError as refused:
            faults += refused.faults
    if faults:
        raise StoreError(*faults)


def list_remote_inputs(graphs: Iterable[Graph], names: Collection[str]) -> list[tuple[Graph, str]]:
    """The inputs from elsewhere that are meant, each path once; all without ``names``. UsageError,
    with every fault, for a name that is none."""
    declared = [(graph, name) for graph in graphs for name in _remote_addresses(graph)]
    known = dict.fromkeys(name for _, name in declared)
    if not known:
        raise UsageError("no input comes from elsewhere", hint="declare one: `{from: s3://...}`")
    unknown = [
        Fault(f"no input `{name}` comes from elsewhere", hint=did_you_mean(name, known) or listed)
        for listed in [f"those that do are {', '.join(known)}"]
        for name in names
        if name not in known
    ]
    if unknown:
        raise UsageError(*unknown)
    by_path = {graph.inputs[name]: (graph, name) for graph, name in reversed(declared)}
    return [pair for pair in reversed(by_path.values()) if not names or pair[1] in names]


class InputUpdate(Struct, frozen=True):
    """What came of a second look at where an input is from. ``digest`` is that of what is pinned
    now, None in a mere look."""

    name: str
    address: str
    path: str
    changed: bool
    digest: str | None = None


def update_input(workspace: Workspace, graph: Graph, name: str, dry_run: bool) -> InputUpdate:
    """Look again at where an input is from, and pin what is there now; in a dry run only look.

    Raises StoreError where it does not come: what was pinned stays; DeclarationError where what
    stands there was put there by hand.
    """
    address, path, root = _remote_addresses(graph)[name], graph.inputs[name], workspace.root
    pinned = remote_data.read_pinned_source(root, path)
    is_same = pinned is not None and pinned.address == address
    if pinned is None and (root / path).exists():  # nothing else may hold those bytes
        raise DeclarationError(_foreign_data_fault(name, path, address))
    if dry_run:
        changed = not is_same or remote_data.has_remote_changed(root, path, address)
        return InputUpdate(name, address, path, changed)
    if is_same:
        changed = remote_data.update_data(root, path, address)
    else:
        changed = True
        remote_data.replace_data(root, address, path)
    artifact = tracked_files.find_tracked(root, Path(path))
    return InputUpdate(name, address, path, changed, artifact.digest if artifact else None)


def read_input_artifacts(
    workspace: Workspace, graph: Graph, awaited: Collection[str] = ()
) -> Mapping[str, Artifact]:
    """The bytes that each input stands for now, but for those that are ``awaited`` and those that
    may be missing and are.

    Every fault at once: UserError or StoreError.
    """
    input_artifacts: dict[str, Artifact] = {}
    faults: list[Fault] = []
    # All at once; bytes that are gone weigh more than a path that was typed wrong.
    kind: type[TowpathError] = UserError
    for name, location in graph.inputs.items():
        if name in awaited:
            continue
        try:
            if find_absence(workspace, graph, name):
                continue
            input_artifacts[name] = _read_artifact(workspace, graph, name, location)
        except TowpathError as error:
            faults += error.faults
            kind = StoreError if isinstance(error, StoreError) else kind
    if faults:
        raise kind(*dict.fromkeys(faults))  # one model may be several inputs
    return input_artifacts


def find_absence(workspace: Workspace, graph: Graph, name: str) -> str:
    """Why an input that may be missing is not there, in words; empty where it is there, or must be.

    UserError for one that is named wrongly.
    """
    location = graph.inputs[name]
    file = graph.files[name]
    if not file.optional:
        return ""
    if not location:
        return "nothing was given"
    if name in graph.tried:  # what a person names for one run is meant to be there
        return ""
    if file.last is not None:
        if last_outputs.find_last(workspace, graph, name) is not None:
            return ""
        if file.otherwise is None:
            return f"no good run has made `{file.last}` yet"
        location = file.otherwise
    if names_and_paths.is_model_reference(location):
        return _find_version_absence(workspace, graph, name)
    path = workspace.root / location
    is_there = path.exists() or tracked_files.find_tracked(workspace.root, path) is not None
    return "" if is_there else f"there is no {location}"


def _find_version_absence(workspace: Workspace, graph: Graph, name: str) -> str:
    reference = graph.inputs[name]
    # What may be missing must not be missing for a slip of the pen.
    try:
        if "#" in reference:
            _require_stage(workspace, reference)
        version_inputs.find_version_bytes(workspace, reference, graph.files[name].output)
    except UsageError as absent:
        what, hint = absent.faults[0].what, absent.faults[0].hint or ""
        return f"{what} ({hint})" if hint.startswith("did you mean") else what
    return ""


def _require_stage(workspace: Workspace, reference: str) -> None:
    if workspace.shared_registry:
        _ = workspace.registry  # what cannot be had is told as such
    try:
        stages = tuple(workspace.policy.stages)
    except (RegistryError, DeclarationError):
        stages = ()  # a shared one without a commit, or that a later Towpath writes
    if fault := pipeline_check.find_stage_fault(stages, reference):
        raise UserError(fault)


def list_absent_inputs(workspace: Workspace, graph: Graph) -> dict[str, str]:
    """The inputs that may be missing and are, by name, each with the reason."""
    reasons = {name: find_absence(workspace, graph, name) for name in graph.inputs}
    return {name: reason for name, reason in reasons.items() if reason}


def _read_artifact(workspace: Workspace, graph: Graph, name: str, location: str) -> Artifact:
    file = graph.files[name]
    if file.last is not None:
        if last := last_outputs.find_last(workspace, graph, name):
            return last.artifact
        assert file.otherwise, "nothing to take is told by `find_absence`"
        location = file.otherwise
    if names_and_paths.is_model_reference(location):
        return version_inputs.read_version_artifact(workspace, location, file.output)
    path = workspace.root / location
    if not path.exists() and (pointer := tracked_files.find_tracked(workspace.root, path)):
        tracked_files.restore_tracked(workspace.root, path, pointer)
    elif not path.exists():
        makers = pipeline_order.makers_of(graph.name, {name: location}, workspace.pipelines)
        usual = "its path is from the project's root; `--input name=path` overrides it"
        hint = names_and_paths.remote_hint(location) or usual
        if name in makers:
            hint = f"towpath run {makers[name]} makes it; towpath run --all runs both"
        if name in _remote_addresses(graph):
            hint = f"towpath run {graph.name} brings it, and towpath update {name} looks again"
        raise UserError(Fault(f"input `{name}` is {location}, which is not there", hint=hint))
    if lfs_pointer := next(large_files.pointers_in(path), None):
        shown = os.path.relpath(lfs_pointer, workspace.root)
        what = f"input `{name}`: {shown} is a pointer of Git LFS, and not the data"
        raise UserError(Fault(what, hint=large_files.PULL))
    # The bytes go into the store, for a run works on what it was given, not on what a path holds.
    return workspace.store.put(path)
