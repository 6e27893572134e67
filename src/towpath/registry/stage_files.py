"""Which version each stage should run: the small stage files on the main branch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import documents
from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.config.foreign_values import describe_value, is_model_name
from towpath.errors import Fault, Place
from towpath.plain_data import group_by_key
from towpath.registry.version_reference import VersionNumber

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.registry.ownership import Owners

FOLDER = "registry/stages"

_PATH = re.compile(rf"{FOLDER}/(?P<stage>[^/]+)/(?P<model>[^/]+)\.yaml")
KEYS = ("model", "version", "sha256", "replaces")


class StageFile(Struct, frozen=True):
    """One stage file: the version of a model that a stage should run, and the one it replaced."""

    stage: str
    model: str
    version: VersionNumber
    sha256: str
    replaces: VersionNumber | None = None


class StageFiles(Struct, frozen=True, dict=True):
    """What all stages should run, and what is wrong with files that cannot be understood."""

    wanted: tuple[StageFile, ...] = ()
    faults: tuple[Fault, ...] = ()

    def stages_of(self, model: str, version: VersionNumber | None) -> tuple[str, ...]:
        return tuple(self._stages_by_version.get((model, version), ()))

    @cached_property
    def _stages_by_version(self) -> Mapping[tuple[str, VersionNumber | None], list[str]]:
        return group_by_key(((file.model, file.version), file.stage) for file in self.wanted)

    def find_stage_file(self, stage: str, model: str) -> StageFile | None:
        pair = (stage, model)
        return next((file for file in self.wanted if (file.stage, file.model) == pair), None)


def stage_file_path(stage: str, model: str) -> str:
    return f"{FOLDER}/{stage}/{model}.yaml"


def parse_stage_file_path(path: str) -> tuple[str, str] | None:
    """The stage and the model of a stage file, by its path; None where the path is none's."""
    match = _PATH.fullmatch(path)
    return (match["stage"], match["model"]) if match else None


def parse_stage_file(path: str, text: str) -> StageFile | Fault:
    match = _PATH.fullmatch(path)
    if match is None:
        return Fault("this is no stage file", Place(path))
    data = documents.read_flat(text)
    if not data:
        document = documents.parse_yaml(text, path)
        data = documents.plain_data(document.node)
        if document.faults:
            return document.faults[0]
    if not isinstance(data, dict):
        return Fault("this is no stage file", Place(path))
    if wrongs := list(_stage_file_faults(match, data)):
        return Fault(wrongs[0], Place(path), hint="it holds model, version, sha256, replaces")
    version = VersionNumber.parse(str(data["version"]))
    replaces = VersionNumber.parse(str(data.get("replaces") or ""))
    assert version is not None
    return StageFile(match["stage"], match["model"], version, str(data["sha256"]), replaces)


def write_stage_file(stage_file: StageFile) -> str:
    facts = [stage_file.model, stage_file.version, stage_file.sha256, stage_file.replaces]
    return documents.dump_yaml({key: str(f) for key, f in zip(KEYS, facts, strict=True) if f})


def find_undeclared_stages(
    staged: StageFiles, project: Project, owners: Owners, folder: str
) -> tuple[Fault, ...]:
    """Stage files of stages that the project does not declare: nothing makes them so any more."""
    faults = []
    for file in staged.wanted:
        stage, model = file.stage, file.model
        if stage not in project.stages and owners.owns_model(folder, model):
            what = f"it wants {model}@{file.version} in `{stage}`, and no such stage is declared"
            again = f"declare `{stage}` in towpath.yaml again"
            hint = f"{again}; before it goes, towpath demote {model} --stage {stage}"
            faults.append(Fault(what, Place(stage_file_path(stage, model)), hint=hint))
    return tuple(faults)


def read_stage_files(repository: Repository, main: str | None = None) -> StageFiles:
    """The stage files on ``main`` (default: the main branch, as far as this clone knows it); none
    before the first commit."""
    commit = main or main_branch.seen_main_commit(repository)
    if commit is None:
        return StageFiles()
    listed = commit_history.list_paths(repository, commit, f"{FOLDER}/")
    paths = [path for path in listed if _PATH.fullmatch(path)]
    policy = f"{commit}:towpath.yaml"
    contents = refs.read_contents(repository, [*(f"{commit}:{path}" for path in paths), policy])
    read = [_parse_content(path, contents.get(f"{commit}:{path}")) for path in paths]
    files = [entry for entry in read if isinstance(entry, StageFile)]
    # Only several stages have an order: a reader of YAML takes longer than listing all models.
    if len({entry.stage for entry in files}) > 1:
        declaration = contents.get(policy, b"").decode("utf-8", "replace")
        declared = documents.find_entry(declaration, "stages")
        names = map(str, declared) if isinstance(declared, dict | list) else ("dev", "uat", "prod")
        order = {name: place for place, name in enumerate(names)}
        files.sort(key=lambda entry: order.get(entry.stage, len(order)))
    return StageFiles(tuple(files), tuple(entry for entry in read if isinstance(entry, Fault)))


def _parse_content(path: str, content: bytes | None) -> StageFile | Fault:
    if content is None:  # a disk lost it, or it is a submodule of that name
        what = "it cannot be read: its object is not in this clone, or is broken"
        return Fault(what, Place(path))
    return parse_stage_file(path, content.decode("utf-8", "replace"))


def _stage_file_faults(place: re.Match[str], data: Mapping[str, object]) -> Iterator[str]:
    yield from (f"unknown key `{key}`" for key in data if key not in KEYS)
    if data.get("model") != place["model"]:
        yield f"`model` is {data.get('model')}, and the file is {place['model']}'s"
    if VersionNumber.parse(str(data.get("version"))) is None:
        yield f"`version` is {data.get('version')}, which is no version"
    if data.get("replaces") is not None and VersionNumber.parse(str(data["replaces"])) is None:
        yield f"`replaces` is {describe_value(data['replaces'])}, which is no version"
    for what in ("model", "stage"):
        if not is_model_name(place[what]):
            yield f"{describe_value(place[what])} cannot be the name of a {what}"
    if not re.fullmatch(r"[0-9a-f]{64}", str(data.get("sha256"))):
        yield "`sha256` is missing or no SHA-256"
