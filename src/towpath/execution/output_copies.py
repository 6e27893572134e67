"""Copies of what runs and versions made: their bytes, checked, at a path of the user's choice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from towpath import registry
from towpath.backends.dvc import tracked_files
from towpath.backends.dvc.dvc_yaml import LOCK, PIPELINE
from towpath.backends.git import refs
from towpath.config.artifact import Artifact
from towpath.config.pipeline_file import DeclaredPipeline, parse_pipeline
from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import Fault, UsageError, did_you_mean
from towpath.execution import run_folders
from towpath.pipeline.artifact_paths import FOLDER
from towpath.pipeline.compile_graph import list_declared_steps
from towpath.pipeline.nested_pipelines import nest_pipelines
from towpath.pipeline.step_cells import handed_outputs
from towpath.planning.declared_pipelines import read_declared
from towpath.registry import RecordedVersion
from towpath.scratch import scratch_beside
from towpath.versions import version_origin
from towpath.versions.work_tree_files import note_own_files

if TYPE_CHECKING:
    from towpath.config.file_declaration import Output
    from towpath.execution.run_record import RecordedRun
    from towpath.workspace import Workspace

PICKLES = ("joblib", "pickle")


class Copyable(Struct, frozen=True):
    """What can be copied: its name for a person, its bytes, and what else is known of them.

    ``sha256`` and ``stage`` are None where nothing says them; ``format`` is the format that was
    declared for it, None where the extension says it, ``options`` how its text is read.
    """

    name: str
    artifact: Artifact
    sha256: str | None = None
    stage: str | None = None
    format: str | None = None
    rejected: str | None = None
    options: TableOptions = NO_OPTIONS


class PlacedCopy(Struct, frozen=True):
    """What was laid out: what it is, where it came from and where it stands; the size in bytes."""

    name: str
    path: str
    source: str
    md5: str
    sha256: str | None
    size: int
    rejected: str | None = None


def find_copyable(workspace: Workspace, word: str, output: str | None = None) -> Copyable:
    """What a word names: a version (``abalone@v1.0.0``, ``abalone#prod``), of which an output that
    was made beside it may be asked for, or an output of a run (``last``, ``fit.model``).

    Raises ``UsageError`` for what is not there, with the nearest name.
    """
    if is_version(word):
        return _of_version(workspace, word, output)
    return _of_run(workspace, run_folders.find_run(workspace.runs, word), output)


def is_version(word: str) -> bool:
    """Whether a word names a version; a run's name holds neither ``@`` nor ``#``."""
    return "@" in word or "#" in word


def place_copy(
    workspace: Workspace,
    wanted: Copyable,
    here: Path,
    to: Path | None,
    force: bool = False,
    reshape: Callable[[Path], None] | None = None,
) -> PlacedCopy:
    """Put the bytes at ``to``, whole and checked or not at all: in it where it is a folder that is
    there, and under their own name in ``here`` where it is None. ``reshape`` is given them first.

    Raises ``UsageError`` where something stands there that ``force`` does not let go, or a folder
    where a file is to stand; ``StoreError`` where no store has the bytes.
    """
    artifact = wanted.artifact
    target = _free_target(artifact, here, to, force)
    scratch, before = scratch_beside(target), scratch_beside(target)
    try:
        source = bring_copyable(workspace, wanted, scratch)
        if reshape:
            reshape(scratch)
        if target.is_dir() and not target.is_symlink():  # no folder is renamed over another
            target.replace(before)
        scratch.replace(target)  # whole or not at all, whoever reads there meanwhile
    except OSError as refused:
        raise UsageError(f"{target} cannot be written: {refused.strerror}") from refused
    finally:
        _remove_path(scratch)
        _remove_path(before)
    note_own_files([target])
    name, digest, sha256 = wanted.name, artifact.digest, wanted.sha256
    return PlacedCopy(name, str(target), source, digest, sha256, artifact.size, wanted.rejected)


def _free_target(artifact: Artifact, here: Path, to: Path | None, force: bool) -> Path:
    target = here / (to or artifact.name)
    # What stands in a folder of the user's stays: only what has the very name is replaced.
    target = target / artifact.name if to and target.is_dir() else target
    if target.is_dir() and artifact.files is None:
        raise UsageError(f"{target} is a folder", hint="name a file with -o")
    if (target.exists() or target.is_symlink()) and not force:
        raise UsageError(f"{target} exists", hint="another place with -o, or --force replaces it")
    return target


def bring_copyable(workspace: Workspace, wanted: Copyable, into: Path) -> str:
    """Bring the bytes to a path where nothing stands, checked; where from, in words."""
    project = workspace.project
    if wanted.sha256:
        project = version_origin.read_main_declaration(workspace)
    return version_origin.bring_artifact(
        workspace, project, wanted.artifact, wanted.sha256, into, wanted.stage
    )


def _of_run(workspace: Workspace, run: RecordedRun, output: str | None) -> Copyable:
    run_outputs = run.outputs
    if output is None:
        none_made = "" if run_outputs else "none of its steps made anything"
        hint = none_made or f"one of {_list_some(run_outputs)}"
        raise UsageError(f"which output of run {run.id}?", hint=hint)
    name = _find_whole_name(run_outputs, output)
    if name is None:
        raise UsageError(_lacking_fault(run, output, run_outputs))
    declared = _declared_now(workspace, run).get(name)
    return _as_declared(f"{run.id} {name}", run_outputs[name], declared)


def _as_declared(
    name: str, artifact: Artifact, output: Output | None, rejected: str | None = None
) -> Copyable:
    if output is None:
        return Copyable(name, artifact, rejected=rejected)
    options = TableOptions.from_declaration(output)
    return Copyable(name, artifact, format=output.format, rejected=rejected, options=options)


def _declared_now(workspace: Workspace, run: RecordedRun) -> dict[str, Output]:
    # A run keeps no declaration, so how its files are read is what is declared now.
    if run.pipeline not in workspace.pipelines:
        return {}
    return _declared_outputs(read_declared(workspace, run.pipeline))


def _declared_outputs(declared: DeclaredPipeline) -> dict[str, Output]:
    return {
        f"{step_name}.{name}": output
        for step_name, step in list_declared_steps(declared).items()
        for name, output in handed_outputs(step).items()
    }


def _find_whole_name(made: Mapping[str, object], word: str) -> str | None:
    # `model` stands for `fit.model` where only one output is called so.
    if word in made:
        return word
    ends = [name for name in made if name.rpartition(".")[2] == word]
    return ends[0] if len(ends) == 1 else None


def _lacking_fault(run: RecordedRun, output: str, made: Mapping[str, Artifact]) -> Fault:
    """Why a run has no such output: no such step, a step that did not end, or no such name."""
    several = [name for name in made if name.rpartition(".")[2] == output]
    if several:
        return Fault(f"`{output}` names {len(several)} outputs", hint=", ".join(several))
    step = run.steps.get(output.rpartition(".")[0])
    if step is None or step.made.outputs:
        return Fault(f"run {run.id} made no `{output}`", hint=_near_output(output, made))
    what = f"step `{step.name}` of run {run.id} made nothing: it {step.state.in_words}"
    if not step.state.has_ended:
        return Fault(what, hint=f"wait for its end: towpath logs {run.id}")
    return Fault(what + (f" ({step.reason})" if step.reason else ""))


def _near_output(output: str, made: Mapping[str, object]) -> str | None:
    return did_you_mean(output, made) or (f"there is {_list_some(made)}" if made else None)


def _list_some(names: Mapping[str, object]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 8} more" if listed[8:] else ""
    return ", ".join(listed[:8]) + more


def _of_version(workspace: Workspace, reference: str, output: str | None) -> Copyable:
    found_version = registry.get_version(workspace.registry, reference)
    version, record = found_version.version, found_version.record
    if output is None or output in record.beside:
        shown = f"{version} {output}" if output else str(version)
        artifact, sha256 = record.kept_bytes[output or ""]
        stage = registry.parse_reference(reference).stage
        pickle = record.kind if output is None and record.kind in PICKLES else None
        return Copyable(shown, artifact, sha256, stage, pickle, version.rejected)
    outputs_beside = {
        **{name: (kept.artifact, None) for name, kept in record.beside.items()},
        **_outputs_beside(workspace, found_version),
    }
    name = _find_whole_name(outputs_beside, output)
    if name is None:
        what = f"nothing tells of an output `{output}` of {version}"
        raise UsageError(what, hint=_near_output(output, outputs_beside))
    artifact, declared = outputs_beside[name]
    return _as_declared(f"{version} {name}", artifact, declared, version.rejected)


_Beside: TypeAlias = "dict[str, tuple[Artifact, Output | None]]"


def _outputs_beside(workspace: Workspace, found: RecordedVersion) -> _Beside:
    """The outputs of the run that made a version, by ``step.output``: those that its commit's
    `dvc.lock` names, and those of the run's record where this machine has it."""
    outputs_by_name: _Beside = {}
    if found.record.run in run_folders.list_run_names(workspace.runs):
        run = run_folders.find_run(workspace.runs, str(found.record.run))
        declared_outputs = _declared_now(workspace, run)
        outputs_by_name |= {
            name: (artifact, declared_outputs.get(name)) for name, artifact in run.outputs.items()
        }
    return outputs_by_name | _committed_outputs(workspace, found)


def _committed_outputs(workspace: Workspace, found: RecordedVersion) -> _Beside:
    folder = found.record.path.partition(f"{FOLDER}/")[0]
    pipeline = f"flows/{found.record.pipeline}/pipeline.yaml"
    names = [f"{found.version.commit}:{folder}{file}" for file in (LOCK, PIPELINE, pipeline)]
    contents = refs.read_contents(workspace.registry, names)
    if len(contents) < len(names):
        return {}  # a shared registry holds the record alone
    lock, stages, declared = (contents[name].decode("utf-8", "replace") for name in names)
    artifacts = tracked_files.read_artifacts(lock, stages)

    def read_committed(name: str) -> DeclaredPipeline:
        path = f"flows/{name}/pipeline.yaml"
        committed = f"{found.version.commit}:{folder}{path}"
        text = refs.read_contents(workspace.registry, [committed]).get(committed, b"")
        return parse_pipeline(text.decode("utf-8", "replace"), path)

    whole = nest_pipelines(parse_pipeline(declared, pipeline), workspace.pipelines, read_committed)
    outputs: _Beside = {}
    for name, output in _declared_outputs(whole).items():
        step = name.rpartition(".")[0]
        path = f"{FOLDER}/{found.record.pipeline}/{step}/{output.path.rstrip('/')}"
        if held := artifacts.get(path):
            outputs[name] = held, output
    return outputs


def _remove_path(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
