"""`prefect.yaml` as a declaration: its deployments, every fault at once, each with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from towpath import documents
from towpath.config.declaration import NO_PLACES, Places, declared_keys, faults_of, show_value
from towpath.config.deployment_declaration import FlowDeployment
from towpath.errors import Fault, Place, did_you_mean

if TYPE_CHECKING:
    from towpath.workspace import Workspace

FILE = "prefect.yaml"
_PREFECTS_KEYS = ("name", "prefect-version", "build", "push", "pull", "deployments", "definitions")
# What stands in double braces there is filled in by the worker or the server, when a run is due.
_FILLED_LATER = ("pull", "triggers", "job_variables")


class DeclaredDeployments(Struct, frozen=True):
    """What `prefect.yaml` declares, as far as it is sound. ``pull`` is for those deployments that
    say none; ``is_there`` False where there is no such file. ``unread`` is what `prefect deploy`
    makes something of, and Towpath would have to pass over."""

    deployments: tuple[tuple[int, FlowDeployment], ...] = ()
    places: Places = NO_PLACES
    faults: tuple[Fault, ...] = ()
    pull: Any = None
    is_there: bool = True
    unread: tuple[Fault, ...] = ()

    def find_place(self, number: int, *loc: str | int) -> Place | None:
        """Where a deployment, or a part of it, stands."""
        return self.places.find_place("deployments", number, *loc)


def read_declared_deployments(root: Path) -> DeclaredDeployments:
    """What the `prefect.yaml` in a project's folder declares; faults are told, not raised."""
    path = root / FILE
    if not path.is_file():
        return DeclaredDeployments(is_there=False)
    document = documents.parse_yaml(documents.text_of(path, FILE), FILE)
    places = Places(document.node)
    if document.faults or not isinstance(document.node, documents.Mapping):
        wrong = document.faults or (
            Fault("the file must hold a mapping with `deployments`", Place(FILE, 1)),
        )
        return DeclaredDeployments(faults=tuple(wrong), places=places)
    return _read_whole(documents.plain_data(document.node), places, root)


def _read_whole(data: Any, places: Places, root: Path) -> DeclaredDeployments:
    faults = list(_top_faults(data, places))
    unread = list(_unread_faults(data, "", (), places))
    deployments: list[tuple[int, FlowDeployment]] = []
    listed = data.get("deployments") or []
    if not isinstance(listed, list):
        what = f"`deployments` must be a list, not {show_value(listed)}"
        faults.append(Fault(what, places.find_place("deployments")))
        listed = []
    for number, item in enumerate(listed):
        name = item.get("name") if isinstance(item, Mapping) else None
        owner = f"deployment `{name}`" if name else f"deployment {number + 1}"
        if isinstance(item, Mapping):
            unread += _unread_faults(item, f"{owner}: ", ("deployments", number), places)
        if deployment := _read_deployment_item(item, owner, number, places, faults):
            deployments.append((number, deployment))
    declared = DeclaredDeployments(tuple(deployments), places, (), data.get("pull"))
    faults += [*_name_faults(declared), *_file_faults(declared, root)]
    by_line = sorted(faults, key=lambda fault: fault.place.line if fault.place else 0)
    return replace(declared, faults=tuple(by_line), unread=tuple(unread))


def _top_faults(data: Mapping[str, Any], places: Places) -> Iterator[Fault]:
    for key in data:
        hint = did_you_mean(key, _PREFECTS_KEYS) if key not in _PREFECTS_KEYS else None
        if hint:  # others are Prefect's users' own, which it passes over
            yield Fault(f"{FILE} has no key `{key}`", places.find_place(key), hint)


def _unread_faults(
    data: Mapping[str, Any], owner: str, loc: tuple[str | int, ...], places: Places
) -> Iterator[Fault]:
    for key in ("build", "push"):
        if data.get(key):
            hint = "build the image in CI, and name it: `work_pool: {job_variables: {image: ...}}`"
            what = f"{owner}`{key}` is for `prefect deploy` alone"
            yield Fault(what, places.find_place(*loc, key), hint)
    for key in (key for key in data if key != "deployments"):
        for inner in _template_places(data[key], (key,)):
            what = f"{owner}`{'.'.join(map(str, inner))}` is filled in by `prefect deploy` alone"
            yield Fault(what, places.find_place(*loc, *inner), "write the value out")


def _read_deployment_item(
    item: Any, owner: str, number: int, places: Places, faults: list[Fault]
) -> FlowDeployment | None:
    locate = partial(places.find_place, "deployments", number)
    if not isinstance(item, Mapping):
        what = f"a deployment must be a mapping, not {show_value(item)}"
        faults.append(Fault(what, locate(), "write `- name: dev`"))
        return None
    try:
        # `null` is what Prefect's own examples have for what is not said.
        plain = {key: value for key, value in item.items() if value is not None}
        return FlowDeployment.model_validate(plain, by_alias=True, by_name=False)
    except ValidationError as error:
        for fault in faults_of(error, FlowDeployment, owner, locate):
            unknown = fault.what.startswith(f"{owner} has no key") and not fault.hint
            hint = f"it has {', '.join(declared_keys(FlowDeployment))}" if unknown else fault.hint
            faults.append(Fault(fault.what, fault.place, hint))
        return None


def _template_places(value: Any, loc: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if loc[-1] in _FILLED_LATER:
        return
    if isinstance(value, str) and "{{" in value:
        yield loc
    pairs = enumerate(value) if isinstance(value, list) else ()
    for key, inner in value.items() if isinstance(value, Mapping) else pairs:
        yield from _template_places(inner, (*loc, key))


def _name_faults(declared: DeclaredDeployments) -> Iterator[Fault]:
    lines: dict[tuple[str, str], Place | None] = {}
    for number, deployment in declared.deployments:
        key = (deployment.entrypoint, deployment.name)
        if key in lines:
            what = f"two deployments of {deployment.entrypoint} are called `{deployment.name}`"
            other = lines[key]
            hint = f"the other stands in line {other.line}" if other else None
            yield Fault(what, declared.find_place(number, "name"), hint)
        lines.setdefault(key, declared.find_place(number, "name"))


def _file_faults(declared: DeclaredDeployments, root: Path) -> Iterator[Fault]:
    known_files = sorted(path.relative_to(root).as_posix() for path in root.glob("flows/*/*.py"))
    for number, deployment in declared.deployments:
        file = deployment.entrypoint.rpartition(":")[0]
        if not (root / file).is_file():
            what = f"deployment `{deployment.name}`: there is no file {file}"
            place = declared.find_place(number, "entrypoint")
            yield Fault(what, place, did_you_mean(file, known_files))


def find_deployment_faults(workspace: Workspace) -> tuple[Fault, ...]:
    """Every fault of `prefect.yaml`, with its line; nothing of the project is imported."""
    declared = read_declared_deployments(workspace.root)
    faults = [*declared.faults, *_source_faults(workspace, declared)]
    faults = faults or list(_circle_faults(workspace, declared))
    return tuple(sorted(faults, key=lambda fault: fault.place.line if fault.place else 0))


def pipeline_of(workspace: Workspace, deployment: FlowDeployment) -> str | None:
    """The pipeline whose flow a deployment runs; None for another flow."""
    folder = deployment.entrypoint.rpartition("/")[0]
    name = folder.removeprefix("flows/")
    return name if name in workspace.pipelines and folder != name else None


def _source_faults(workspace: Workspace, declared: DeclaredDeployments) -> Iterator[Fault]:
    for number, deployment in declared.deployments:
        for position, source in enumerate(deployment.on_change):
            if fault := _source_problem(workspace, source):
                what, hint = fault
                place = declared.find_place(number, "on_change", position)
                place = place or declared.find_place(number, "on_change")
                yield Fault(f"deployment `{deployment.name}`: {what}", place, hint)


def _source_problem(workspace: Workspace, source: str) -> tuple[str, str | None] | None:
    if "#" in source:
        stage = source.partition("#")[2]
        if workspace.shared_registry or stage in workspace.project.stages:
            return None  # which stages a shared registry has is not known without the network
        return f"there is no stage `{stage}`", did_you_mean(stage, workspace.project.stages)
    pipeline, _, reference = source.partition(":")
    step, _, output = reference.rpartition(".")
    if pipeline not in workspace.pipelines:
        return f"there is no pipeline `{pipeline}`", did_you_mean(pipeline, workspace.pipelines)
    from towpath.pipeline.compile_graph import outline_graph
    from towpath.planning.declared_pipelines import read_declared

    pipeline_file = read_declared(workspace, pipeline)
    nodes = outline_graph(pipeline_file).nodes
    if step in pipeline_file.malformed:
        return None  # `check` says what is wrong with it
    if step not in nodes:
        return f"`{pipeline}` has no step `{step}`", did_you_mean(step, nodes)
    if output not in nodes[step].outputs:
        what = f"`{step}` of `{pipeline}` has no output `{output}`"
        return what, did_you_mean(output, nodes[step].outputs)
    return None


def _circle_faults(workspace: Workspace, declared: DeclaredDeployments) -> Iterator[Fault]:
    """Pipelines that would run one another for ever, each where the other's output changed."""
    followed: dict[str, set[str]] = {}
    numbers: dict[str, int] = {}
    for number, deployment in declared.deployments:
        pipeline = pipeline_of(workspace, deployment)
        if pipeline and deployment.on_change:
            sources = {s.partition(":")[0] for s in deployment.on_change if "#" not in s}
            followed.setdefault(pipeline, set()).update(sources)
            numbers.setdefault(pipeline, number)
    try:
        TopologicalSorter(followed).prepare()
    except CycleError as circle:
        names = list(circle.args[1])
        what = f"{' -> '.join(names)}: a change of each would run the other"
        place = declared.find_place(numbers[names[0]], "on_change")
        yield Fault(what, place, "remove one `on_change`")
