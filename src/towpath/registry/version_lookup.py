"""From a name to a version: ``abalone@v1.3.0``, ``abalone@latest``, ``abalone#prod``."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from towpath.backends.git import Repository, refs
from towpath.errors import RegistryError, TowpathError, UsageError, did_you_mean
from towpath.registry import registry_state
from towpath.registry import version_record as records
from towpath.registry.registry_state import Model, ModelVersion
from towpath.registry.stage_files import StageFiles, read_stage_files
from towpath.registry.version_record import VersionRecord
from towpath.registry.version_reference import VersionNumber, VersionReference, parse_reference


class RecordedVersion(Struct, frozen=True):
    """A version and its record."""

    version: ModelVersion
    record: VersionRecord


def get_version(repository: Repository, reference: str | VersionReference) -> RecordedVersion:
    version = find_version(repository, reference)
    return RecordedVersion(version, registry_state.read_record(repository, version))


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


def find_version(
    repository: Repository,
    reference: str | VersionReference,
    staged: StageFiles | None = None,
) -> ModelVersion:
    """The version that a reference names, as its tag tells it; rejected ones only by number. Raises
    ``UsageError`` with the near name for what does not exist, ``RegistryError`` where a stage names
    a version that this clone does not have. ``staged`` are the stage files where they were read."""
    named = parse_reference(reference) if isinstance(reference, str) else reference
    model = registry_state.known_model(repository, named.model)
    if named.stage:
        return _version_in_stage(
            repository, staged or read_stage_files(repository), model, named.stage
        )
    if not (named.version or named.key):
        return _latest_version(repository, model)
    if named.version and (version := model.find_number(named.version)):
        return version
    if named.key and (matches := model.find_key(named.key)):
        return _only_match(model, named.key, matches)
    if f"{model.name}@{named.version}" in model.lost:
        lost = registry_state.list_lost_tags(repository, [model])
        raise RegistryError(*(fault for fault in lost if f" {named} " in fault.what))
    raise _unknown_version(model, named)


def _only_match(model: Model, key: str, matches: Sequence[ModelVersion]) -> ModelVersion:
    if len(matches) > 1:
        what = f"{model.name}@{key} names {len(matches)} versions"
        raise UsageError(what, hint="give more digits")
    return matches[0]


def _unknown_version(model: Model, named: VersionReference) -> UsageError:
    last = [str(version) for version in (*model.versions, *model.candidates)][-3:]
    hint = f"the last are {', '.join(last)}"
    if named.key:
        return UsageError(f"nothing of {model.name} has the key {named.key}", hint=hint)
    near = did_you_mean(str(named.version), [str(recorded.version) for recorded in model.versions])
    return UsageError(f"there is no {named}", hint=near or hint)


def _latest_version(repository: Repository, model: Model) -> ModelVersion:
    for version in model.versions_in_standing():  # a forged tag may repeat the words of a true one
        if registry_state.has_record(repository, version):
            return version
    if model.candidates:
        waiting = ", ".join(str(candidate) for candidate in model.candidates)
        hint = f"{waiting} waits for its number: towpath push"
        raise UsageError(f"{model.name} has no version yet", hint=hint)
    if any(version.rejected is None for version in model.versions):
        what = f"no version of {model.name} in good standing was registered by Towpath"
        raise UsageError(what, hint=f"towpath verify {model.name} says what is wrong with its tags")
    raise UsageError(f"every version of {model.name} was rejected")


def _version_in_stage(
    repository: Repository, staged: StageFiles, model: Model, stage: str
) -> ModelVersion:
    stage_file = staged.find_stage_file(stage, model.name)
    if stage_file is None:
        wrong = [fault for fault in staged.faults if f"/{stage}/{model.name}." in str(fault.place)]
        if wrong:
            raise RegistryError(*wrong)
        names = [stage_file.stage for stage_file in staged.wanted if stage_file.model == model.name]
        runs = f"it runs in {', '.join(names)}" if names else "no stage runs it yet"
        hint = did_you_mean(stage, names) or runs
        raise UsageError(f"{stage} runs no {model.name}", hint=hint)
    version = model.find_number(stage_file.version)
    if version is None:
        named = f"{model.name}@{stage_file.version}"
        what = f"{stage} runs {named}, which this clone does not have"
        raise RegistryError(what, hint=registry_state.way_to_have(repository, named))
    return version
