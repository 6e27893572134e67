"""A file of parameters' values: what ``params: {file: params.yaml}`` and ``--params`` read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct, field
from pydantic import ValidationError

from towpath import documents
from towpath.config.declaration import faults_of, show_value
from towpath.config.parameter_declaration import Param, list_groups, list_leaves
from towpath.errors import Fault, Place, UsageError, did_you_mean

#: The files that can be read so.
SUFFIXES = (".yaml", ".yml", ".json")


class ParameterValues(Struct, frozen=True):
    """The values of a file by dotted name, each with its line; ``faults`` are what is wrong in it.

    Every mapping is a group: a file of values declares no bounds.
    """

    file: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def is_values_path(path: str) -> bool:
    """Whether a path's extension is that of a file of values."""
    return PurePosixPath(path).suffix in SUFFIXES


def read_values_file(root: Path, path: str) -> ParameterValues:
    """The values of a file that a person names, from the project's root or anywhere else.

    UsageError where there is none, or none that can be read so.
    """
    if not is_values_path(path):
        raise UsageError(f"{path} is no file of parameters", hint="it ends in .yaml or .json")
    if not (root / path).is_file():
        hint = did_you_mean(path, _nearby_files(root, path)) or "from the project's root"
        raise UsageError(f"there is no {path}", hint=hint)
    return parse_values(documents.text_of(root / path, path), path)


def _nearby_files(root: Path, path: str) -> list[str]:
    folder = (root / path).parent
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    return [str(PurePosixPath(path).with_name(name)) for name in names if is_values_path(name)]


def parse_values(text: str, file: str) -> ParameterValues:
    """What a text holds that stands in ``file``; a file that holds nothing has no values."""
    document = documents.parse_yaml(text, file)
    node = document.node
    if document.faults:
        return ParameterValues(file, faults=document.faults)
    if not isinstance(node, documents.Mapping):
        if isinstance(node, documents.Scalar) and node.value is None:
            return ParameterValues(file)
        what = f"a file of parameters holds a mapping, not {show_value(documents.plain_data(node))}"
        return ParameterValues(file, faults=(Fault(what, Place(file, 1)),))
    leaves = [leaf for entry in node.entries for leaf in list_leaves(entry, values_alone=True)]
    faults = [
        Fault(f"the key `{part}` has a dot, which parts a parameter's names", entry.place)
        for path, entry in leaves
        for part in path
        if "." in part
    ]
    data = {".".join(path): documents.plain_data(entry.node) for path, entry in leaves}
    places = {".".join(path): entry.place for path, entry in leaves}
    # An empty group has no value of its own, and none below it.
    values = {name: value for name, value in data.items() if value != {}}
    return ParameterValues(file, values, places, tuple(dict.fromkeys(faults)))


class MergedParameters(Struct, frozen=True):
    """Declared parameters with a file's values. ``places`` are those of the parameters whose
    default is the file's; ``unnamed`` are values that the pipeline does not name."""

    params: Mapping[str, Param]
    places: Mapping[str, Place]
    unnamed: frozenset[str]
    faults: tuple[Fault, ...]


def merge_values(
    declared: Mapping[str, Param], found: ParameterValues, is_named: Callable[[str], bool]
) -> MergedParameters:
    """The parameters of a pipeline that names a file.

    A value of the file that ``is_named`` is a parameter. One that the pipeline declares without a
    default takes the file's; with a default it has that.
    """
    taken = {
        name: value for name, value in found.values.items() if name in declared or is_named(name)
    }
    params: dict[str, Param] = {}
    faults = [*found.faults, *_clash_faults(declared, found, taken)]
    for name, value in taken.items():
        own = declared.get(name)
        if own is not None and not own.required:
            continue
        try:
            params[name] = _with_default(own, value)
        except ValidationError as error:
            place = found.places[name]
            faults += faults_of(error, Param, f"parameter `{name}`", lambda *_, at=place: at)
    places = {name: found.places[name] for name in params}
    unnamed = frozenset(found.values.keys() - taken.keys())
    rest = {name: param for name, param in declared.items() if name not in params}
    return MergedParameters({**params, **rest}, places, unnamed, tuple(faults))


def _with_default(own: Param | None, value: Any) -> Param:
    if own is None:
        # Of null nothing tells what else it could be: who wants a number declares it.
        return Param(default=value) if value is not None else Param(default=None, type="string")
    return Param.model_validate({**own.model_dump(exclude_unset=True), "default": value})


def _clash_faults(
    declared: Mapping[str, Param], found: ParameterValues, taken: Mapping[str, Any]
) -> Iterator[Fault]:
    in_file, in_pipeline = list_groups(found.values), list_groups(declared)
    for name in declared:
        if name in in_file:
            place = next(found.places[n] for n in found.values if n.startswith(f"{name}."))
            what = f"`{name}` is a group in this file, and one parameter of the pipeline"
            yield Fault(what, place)
    for name in taken:
        if name in in_pipeline:
            what = f"`{name}` is one value in this file, and a group of the pipeline"
            yield Fault(what, found.places[name])
