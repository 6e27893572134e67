"""What a program or a notebook asks of a project: its models, and what its runs made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.config.foreign_values import format_second
from towpath.errors import UsageError, did_you_mean
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from towpath.execution.output_copies import Copyable
    from towpath.steps.formats import ReadRequest


class RegisteredModel(Struct, frozen=True):
    """One version of a model, as ``towpath models`` lists it.

    ``version`` is ``v1.3.0``, None for one that waits for its number; ``metrics`` are the numbers
    of its evaluation by dotted name; ``stages`` those that should run it; ``registered`` is UTC,
    ISO 8601; ``rejected`` the reason for which nobody should use it, None for one in good standing.
    """

    model: str
    version: str | None
    metrics: Mapping[str, float]
    stages: tuple[str, ...]
    registered: str
    author: str
    rejected: str | None
    commit: str

    def __str__(self) -> str:
        return f"{self.model}@{self.version}" if self.version else self.model


def models(model: str | None = None, *, project: str | Path | None = None) -> list[RegisteredModel]:
    """Every version in the registry (of ``model``), the newest of each model first.

    :param project: a folder in the project; by default the working directory.
    :raises UsageError: where there is no project, or no model of that name.
    """
    from towpath import registry

    repository = _find_workspace(project).registry
    models_by_name = (
        {model: registry.known_model(repository, model)}
        if model
        else registry.read_models(repository)
    )
    stages = registry.read_stage_files(repository)
    return [
        RegisteredModel(
            version.model,
            str(version.version) if version.version else None,
            dict(version.metrics),
            tuple(stages.stages_of(version.model, version.version)),
            format_second(version.time),
            version.tag.tagger,
            version.rejected,
            version.commit,
        )
        for listed_model in models_by_name.values()
        for version in listed_model.newest_first
    ]


def load(reference: str, *, pickles: bool = False, project: str | Path | None = None) -> Any:
    """The model of a version: ``load("abalone#prod")``, ``load("abalone@v1.0.0")``.

    Its bytes come from the stage's own store, or from the first that has them, and are held against
    its record before anything is read. A ``.skops`` file holds what is known to be safe and what
    ``trust`` of towpath.yaml names, or is refused. A
    model of ``create_model`` that brings code predicts in a sandbox: ``predict(table)`` is a
    process of its own, of a second or two. Classes of the project's own come from the
    version's commit; of two versions with classes of one name each needs a process of its own.

    :param pickles: read a joblib or pickle file too, which runs whatever code it holds.
    :param project: a folder in the project; by default the working directory.
    :raises UsageError: where there is no such version.
    :raises StoreError: where no store has its bytes.
    :raises Refused: where the file holds what is not known to be safe.
    """
    from towpath.execution import output_copies

    workspace = _find_workspace(project)
    if not output_copies.is_version(reference):
        hint = f'name a version: "{reference}@latest"; towpath.read reads what a run made'
        raise UsageError(f"`{reference}` names no version of a model", hint=hint)
    return _read_copyable(
        workspace, output_copies.find_copyable(workspace, reference), "", pickles, reference
    )


def read(
    run: str,
    output: str,
    *,
    as_type: str = "",
    pickles: bool = False,
    project: str | Path | None = None,
) -> Any:
    """What a run made, or what was made beside a version: ``read("last", "evaluate.residuals")``.

    A table comes as a pandas frame, JSON as plain data, text as ``str``, an image or a file that
    nothing here reads as ``bytes``; of a folder it is a dictionary of bytes by path.

    :param run: ``last``, a run's name or a part of it, or a version (``abalone@v1.0.0``).
    :param as_type: the full name of another type: ``polars.DataFrame``, ``pyarrow.Table``.
    :param pickles: read a joblib or pickle file too, which runs whatever code it holds.
    :param project: a folder in the project; by default the working directory.
    :raises UsageError: where there is no such run, version or output.
    :raises StoreError: where no store has the bytes.
    """
    from towpath.execution import output_copies

    workspace = _find_workspace(project)
    return _read_copyable(
        workspace, output_copies.find_copyable(workspace, run, output), as_type, pickles
    )


def load_inputs(run: str, step: str, *, project: str | Path | None = None) -> dict[str, Any]:
    """What a step of a run took, by argument: ``train(**load_inputs("last", "train"))``.

    They are the run's own bytes and parameters, read as the step's function asks for them now. A
    path is that of a copy, below ``.towpath/``. Nothing is stored or recorded.

    :param run: ``last``, or a run's name or a part of it.
    :param step: a step that ended or failed in that run.
    :param project: a folder in the project; by default the working directory.
    :raises UsageError: where there is no such run or step, or it had no inputs yet.
    :raises StoreError: where the bytes are not in the store any more.
    """
    from towpath.execution import run_folders, step_prompt

    workspace = _find_workspace(project)
    recorded_run = run_folders.find_run(workspace.runs, run)
    return step_prompt.read_step_inputs(step_prompt.order_from_run(workspace, recorded_run, step))


def _find_workspace(project: str | Path | None) -> Workspace:
    return Workspace.find(Path(project) if project is not None else None)


def _require_type(request: ReadRequest) -> None:
    """Refuse a type that the file's format does not give; a step's annotation may be any."""
    offered = (request.format.default, *request.format.types) if request.format else ("bytes",)
    types = list(dict.fromkeys(offered))
    if request.wanted not in types:
        hint = did_you_mean(request.wanted, types) or f"as {', '.join(types)}"
        raise UsageError(f"{request.name} is not read as `{request.wanted}`", hint=hint)


def _load_model(workspace: Workspace, reference: str, path: Path, request: ReadRequest) -> Any:
    """A version's model, with the version's own code where its file names that."""
    from towpath import registry
    from towpath.steps.model_io import model_bundles, own_classes
    from towpath.steps.model_io.score_model import SandboxedModel
    from towpath.versions.version_origin import find_version_code

    record = registry.get_version(workspace.registry, reference).record
    own = find_version_code(workspace, reference, None, record, workspace.project)
    name = request.name
    if model_bundles.is_bundle(name) and model_bundles.has_own_code(path, name):
        return SandboxedModel.keep(path, name, own, request.trust)
    with own_classes.restored_path():
        return model_bundles.load_version(path, request.name, request.trust, own.to_json())


def _refuse_format(name: str, declared: str | None, pickles: bool) -> None:
    from towpath.execution import output_copies
    from towpath.steps import formats

    if declared in output_copies.PICKLES and not pickles:
        what = f"{name} is a {declared} file, which runs the code that it holds when read"
        raise UsageError(what, hint="pickles=True reads it, if you know who made it")
    if declared and declared not in formats.FORMATS:
        what = f"{name} is a file of the project's own format `{declared}`"
        raise UsageError(what, hint="`towpath get` copies it; its class in `formats:` reads it")


def _read_copyable(
    workspace: Workspace, copyable: Copyable, as_type: str, pickles: bool, reference: str = ""
) -> Any:
    from towpath.execution import output_copies
    from towpath.scratch import scratch_folder
    from towpath.steps import formats

    name = copyable.artifact.name
    declared = copyable.format or formats.pickled_as(name)
    _refuse_format(copyable.name, declared, pickles)
    reading = formats.ReadRequest(
        name, as_type, declared, workspace.project.trust, copyable.options
    )
    if as_type:
        _require_type(reading)
    with scratch_folder() as scratch:
        path = scratch / name
        output_copies.bring_copyable(workspace, copyable, path)
        if reference and reading.format and reading.format.name == "bundle":
            return _load_model(workspace, reference, path, reading)
        if path.is_dir():
            files = (file for file in sorted(path.rglob("*")) if file.is_file())
            return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
        if reading.format is None:
            return path.read_bytes()
        if reference and reading.format.name == "skops":
            return _load_model(workspace, reference, path, reading)
        return formats.read_file(path, reading)
