"""From a name to a version: ``abalone@v1.3.0``, ``abalone@latest``, ``abalone#prod``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from towpath.backends.git import Repository, refs
from towpath.errors import RegistryError, TowpathError, UsageError, did_you_mean
from towpath.registry import version_record as records
from towpath.registry import version_reference
from towpath.registry.registry_state import (
    Model,
    ModelVersion,
    has_record,
    known_model,
    read_record,
    way_to_have,
)
from towpath.registry.stage_files import StageFiles, read_stage_files
from towpath.registry.version_record import VersionRecord
from towpath.registry.version_reference import VersionNumber, VersionReference


@dataclass(frozen=True)
class RecordedVersion:
    """A version and its record."""

    version: ModelVersion
    record: VersionRecord


def get_version(repository: Repository, reference: str | VersionReference) -> RecordedVersion:
    """The version that a reference names, with its record."""
    version = find_version(repository, reference)
    return RecordedVersion(version, read_record(repository, version))


def read_incumbent(
    repository: Repository, main: str, model: str, version: VersionNumber
) -> VersionRecord:
    """The record of a version that a stage runs, or is to leave it; from main's own copy where its
    tag or its commit is lost. Raises ``RegistryError`` where main has none."""
    try:
        return get_version(repository, VersionReference(model, version)).record
    except TowpathError:  # its tag, its commit or its record is lost or damaged
        path = records.record_path(model, version)
        # So that no stage is held to a version that nobody has any more.
        content = refs.read_content(repository, main, path)
        if content is None:
            raise
        return records.parse_version_record(content, path)


def find_version(repository: Repository, reference: str | VersionReference) -> ModelVersion:
    """The version that a reference names, as its tag tells it; rejected ones only by number. Raises
    ``UsageError`` with the near name for what does not exist, ``RegistryError`` where a stage names
    a version that this clone does not have."""
    named = (
        version_reference.parse_reference(reference) if isinstance(reference, str) else reference
    )
    return choose_version(
        known_model(repository, named.model),
        named,
        lambda: read_stage_files(repository),
        partial(has_record, repository),
        partial(way_to_have, repository),
    )


def choose_version(
    model: Model,
    reference: VersionReference,
    staged: Callable[[], StageFiles],
    holds: Callable[[ModelVersion], bool] = bool,
    way: Callable[[str], str] = "towpath restore {}".format,
) -> ModelVersion:
    """The version of ``model`` that is asked for, as ``find_version`` does.

    ``staged`` is called for a stage, ``holds`` to ask whether a version's commit has its record,
    ``way`` to say how one that is lost comes back.
    """
    if reference.stage:
        return _version_in_stage(staged(), model, reference.stage, way)
    if reference.version:
        return _version_by_number(model, reference.version)
    return _version_by_key(model, reference.key) if reference.key else _latest_version(model, holds)


def _version_by_number(model: Model, number: VersionNumber) -> ModelVersion:
    if version := model.find_number(number):
        return version
    numbers = [str(recorded.version) for recorded in model.versions]
    hint = did_you_mean(str(number), numbers) or _there_is(model)
    raise UsageError(f"there is no {model.name}@{number}", hint=hint)


def _latest_version(model: Model, holds: Callable[[ModelVersion], bool]) -> ModelVersion:
    for version in model.versions_in_standing():  # a forged tag may repeat the words of a true one
        if holds(version):
            return version
    if model.candidates:
        what = f"{model.name} has no version yet"
        waiting = ", ".join(str(candidate) for candidate in model.candidates)
        raise UsageError(what, hint=f"{waiting} waits for its number: towpath push")
    if any(version.rejected is None for version in model.versions):
        what = f"no version of {model.name} in good standing was registered by Towpath"
        raise UsageError(what, hint=f"towpath verify {model.name} says what is wrong with its tags")
    raise UsageError(f"every version of {model.name} was rejected")


def _version_by_key(model: Model, key: str) -> ModelVersion:
    matches = model.find_key(key)
    if len(matches) == 1:
        return matches[0]
    if matches:
        what = f"{model.name}@{key} names {len(matches)} versions"
        raise UsageError(what, hint="give more digits")
    raise UsageError(f"nothing of {model.name} has the key {key}", hint=_there_is(model))


def _version_in_stage(
    staged: StageFiles, model: Model, stage: str, way: Callable[[str], str]
) -> ModelVersion:
    stage_file = staged.find_stage_file(stage, model.name)
    if stage_file is None:
        wrong = [fault for fault in staged.faults if f"/{stage}/{model.name}." in str(fault.place)]
        if wrong:
            raise RegistryError(*wrong)
        hint = _name_other_stages(staged, stage, model.name)
        raise UsageError(f"{stage} runs no {model.name}", hint=hint)
    version = model.find_number(stage_file.version)
    if version is None:
        what = f"{stage} runs {model.name}@{stage_file.version}, which this clone does not have"
        raise RegistryError(what, hint=way(f"{model.name}@{stage_file.version}"))
    return version


def _name_other_stages(staged: StageFiles, stage: str, model: str) -> str:
    names = [stage_file.stage for stage_file in staged.wanted if stage_file.model == model]
    if near := did_you_mean(stage, names):
        return near
    return f"it runs in {', '.join(names)}" if names else "no stage runs it yet"


def _there_is(model: Model) -> str:
    last = [str(version) for version in (*model.versions, *model.candidates)][-3:]
    return f"the last are {', '.join(last)}"
