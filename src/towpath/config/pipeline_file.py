"""A pipeline's file: what it declares, every fault at once, and what is sound in spite of them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from towpath import documents
from towpath.config import names_and_paths
from towpath.config.declaration import (
    NO_PLACES,
    Declaration,
    Places,
    declared_keys,
    faults_of,
    show_value,
)
from towpath.config.file_declaration import Input
from towpath.config.format_names import FORMAT_NAMES
from towpath.config.parameter_declaration import (
    PREFIX,
    EnvironmentDeclaration,
    Param,
    empty_mapping,
    list_leaves,
    short_form,
    strip_prefix,
)
from towpath.config.pipeline_declaration import (
    KINDS,
    Pipeline,
    Step,
)
from towpath.config.values_file import (
    ParameterValues,
    is_values_path,
    merge_values,
    parse_values,
)
from towpath.errors import DeclarationError, Fault, Place, did_you_mean

SECTIONS = ("params", "inputs", "for", "formats", "steps")
_KEYS = ("description", *SECTIONS)
#: The sections whose names have a grammar of their own.
_OWN_NAMES: Mapping[str, Callable[[str], str]] = {
    "for": names_and_paths.run_environment, "formats": names_and_paths.own_format_name,
}  # fmt: skip
NO_FORMATS: Mapping[str, str] = MappingProxyType({})
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
#: What a reference begins with that is of no section: its values are there in every pipeline.
RESERVED = (PREFIX, "run")
ReadText = Callable[[str], str]


class DeclaredPipeline(Struct, frozen=True):
    """What a pipeline's file declares, or a pipeline that was made in Python.

    ``pipeline`` holds what could be read. ``malformed`` names parameters, inputs and steps that
    are declared and could not be: nothing is said of references to them. ``mentioned`` are the
    words in those, which may be uses of a parameter or an input. ``blind`` is true where so much
    is unreadable that an unknown name proves nothing. ``project_formats`` are the formats of its
    own that the project declares, by name. ``file_params`` are the parameters whose default stands
    in the file ``param_file``, with its line; ``unnamed_values`` what else that file holds.
    ``bodies`` are the pipelines that steps carry out, by step: their parameters and inputs that the
    step does not give are the pipeline's own, under the step's name (``clean.rate``);
    ``inner_params`` are these, with the file that declares each and its name in it.
    """

    pipeline: Pipeline
    places: Places = NO_PLACES
    faults: tuple[Fault, ...] = ()
    path: str = ""
    malformed: frozenset[str] = field(default_factory=frozenset)
    mentioned: frozenset[str] = field(default_factory=frozenset)
    blind: bool = False
    project_formats: Mapping[str, str] = field(default_factory=dict)
    param_file: str = ""
    file_params: Mapping[str, Place] = field(default_factory=dict)
    unnamed_values: frozenset[str] = field(default_factory=frozenset)
    bodies: Mapping[str, DeclaredPipeline] = field(default_factory=dict)
    inner_params: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def place_of_param(self, name: str) -> Place | None:
        """Where a parameter is declared, by its dotted name."""
        return self.file_params.get(name) or self.places.find_place("params", *name.split("."))

    @property
    def param_files(self) -> dict[str, str]:
        """The file that holds a parameter's default, by parameter, where one does."""
        inner = {
            f"{step}.{name}": file
            for step, body in self.bodies.items()
            for name, file in body.param_files.items()
        }
        return {name: inner.get(name, self.param_file) for name in self.file_params}

    @property
    def own_formats(self) -> dict[str, str]:
        """The class of each format that is not Towpath's, by name; a pipeline's goes first."""
        return {**self.project_formats, **self.pipeline.formats}

    @property
    def file(self) -> str:
        """The pipeline's file from the project's root."""
        return self.path or f"{self.folder}/pipeline.yaml"

    @property
    def folder(self) -> str:
        """The pipeline's folder from the project's root, such as ``flows/training``."""
        return self.path.rpartition("/")[0] if self.path else f"flows/{self.pipeline.name}"


def read_pipeline(
    path: Path, root: Path, project_formats: Mapping[str, str] = NO_FORMATS
) -> DeclaredPipeline:
    """What ``flows/<name>/pipeline.yaml`` declares; ``root`` is the project's, as are the formats
    of its own.

    Raises DeclarationError only where there is no file to read; what is wrong in it is told by
    the answer's ``faults``.
    """
    file = path.relative_to(root).as_posix()
    text = documents.text_of(path, file)
    return parse_pipeline(text, file, project_formats, lambda other: _text_below(root, other))


def _text_below(root: Path, path: str) -> str:
    if not (root / path).is_file():
        raise DeclarationError(f"there is no {path}", hint="from the project's root")
    return documents.text_of(root / path, path)


def parse_pipeline(
    text: str,
    file: str,
    project_formats: Mapping[str, str] = NO_FORMATS,
    read_text: ReadText | None = None,
) -> DeclaredPipeline:
    """What a text declares that stands at ``file`` (``flows/training/pipeline.yaml``).

    ``read_text`` gives the text of another file of the project; without it the values of a file of
    parameters are unknown, and nothing is said of them.
    """
    return _Reader(text, file, project_formats, read_text).read_declared()


class _Item(Struct, frozen=True):
    """One entry of a section, and the last of the lines that it takes."""

    section: str
    entry: documents.DocumentEntry
    last: int

    @property
    def place(self) -> Place:
        return self.entry.place


class _Reader:
    """One reading of one file; faults and malformed names gather on the way."""

    def __init__(
        self,
        text: str,
        file: str,
        project_formats: Mapping[str, str],
        read_text: ReadText | None,
    ) -> None:
        self.file = file
        self.read_text = read_text
        self.project_formats = project_formats
        self.lines = text.splitlines()
        document = documents.parse_yaml(text, file)
        self.node = document.node
        self.places = Places(document.node)
        self.faults = list(document.faults)
        self.refused = {fault.place for fault in document.faults if fault.place}
        self.refused |= set(documents.unsound_places(document.node))
        self.malformed: set[str] = set()
        self.mentioned: set[str] = set()
        self.blind = any(place.column <= 1 for place in self.refused)

    def read_declared(self) -> DeclaredPipeline:
        parts: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        values = ParameterValues()
        for item in self._list_items():
            sound = self._read_item(item)
            if isinstance(sound, ParameterValues):
                values = sound
            elif sound is None:
                self.malformed.add(item.entry.key)
                text = "\n".join(self.lines[item.place.line - 1 : item.last])
                self.mentioned.update(_WORD.findall(text))
            elif item.section == "params":  # the parameters that one entry declares
                parts["params"] |= sound
            else:
                parts[item.section][item.entry.key] = sound
        merged = merge_values(parts["params"], values, self._names_parameter)
        parts["params"] = dict(merged.params)
        self.faults += merged.faults
        self.blind = self.blind or bool(merged.faults)
        return DeclaredPipeline(
            pipeline=self._build_pipeline(parts),
            places=self.places,
            faults=tuple(dict.fromkeys(self.faults)),
            path=self.file,
            malformed=frozenset(self.malformed),
            mentioned=frozenset(self.mentioned),
            blind=self.blind,
            project_formats=self.project_formats,
            param_file=values.file,
            file_params=merged.places,
            unnamed_values=merged.unnamed,
        )

    def _names_parameter(self, name: str) -> bool:
        """Whether a step says the name of a value of the file, of a group around it, or of a key
        in it."""
        bare, prefixed = self._step_words
        return ("." not in name and name in bare) or any(
            word == name or name.startswith(f"{word}.") or word.startswith(f"{name}.")
            for word in prefixed
        )

    @cached_property
    def _step_words(self) -> tuple[frozenset[str], frozenset[str]]:
        """The words of the steps, those without the prefix of parameters and those with it."""
        top = self._top_mapping()
        entry = top.get("steps")
        if entry is None:
            return frozenset(), frozenset()
        last = self._last_line(top.entries.index(entry), top, len(self.lines))
        words = set(_DOTTED.findall("\n".join(self.lines[entry.place.line - 1 : last])))
        bare = frozenset(word for word in words if word == strip_prefix(word))
        return bare, frozenset(map(strip_prefix, words - bare))

    def _build_pipeline(self, parts: dict[str, dict[str, Any]]) -> Pipeline:
        description = None
        entry = self._top_mapping().get("description")
        if entry and isinstance(entry.node, documents.Scalar) and isinstance(entry.node.value, str):
            description = entry.node.value
        elif entry and entry.place not in self.refused:
            what = f"`description` must be text, not {show_value(documents.plain_data(entry.node))}"
            self._note_fault(what, entry.place)
        name = Path(self.file).parent.name
        self._apply_grammar(Place(self.file), "", names_and_paths.pipeline, name)
        # Its parts are validated; to build the type of the whole would double a command's start.
        fields: dict[str, Any] = {"name": name, "description": description, **parts}
        fields["environments"] = fields.pop("for")
        return Pipeline.model_construct(**fields)

    def _top_mapping(self) -> documents.Mapping:
        if isinstance(self.node, documents.Mapping):
            return self.node
        return documents.Mapping((), self.node.place)

    def _list_items(self) -> Iterator[_Item]:
        """The entries of all sections; what is wrong above them is noted."""
        if not isinstance(self.node, documents.Mapping):
            self.blind = True
            if not self.faults:  # else it is no YAML, which says why there is no mapping
                what = "the file must hold a mapping with `steps`"
                self._note_fault(what, Place(self.file, 1), "see docs/pipeline.md")
            return
        for position, entry in enumerate(self.node.entries):
            if entry.key in SECTIONS:
                last = self._last_line(position, self.node, len(self.lines))
                yield from self._section_items(entry, last)
            elif entry.key not in _KEYS:
                self._note_unknown_key(entry)
        if not self.node.get("steps") and not self.blind:  # `steps: {}` is yet to be written
            self._note_fault("the pipeline has no steps", Place(self.file, 1), "add `steps:`")

    def _note_fault(self, what: str, place: Place, hint: str | None = None) -> None:
        self.faults.append(Fault(what, place, hint))

    def _note_unknown_key(self, entry: documents.DocumentEntry) -> None:
        self.blind = True  # it may be a section mistyped, with the names that seem to be missing
        hint = did_you_mean(entry.key, _KEYS)
        if entry.key == "name":
            hint = "remove it: the folder is the pipeline's name"
        if entry.key in ("environment", "environments"):
            hint = "environments are declared under `for`"
        self._note_fault(f"a pipeline has no key `{entry.key}`", entry.place, hint)

    @cached_property
    def _known_formats(self) -> tuple[str, ...]:
        """The names that a `format:` may have; those declared here count though they be wrong."""
        declared = self._top_mapping().get("formats")
        own = documents.plain_data(declared.node) if declared else None
        names = own if isinstance(own, Mapping) else ()
        return tuple(dict.fromkeys([*FORMAT_NAMES, *self.project_formats, *names]))

    def _section_items(self, section: documents.DocumentEntry, last: int) -> Iterator[_Item]:
        node = section.node
        if not isinstance(node, documents.Mapping):
            self.blind = True
            if node.place not in self.refused:
                written = show_value(documents.plain_data(node))
                hint = f"write `{section.key}:` and below it, indented, `name: ...`"
                what = f"`{section.key}` must be a mapping, not {written}"
                self._note_fault(what, section.place, hint)
            return
        for position, entry in enumerate(node.entries):
            yield _Item(section.key, entry, self._last_line(position, node, last))

    @staticmethod
    def _last_line(position: int, parent: documents.Mapping, last: int) -> int:
        # The one before its next sibling, or the parent's last: a node knows only where it begins.
        if position + 1 == len(parent.entries):
            return last
        entry, following = parent.entries[position : position + 2]
        return max(entry.place.line, following.place.line - 1)

    def _read_item(self, item: _Item) -> Any:
        # What the document was refused for is not said again by the types.
        before = len(self.faults)
        sound = self._is_named(item) and _READERS[item.section](self, item)
        inside = [p for p in self.refused if item.place.line <= p.line <= item.last]
        self.faults[before:] = [f for f in self.faults[before:] if f.place not in inside]
        return None if inside else sound or None

    def _is_named(self, item: _Item) -> bool:
        name = item.entry.key
        if grammar := _OWN_NAMES.get(item.section):
            return self._apply_grammar(item.place, "", grammar, name) is not None
        if name in RESERVED:
            what = f"`{name}` cannot be a name: references begin with it"
            self._note_fault(what, item.place, f"write `{name}_`")
            return False
        if item.section == "inputs":  # which are parameters of the flow too
            grammar = names_and_paths.check_parameter
            if self._apply_grammar(item.place, f"input `{name}`: ", grammar, name) is None:
                return False
        grammar = names_and_paths.check_argument_name
        return self._apply_grammar(item.place, "", grammar, name) is not None

    def _read_param(self, item: _Item) -> Any:
        if item.entry.key == "file" and isinstance(item.entry.node, documents.Scalar):
            return self._read_values(item)
        params: dict[str, Param] = {}
        faults_before = len(self.faults)
        for path, entry in list_leaves(item.entry):
            param = self._read_leaf(item, path, entry)
            if param is not None:
                params[".".join(path)] = param
        return None if len(self.faults) > faults_before else params

    def _read_leaf(
        self, item: _Item, path: tuple[str, ...], entry: documents.DocumentEntry
    ) -> Param | None:
        owner = f"parameter `{'.'.join(path)}`"
        for part in path:
            for grammar in (names_and_paths.check_argument_name, names_and_paths.check_parameter):
                if self._apply_grammar(entry.place, "", grammar, part) is None:
                    return None
        written = documents.plain_data(entry.node)
        data = self._apply_grammar(entry.place, f"{owner}: ", short_form, written)
        if data is None:
            return None
        param: Param | None = self._validate_item(item, owner, Param, data, path)
        return param

    def _read_values(self, item: _Item) -> Any:
        """The file of values that `params: {file: ...}` names."""
        path = documents.plain_data(item.entry.node)
        if not isinstance(path, str) or not is_values_path(path):
            what = f"`file` names no file of parameters: {show_value(path)}"
            hint = "write `file: params.yaml`, or `file: {default: ...}` for a parameter `file`"
            self.blind = True
            return self._note_fault(what, item.place, hint)
        path = self._apply_grammar(item.place, "", names_and_paths.check_path, path)
        if path is None:
            return None
        if self.read_text is None:
            self.blind = True
            return ParameterValues(path)
        try:
            return parse_values(self.read_text(path), path)
        except DeclarationError as error:
            self.blind = True
            return self._note_fault(error.faults[0].what, item.place, error.faults[0].hint)

    def _read_environment(self, item: _Item) -> Any:

        data = empty_mapping(documents.plain_data(item.entry.node))
        return self._validate_item(
            item, f"environment `{item.entry.key}`", EnvironmentDeclaration, data
        )

    def _read_input(self, item: _Item) -> Any:
        owner, data = f"input `{item.entry.key}`", documents.plain_data(item.entry.node)
        if isinstance(data, str):
            source = self._apply_grammar(
                item.place, f"{owner}: ", names_and_paths.check_source, data
            )
            return source and Input.model_construct(path=source)
        if isinstance(data, Mapping):
            return self._validate_item(item, owner, Input, data)
        hint = "write it in quotes" if isinstance(data, int | float) else None
        what = f"{owner} must be text, not {show_value(data)}"
        return self._note_fault(what, item.place, hint)

    def _read_format(self, item: _Item) -> Any:
        owner, data = f"format `{item.entry.key}`", documents.plain_data(item.entry.node)

        if isinstance(data, str):
            return self._apply_grammar(
                item.place, f"{owner}: ", names_and_paths.check_function, data
            )
        hint = "write `module:Class`, from the project's root"
        what = f"{owner} must be text, not {show_value(data)}"
        return self._note_fault(what, item.place, hint)

    def _apply_grammar(
        self, place: Place, owner: str, grammar: Callable[[Any], Any], data: Any
    ) -> Any:
        """What a small grammar makes of data, or None where it refuses."""
        try:
            return grammar(data)
        except PydanticCustomError as error:
            context = error.context or {}
            return self._note_fault(owner + context["what"], place, context["hint"])

    def _read_step(self, item: _Item) -> Any:
        step = f"step `{item.entry.key}`"
        if not isinstance(item.entry.node, documents.Mapping):
            hint = "write `run:` and the rest below it"
            return self._note_fault(f"{step} must be a mapping", item.place, hint)
        kind = item.entry.node.get("kind")
        word = documents.plain_data(kind.node) if kind else "processing"
        model = KINDS.get(word) if isinstance(word, str) else None
        if model is None:
            hint = did_you_mean(str(word), KINDS) or f"the kinds are {', '.join(KINDS)}"
            place = kind.place if kind else item.place
            return self._note_fault(f"{show_value(word)} is no kind of step", place, hint)
        if kind is None and (kind_meant := _kind_meant(item.entry.node)):
            hint = f"write `kind: {kind_meant}`"
            return self._note_fault(f"{step} does not say its kind", item.place, hint)
        data = documents.plain_data(item.entry.node)
        return self._validate_item(item, f"{step} ({word})", model, data)

    def _validate_item(
        self,
        item: _Item,
        owner: str,
        model: type[Declaration],
        data: Any,
        path: tuple[str, ...] = (),
    ) -> Any:
        try:
            context = {"formats": self._known_formats}
            return model.model_validate(data, by_alias=True, by_name=False, context=context)
        except ValidationError as error:
            keys = path or (item.entry.key,)
            locate = partial(self.places.find_place, item.section, *keys)
            faults = faults_of(error, model, owner, locate)
            self.faults.extend(_with_kind(fault, model) for fault in faults)
            return None


_READERS: dict[str, Callable[[_Reader, _Item], Any]] = {
    "params": _Reader._read_param,
    "inputs": _Reader._read_input,
    "for": _Reader._read_environment,
    "formats": _Reader._read_format,
    "steps": _Reader._read_step,
}


#: Why a kind is not made for each item, and what does what may be meant.
_MADE_ONCE = {
    "condition": "a run takes one branch: a step that raises leaves its cell out, with `may_fail`",
    "fail": "it ends the whole run: a step that raises fails its own cell",
    "stop": "it ends the whole run, once",
    "notify": "it tells once, of all cells: `{score.score[0].value.mse}` is one of them",
    "callback": "it asks once, for all cells: `answers` may hold a value for each",
}


def _kind_meant(node: documents.Mapping) -> str | None:
    # Of a step that names neither kind nor function: to say that `run` is missing would mislead.
    written = {entry.key for entry in node.entries}
    foreign = written - set(declared_keys(KINDS["processing"]))
    if not foreign or "run" in written:
        return None
    kinds = (kind for kind, model in KINDS.items() if foreign <= set(declared_keys(model)))
    return next(kinds, None)


def _with_kind(fault: Fault, model: type[Any]) -> Fault:
    match = re.search(r"has no key `(\w+)`$", fault.what)
    if not match or not issubclass(model, Step):
        return fault
    if not fault.what.startswith("step `"):  # of something inside the step
        return fault
    if match[1] == "each" and (why := _MADE_ONCE.get(str(model.model_fields["kind"].default))):
        return Fault(fault.what, fault.place, why)
    if fault.hint:
        return fault
    kinds = [kind for kind, other in KINDS.items() if match[1] in declared_keys(other)]
    own = f"it has {', '.join(declared_keys(model))}"
    belongs = f"`{match[1]}` belongs to {', '.join(kinds)}"
    return Fault(fault.what, fault.place, belongs if kinds else own)


# What pipelines' files declare, kept by who reads them again and again.

_MOST_KEPT = 2000
_SETTLED = 2.0  # seconds: what was written just now may be written again at the same time


class _KeptPipeline(Struct, frozen=True):
    signs: tuple[object, ...]
    declared: DeclaredPipeline


class PipelineFileMemory(Struct):
    """The declarations of pipelines by their files' times and sizes."""

    _kept: dict[Path, _KeptPipeline] = field(default_factory=dict)

    def read_pipeline_file(
        self, path: Path, root: Path, project_formats: Mapping[str, str]
    ) -> DeclaredPipeline:
        """As ``read_pipeline`` gives it. One with faults is read each time: what its text names
        may be in any file."""
        kept = self._kept.get(path)
        if kept and kept.signs == _sign_declaration(kept.declared, path, root, project_formats):
            return kept.declared
        self._kept.pop(path, None)
        before = _sign_file(path)
        declared = read_pipeline(path, root, project_formats)
        signs = _sign_declaration(declared, path, root, project_formats)
        newest = max((sign[0] for sign in signs[1:] if isinstance(sign, tuple)), default=0)
        is_settled = signs[1] == before and time.time_ns() - newest > _SETTLED * 1e9
        if is_settled and not declared.faults:
            self._kept[path] = _KeptPipeline(signs, declared)
            for oldest in list(self._kept)[:-_MOST_KEPT]:
                self._kept.pop(oldest, None)
        return declared


def _sign_declaration(
    declared: DeclaredPipeline, path: Path, root: Path, project_formats: Mapping[str, str]
) -> tuple[object, ...]:
    files = [path, *([root / declared.param_file] if declared.param_file else [])]
    return (dict(project_formats), *map(_sign_file, files))


def _sign_file(path: Path) -> tuple[int, int, int]:
    """What tells that a file was written anew: when, how long it is, and which one it is."""
    try:
        status = os.stat(path)  # noqa: PTH116 (of five hundred files at each request)
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
