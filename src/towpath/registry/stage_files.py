"""Which version each stage should run: the small stage files on the main branch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from towpath import documents
from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.config.digests import describe
from towpath.config.foreign_values import is_model_name
from towpath.errors import Fault, Place
from towpath.registry.version_number import Version

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.registry.ownership import Owners

FOLDER = "registry/stages"

_PATH = re.compile(rf"{FOLDER}/(?P<stage>[^/]+)/(?P<model>[^/]+)\.yaml")
_STAGES = re.compile(r"^stages:.*\n(?:(?:[ \t#-].*)?\n)*", re.MULTILINE)
_NAME = re.compile(
    r"""(?:^ {1,4}|^ *- |[\[,] *)["']?([a-z][a-z0-9_-]*)["']?(?=:|\s*$|\s*[,\]])""", re.MULTILINE
)
KEYS = ("model", "version", "sha256", "replaces")


@dataclass(frozen=True)
class Wanted:
    """One stage file: the version of a model that a stage should run, and the one it replaced."""

    stage: str
    model: str
    version: Version
    sha256: str
    replaces: Version | None = None


@dataclass(frozen=True)
class Stages:
    """What all stages should run, and what is wrong with files that cannot be understood."""

    wanted: tuple[Wanted, ...] = ()
    faults: tuple[Fault, ...] = ()

    def of(self, model: str, version: Version | None) -> tuple[str, ...]:
        """The stages that should run a version."""
        return tuple(self._stages.get((model, version), ()))

    @cached_property
    def _stages(self) -> Mapping[tuple[str, Version | None], list[str]]:
        found: defaultdict[tuple[str, Version | None], list[str]] = defaultdict(list)
        for one in self.wanted:
            found[one.model, one.version].append(one.stage)
        return found

    def at(self, stage: str, model: str) -> Wanted | None:
        """What a stage should run of a model."""
        found = (one for one in self.wanted if one.stage == stage and one.model == model)
        return next(found, None)


def path(stage: str, model: str) -> str:
    """Where a stage file lies, from the repository's root."""
    return f"{FOLDER}/{stage}/{model}.yaml"


def place(path: str) -> tuple[str, str] | None:
    """The stage and the model of a stage file, by its path; None where the path is none's."""
    found = _PATH.fullmatch(path)
    return (found["stage"], found["model"]) if found else None


def read(path: str, text: str) -> Wanted | Fault:
    """What a stage file says, or what is wrong with it."""
    found = _PATH.fullmatch(path)
    return _wanted(path, found, text) if found else Fault("this is no stage file", Place(path))


def write(wanted: Wanted) -> str:
    """A stage file as Towpath writes it."""
    facts = {"model": wanted.model, "version": str(wanted.version), "sha256": wanted.sha256}
    before = {"replaces": str(wanted.replaces)} if wanted.replaces else {}
    return documents.dump({**facts, **before})


def undeclared(found: Stages, project: Project, owners: Owners, folder: str) -> tuple[Fault, ...]:
    """Stage files of stages that the project does not declare: nothing makes them so any more."""
    mine = (one for one in found.wanted if owners.owns(folder, one.model))
    return tuple(
        Fault(
            f"it wants {one.model}@{one.version} in `{one.stage}`, and no such stage is declared",
            Place(path(one.stage, one.model)),
            hint=(
                f"declare `{one.stage}` in towpath.yaml again; before it goes, "
                f"towpath demote {one.model} --stage {one.stage}"
            ),
        )
        for one in mine
        if one.stage not in project.stages
    )


def stages(repository: Repository, main: str | None = None) -> Stages:
    """The stage files on ``main`` (default: the main branch, as far as this clone knows it); none
    before the first commit."""
    commit = main or main_branch.seen(repository)
    if commit is None:
        return Stages()
    listed = commit_history.list_paths(repository, commit, f"{FOLDER}/")
    places = {path: found for path in listed if (found := _PATH.fullmatch(path))}
    policy = f"{commit}:towpath.yaml"
    contents = refs.contents(repository, [*(f"{commit}:{path}" for path in places), policy])
    order = _ladder(contents.get(policy, b"").decode("utf-8", "replace"))
    # What is listed and holds no text (a submodule of that name) is a fault as an empty file is.
    texts = {p: contents.get(f"{commit}:{p}", b"").decode("utf-8", "replace") for p in places}
    read = [_wanted(path, places[path], text) for path, text in texts.items()]
    return Stages(
        wanted=tuple(
            sorted(
                (one for one in read if isinstance(one, Wanted)),
                key=lambda one: order.get(one.stage, len(order)),
            )
        ),
        faults=tuple(one for one in read if isinstance(one, Fault)),
    )


def _ladder(text: str) -> dict[str, int]:
    """The place of each stage in the order in which ``towpath.yaml`` names them.

    It is read by its looks, for a reader of YAML takes longer than listing all models, and only
    the order in which stages are shown hangs on it; a stage that is not seen comes last.
    """
    block = _STAGES.search(text)
    names = _NAME.findall(block[0]) if block else ["dev", "uat", "prod"]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _wanted(path: str, place: re.Match[str], text: str) -> Wanted | Fault:
    data = documents.read_flat(text) or _document(path, text)
    if isinstance(data, Fault):
        return data
    said = list(_faults(place, data))
    if said:
        return Fault(said[0], Place(path), hint="it holds model, version, sha256, replaces")
    version, replaces = (Version.parse(str(data.get(key) or "")) for key in ("version", "replaces"))
    assert version is not None
    return Wanted(place["stage"], place["model"], version, str(data["sha256"]), replaces)


def _faults(place: re.Match[str], data: Mapping[str, object]) -> Iterator[str]:
    yield from (f"unknown key `{key}`" for key in data if key not in KEYS)
    if data.get("model") != place["model"]:
        yield f"`model` is {data.get('model')}, and the file is {place['model']}'s"
    if Version.parse(str(data.get("version"))) is None:
        yield f"`version` is {data.get('version')}, which is no version"
    if data.get("replaces") is not None and Version.parse(str(data["replaces"])) is None:
        yield f"`replaces` is {describe(data['replaces'])}, which is no version"
    for what in ("model", "stage"):
        if not is_model_name(place[what]):
            yield f"{describe(place[what])} cannot be the name of a {what}"
    if not re.fullmatch(r"[0-9a-f]{64}", str(data.get("sha256"))):
        yield "`sha256` is missing or no SHA-256"


def _document(path: str, text: str) -> dict[str, object] | Fault:
    document = documents.parse(text, path)
    data = documents.plain(document.node)
    if document.faults:
        return document.faults[0]
    return data if isinstance(data, dict) else Fault("this is no stage file", Place(path))
