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
from towpath.registry.stage_files import Stages, stages
from towpath.registry.version_number import Version
from towpath.registry.version_record import Record
from towpath.registry.version_reference import Reference


@dataclass(frozen=True)
class Found:
    """A version and its record."""

    version: ModelVersion
    record: Record


def get(repository: Repository, reference: str | Reference) -> Found:
    """The version that a reference names, with its record."""
    version = find(repository, reference)
    return Found(version, read_record(repository, version))


def read_incumbent(repository: Repository, main: str, model: str, version: Version) -> Record:
    """The record of a version that a stage runs, or is to leave it.

    Where its tag or its commit is lost it is read from main's own copy, so that no stage is held
    to a version that nobody has. Raises ``RegistryError`` where main has none.
    """
    try:
        return get(repository, Reference(model, version)).record
    except TowpathError:
        path = records.place(model, version)
        content = refs.contents(repository, [f"{main}:{path}"]).get(f"{main}:{path}")
        if content is None:
            raise
        return records.read(content.decode("utf-8", "replace"), path)


def find(repository: Repository, reference: str | Reference) -> ModelVersion:
    """The version that a reference names, as its tag tells it; rejected ones only by number.

    Raises ``UsageError`` with the near name for what does not exist, ``RegistryError`` where a
    stage names a version that this clone does not have.
    """
    asked = version_reference.parse(reference) if isinstance(reference, str) else reference
    return chosen(
        known_model(repository, asked.model),
        asked,
        lambda: stages(repository),
        partial(has_record, repository),
        partial(way_to_have, repository),
    )


def chosen(
    model: Model,
    asked: Reference,
    staged: Callable[[], Stages],
    holds: Callable[[ModelVersion], bool] = bool,
    way: Callable[[str], str] = "towpath restore {}".format,
) -> ModelVersion:
    """The version of ``model`` that is asked for, as ``find``.

    ``staged`` is called for a stage, ``holds`` to ask whether a version's commit has its record,
    ``way`` to say how one that is lost comes back.
    """
    if asked.stage:
        return _staged(staged(), model, asked.stage, way)
    if asked.version:
        return _numbered(model, asked.version)
    return _keyed(model, asked.key) if asked.key else _latest(model, holds)


def _numbered(model: Model, number: Version) -> ModelVersion:
    if version := model.at(number):
        return version
    known = [str(one.version) for one in model.versions]
    hint = did_you_mean(str(number), known) or _there_is(model)
    raise UsageError(f"there is no {model.name}@{number}", hint=hint)


def _latest(model: Model, holds: Callable[[ModelVersion], bool]) -> ModelVersion:
    for version in model.standing():  # a forged tag may repeat the words of a true one
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


def _keyed(model: Model, key: str) -> ModelVersion:
    found = model.keyed(key)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{model.name}@{key} names {len(found)} versions", hint="give more digits")
    raise UsageError(f"nothing of {model.name} has the key {key}", hint=_there_is(model))


def _staged(found: Stages, model: Model, stage: str, way: Callable[[str], str]) -> ModelVersion:
    wanted = found.at(stage, model.name)
    if wanted is None:
        wrong = [fault for fault in found.faults if f"/{stage}/{model.name}." in str(fault.place)]
        if wrong:
            raise RegistryError(*wrong)
        raise UsageError(f"{stage} runs no {model.name}", hint=_elsewhere(found, stage, model.name))
    version = model.at(wanted.version)
    if version is None:
        what = f"{stage} runs {model.name}@{wanted.version}, which this clone does not have"
        raise RegistryError(what, hint=way(f"{model.name}@{wanted.version}"))
    return version


def _elsewhere(found: Stages, stage: str, model: str) -> str:
    names = [one.stage for one in found.wanted if one.model == model]
    if near := did_you_mean(stage, names):
        return near
    return f"it runs in {', '.join(names)}" if names else "no stage runs it yet"


def _there_is(model: Model) -> str:
    last = [str(version) for version in (*model.versions, *model.candidates)][-3:]
    return f"the last are {', '.join(last)}"
