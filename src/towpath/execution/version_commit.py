"""The commit of a version: upon which parent it stands, and which files it adds.

Upon the code that ran: the declaration with the run's values, ``dvc.yaml`` and ``dvc.lock``; upon a
shared registry's main: what :func:`shared_registry.build_commit_files` says. The record is added in
both by ``registry.version_registration``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath import registry
from towpath.config import foreign_values as foreign
from towpath.config import names_and_paths
from towpath.config.artifact import Artifact
from towpath.config.foreign_paths import ProjectPath
from towpath.config.foreign_values import Fields
from towpath.errors import Fault, Malformed, StepFailed, StoreError
from towpath.execution.project_outputs import list_dvc_stages, list_model_paths
from towpath.pipeline import artifact_paths
from towpath.registry import VersionRecord, shared_registry
from towpath.registry.version_record import parse_version_record as read_record
from towpath.registry.version_record import write_version_record as write_record
from towpath.scratch import replace_text

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph
    from towpath.planning.run_state import RunState
    from towpath.workspace import Workspace

DRAFT = "registration.json"


class RegistrationDraft(Struct, frozen=True):
    """A registration that a trial leaves undone, kept in the run's folder for `towpath register`.

    The record without its number, and the texts beside it by path from the Git root: all that a
    version says is known when the run ends, and later is not, for the work tree goes on. The file
    is read as a stranger's, like all below ``.towpath``.
    """

    record: VersionRecord
    files: Mapping[str, str]


def write_draft(folder: Path, draft: RegistrationDraft) -> None:
    """Keep a draft in the folder of the step that registers."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"record": write_record(draft.record), "files": dict(draft.files)}
    replace_text(folder / DRAFT, json.dumps(document))


def read_draft(folder: Path) -> RegistrationDraft | None:
    """The draft in a step's folder, None where there is none; StoreError for a damaged one."""
    path = folder / DRAFT
    shown = "/".join(path.parts[-3:])
    try:
        fields = Fields(foreign.parse_json(path.read_bytes()))
        files = fields.get("files", foreign.table_of(foreign.read_text))
        record = read_record(fields.get("record", foreign.read_text), shown)
        return RegistrationDraft(record, {ProjectPath(name): text for name, text in files.items()})
    except OSError:
        return None
    except Malformed as wrong:
        hint = "no run wrote it so: run again, every step is reused"
        raise StoreError(f"{shown} cannot be read: {wrong.faults[0].what}", hint=hint) from None


def register_draft(workspace: Workspace, draft: RegistrationDraft) -> registry.RegisteredVersion:
    """Make the version of a draft upon the code that ran; or upon a shared registry's main."""
    record = draft.record
    if address := workspace.shared_registry:  # which holds the record, and none of the code
        base = shared_registry.registry_root_commit(workspace.registry, address)
        files = shared_registry.build_commit_files(workspace.registry, workspace.root, base, record)
    else:
        base = record.code.commit
        files = {path: text.encode() for path, text in draft.files.items()}
    return registry.register_version(workspace.registry, registry.Registration(record, base, files))


def render_commit_texts(workspace: Workspace, graph: Graph, known: RunState) -> dict[str, str]:
    """The declaration with this run's values, where it was given some, and ``dvc.yaml`` and
    ``dvc.lock`` as they would stand after it; nothing is written."""
    from towpath.backends.dvc import dvc_yaml

    rendered = {}
    if graph.given:
        path = f"{graph.folder}/pipeline.yaml"
        _refuse_inner_inputs(graph)
        rendered[path] = with_values(workspace.root / path, graph)
        rendered |= _render_values_files(workspace, graph)
    given_texts = dvc_yaml.GivenContents(_run_artifacts(graph, known), rendered)
    dvc_stages = list_dvc_stages(workspace, graph, known)
    return {
        **rendered,
        **dvc_yaml.dvc_file_texts(
            workspace.root, graph.name, dvc_stages, list_model_paths(graph, known), given_texts
        ),
    }


def _refuse_inner_inputs(graph: Graph) -> None:
    """StepFailed where a run was given an input of an inner pipeline, which is declared there, for
    other runs as well."""
    for name in sorted(graph.given & graph.inputs.keys()):
        if "." in name:
            step, _, inner = name.rpartition(".")
            what = f"`{name}` is an input of a pipeline in this one, and this run was given another"
            give = f"give it to step `{step}`: `inputs: {{{inner}: ...}}`"
            raise StepFailed(Fault(what, hint=f"declare an input here, and {give}"))


def _run_artifacts(graph: Graph, known: RunState) -> dict[str, Artifact]:
    taken = {graph.inputs[name].rstrip("/"): artifact for name, artifact in known.inputs.items()}
    outputs = {
        artifact_paths.output_path(graph, step, name): artifact
        for step, result in known.made.items()
        for name, artifact in result.outputs.items()
    }
    return {**outputs, **taken}


def _render_values_files(workspace: Workspace, graph: Graph) -> dict[str, str]:
    """The files of parameters' values, with those that this run was given."""
    from towpath import documents

    rendered: dict[str, str] = {}
    names = {n for n in graph.given & graph.param_files.keys() if n not in graph.inner_params}
    for file in sorted({graph.param_files[name] for name in names}):
        values = {n: graph.params[n] for n in names if graph.param_files[n] == file}

        def change(document: MutableMapping[str, Any], new: dict[str, Any] = values) -> None:
            for name, value in new.items():
                _set_value(document, name.split("."), value)

        path = workspace.root / file
        if path.suffix == ".json":
            document = json.loads(documents.text_of(path, file))
            change(document)
            rendered[file] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        else:
            rendered[file] = documents.edit_yaml(path, change)
    return rendered


def _set_default(declared: MutableMapping[str, Any], keys: Sequence[str], value: Any) -> None:
    """Give a declared parameter another default, in whichever form it is declared."""
    for key in keys[:-1]:
        declared = declared.setdefault(key, {})
    if isinstance(declared.get(keys[-1]), MutableMapping):
        declared[keys[-1]]["default"] = value
    else:
        declared[keys[-1]] = value


def _set_value(document: MutableMapping[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


def _set_input(declared: MutableMapping[str, Any], name: str, path: str) -> None:
    """Let an input be another path, or another model, in whichever form it is declared."""
    if not isinstance(declared[name], MutableMapping):
        declared[name] = path
        return
    for other in ("model", "from", "last", "otherwise"):
        declared[name].pop(other, None)
    declared[name]["path"] = path
    if not names_and_paths.is_model_reference(path):
        declared[name].pop("output", None)


def with_values(file: Path, graph: Graph) -> str:
    """A pipeline's declaration whose defaults are what this run was given; the rest stays."""
    from towpath import documents

    def give_params(document: MutableMapping[str, Any]) -> None:
        for name in params:
            _set_default(document.setdefault("params", {}), name.split("."), graph.params[name])

    def give_inputs(document: MutableMapping[str, Any]) -> None:
        for name in inputs:
            _set_input(document["inputs"], name, graph.inputs[name])

    # One of an inner pipeline is declared here, in a group of the step's name.
    own = graph.inner_params.keys() | (graph.params.keys() - graph.param_files.keys())
    params = sorted(graph.given & graph.params.keys() & own)
    # That an input was given nothing is for the record to say.
    inputs = sorted(name for name in graph.given & graph.inputs.keys() if graph.inputs[name])
    text = documents.text_of(file, file.name)
    if params:
        text = documents.edit_section(text, "params", give_params, file.name)
    if inputs:
        text = documents.edit_section(text, "inputs", give_inputs, file.name)
    return text
