"""A pipeline drafted from the stages of a dvc.yaml: each a step of the kind `command`."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from pydantic_core import PydanticCustomError

from towpath import documents
from towpath.backends.dvc.dvc_yaml import OWNER
from towpath.backends.dvc.tracked_files import pointer_path
from towpath.config import names_and_paths
from towpath.config.command_line import UnfitCommand, is_inside_quotes, parse_command
from towpath.config.declaration import Places
from towpath.errors import Fault, Place, UserError
from towpath.pipeline.step_faults import SETTINGS_FILES

if TYPE_CHECKING:
    from towpath.backends.dvc.dvc_stages import DvcFile, DvcStage, Variable


class DvcParameters(Struct):
    """Names and values of parameters as they are asked for; ``new_name`` makes a unique one."""

    root: Path
    new_name: Callable[[str], str]
    declared: dict[str, Any] = field(default_factory=dict)
    _names: dict[tuple[str, str], str] = field(default_factory=dict)
    _files: dict[str, Any] = field(default_factory=dict)

    def of_file(self, path: str, keys: list[str] | None) -> tuple[dict[str, str], tuple[str, ...]]:
        """Parameters by their key in a file, sections as all that stands in them; and the keys
        that have no value which a parameter can have. No keys: the whole file."""
        from towpath.backends.dvc.dvc_stages import read_values

        if path not in self._files:
            self._files[path] = read_values(self.root / path)
        whole = self._files[path]
        names: dict[str, str] = {}
        missing: list[str] = []
        for key in keys or [""]:
            leaves = list(_walk_leaves(key, _value_at(whole, key)))
            fit = [(leaf, value) for leaf, value in leaves if _is_fit(leaf, value)]
            names |= {leaf: self._declare_name(path, leaf, value) for leaf, value in fit}
            missing += [leaf for leaf, value in leaves if not _is_fit(leaf, value)]
        return names, tuple(missing)

    def of_variable(self, key: str, value: Any) -> str:
        """The parameter of a variable in a command: that of a file with the key, or its own."""
        for (_, known_key), name in self._names.items():
            if known_key == key and self.declared.get(name) == value:
                return name
        return self._declare_name("", key, value)

    def _declare_name(self, path: str, key: str, value: Any) -> str:
        if (path, key) not in self._names:
            # A variable's name, once a stage names the key of the file that the variable is from.
            shared = self._names.get(("", key))
            name = shared if shared and self.declared[shared] == value else self.new_name(key)
            self._names[path, key] = name
            self.declared[name] = {"default": None, "type": "string"} if value is None else value
        return self._names[path, key]


_NOTHING = object()


def _value_at(data: Any, key: str) -> Any:
    for part in key.split(".") if key else ():
        if isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, Mapping) and part in data:
            data = data[part]
        else:
            return _NOTHING
    return data


def _walk_leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _walk_leaves(f"{key}.{name}" if key else str(name), inner)
    else:
        yield key, value


def _is_fit(key: str, value: Any) -> bool:
    # Neither one item of a list: a key of a file's is written, its list as a whole.
    if value is _NOTHING or isinstance(value, Mapping) or any(p.isdigit() for p in key.split(".")):
        return False
    return value is None or isinstance(value, str | int | float | bool | list)


_CODE = re.compile(
    r"\.(py|ipynb|r|rmd|qmd|jl|sql|sh|bash|zsh|pl|js|ts|scala|java|go|rs|c|cpp|h|m|do|sas|stan"
    r"|yaml|yml|toml|cfg|ini|j2|jinja|md|tex)",
    re.IGNORECASE,
)
_BUILTINS = frozenset({"cd", "export", "source", ".", "set", "unset", "exec", "eval", "ulimit"})
_PLOT = ("x", "y", "title", "x_label", "y_label", "template")
_STAYS = "it stays in dvc.yaml, which DVC reads as before"
_HEAD = (
    "Each step runs the command of a DVC stage, in a folder of its own that holds what the",
    "stage depends on, at the same places. Write functions in their stead as you like.",
    "",
    "What this pipeline does not say:",
)


class PipelineDraft(Struct, frozen=True):
    """A pipeline's text and where it belongs, and what of dvc.yaml it does not say."""

    path: str
    text: str
    left_out: tuple[Fault, ...]


def draft_pipeline(root: Path, source: Path, name: str | None = None) -> PipelineDraft:
    """A pipeline that makes what the stages of a dvc.yaml make, byte for byte; UserError where
    DVC cannot read the file, or no stage of it can be drafted."""
    from towpath.backends.dvc import dvc_stages

    source = source.absolute()
    if not source.is_relative_to(root.absolute()):
        raise UserError(f"{source} is outside of {root}", hint="name a dvc.yaml of this project")
    file = dvc_stages.read_dvc_file(root.absolute(), source)
    shown = source.relative_to(root.absolute()).as_posix()
    folder = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(file.folder).name).strip("-")
    pipeline = name or folder or "training"
    try:
        names_and_paths.pipeline(pipeline)
    except PydanticCustomError as error:
        raise UserError(str((error.context or {})["what"])) from None
    return _Drafting(root.absolute(), file, shown, pipeline).draft_steps()


class _Out(Struct):
    stage: str
    name: str
    path: str
    is_folder: bool

    @property
    def place_text(self) -> str:
        return f"{self.path}/" if self.is_folder else self.path


def _is_ours(stage: DvcStage) -> bool:
    meta = stage.data.get("meta")
    return isinstance(meta, Mapping) and OWNER in meta


class _Drafting(Struct, dict=True):
    """One dvc.yaml on its way to a pipeline; names and what is left out gather on the way."""

    root: Path
    file: DvcFile
    shown: str
    pipeline: str
    names: set[str] = field(default_factory=set)
    inputs: dict[str, str] = field(default_factory=dict)
    left_out: list[Fault] = field(default_factory=list)
    outs: dict[str, _Out] = field(default_factory=dict)
    places: Places = field(default_factory=Places)

    @cached_property
    def parameters(self) -> DvcParameters:
        return DvcParameters(self.root, self._new_name)

    def draft_steps(self) -> PipelineDraft:
        text = documents.text_of(self.root / self.shown, self.shown)
        self.places = Places(documents.parse_yaml(text, self.shown).node)
        # Towpath's own stages, written after a run, are the pipelines that are there already.
        stages = [stage for stage in self.file.stages if not _is_ours(stage)]
        if not stages:
            raise UserError(f"{self.shown} has no stages of your own", hint="nothing to draft")
        running = [stage for stage in stages if not stage.data.get("frozen")]
        steps = {stage.name: self._new_name(stage.name) for stage in running}
        for stage in running:
            self._collect_outs(stage, steps[stage.name])
        drafted = {steps[s.name]: self._draft_step(s, steps[s.name]) for s in running}
        self._leave_out_others([stage for stage in stages if stage not in running])
        document = {
            "description": f"Drafted from {self.shown} by `towpath init --from`.",
            "params": self.parameters.declared,
            "inputs": self.inputs,
            "steps": drafted,
        }
        body = documents.dump_yaml({key: value for key, value in document.items() if value})
        unique = tuple(dict.fromkeys(self.left_out))
        path = f"flows/{self.pipeline}/pipeline.yaml"
        lines = [*_HEAD, *(f"  {fault}" for fault in unique)] if unique else _HEAD[:2]
        head = "".join(f"# {line}".rstrip() + "\n" for line in lines)
        return PipelineDraft(path, head + body, unique)

    def _leave_out_others(self, frozen: Iterable[DvcStage]) -> None:
        for stage in frozen:
            words = f"`frozen`: stage `{stage.entry}` is no step; what it made is an input"
            self._leave_out(words, stage, "frozen")
        for key in self.file.others:
            what = f"`{key}` at the top: {_STAYS}"
            self.left_out.append(Fault(what, self.places.find_place(key)))

    def _leave_out(self, what: str, stage: DvcStage, *loc: str | int) -> None:
        place = self.places.find_place("stages", stage.entry, *loc) or Place(self.shown)
        self.left_out.append(Fault(what, place))

    def _new_name(self, text: str, taken: set[str] | None = None) -> str:
        taken = self.names if taken is None else taken
        name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or "value"
        name = f"n{name}" if name[0].isdigit() else name
        try:
            names_and_paths.check_parameter(names_and_paths.check_argument_name(name))
        except PydanticCustomError:  # a word of Python's, or one that Prefect keeps
            name = f"{name}_value"
        unique, count = name, 2
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        taken.add(unique)
        return unique

    def _find_workdir(self, stage: DvcStage) -> str:
        path = posixpath.normpath(posixpath.join(self.file.folder, stage.data.get("wdir") or "."))
        return "" if path == "." else path

    def _path_from_root(self, stage: DvcStage, path: str) -> str | None:
        """A path of a stage from the root; None where it leads out of the project."""
        if re.match(r"\w+://|remote://|ds://", path):
            return None
        whole = posixpath.normpath(posixpath.join(self._find_workdir(stage), path))
        if posixpath.isabs(whole):
            whole = os.path.relpath(whole, self.root)
        return None if whole.startswith("..") or whole == "." else whole

    def _collect_outs(self, stage: DvcStage, step: str) -> None:
        own: set[str] = set()
        for key in ("outs", "metrics", "plots"):
            for index, row in enumerate(stage.data.get(key) or ()):
                out_path, properties = _parse_row(row)
                path = self._path_from_root(stage, out_path)
                flags = properties if isinstance(properties, Mapping) else {}
                where = f"of {out_path} in stage `{stage.entry}`"
                if flags.get("persist"):
                    what = f"`persist` {where}: a step begins without what it made before"
                    self._leave_out(what, stage, key, index)
                if flags.get("push") is False or flags.get("remote"):
                    kept = "remote" if flags.get("remote") else "push"
                    self._leave_out(f"`{kept}` {where}: {_STAYS}", stage, key, index)
                if path is None:
                    what = f"output `{out_path}` of stage `{stage.name}` is outside of the project"
                    self._leave_out(what, stage, key, index)
                elif path not in self.outs:
                    name = self._new_name(names_and_paths.output_stem(path), own)
                    self.outs[path] = _Out(step, name, path, self._is_folder(out_path, path))

    def _is_folder(self, out_path: str, path: str) -> bool:
        # Without a run and without the lock file only the name is left to go by.
        if (self.root / path).exists():
            return (self.root / path).is_dir()
        if out_path in self.file.folders:
            return True
        return out_path.endswith("/") or "." not in PurePosixPath(path).name

    def _draft_step(self, stage: DvcStage, step: str) -> dict[str, Any]:
        own = [out for out in self.outs.values() if out.stage == step]
        inputs, places, code = self._draft_deps(stage, step, {out.name for out in own})
        places |= {out.name: out.place_text for out in own}
        settings, files = self._draft_settings(stage)
        command, shell, named = self._draft_command(stage)
        # In the order in which people write a step.
        fields = {
            "description": stage.data.get("desc"),
            "kind": "command",
            "command": command,
            "shell": shell or None,
            "workdir": self._find_workdir(stage) or None,
            "inputs": inputs,
            "params": sorted({*named, *_setting_names(settings)}),
            "outputs": dict(self._draft_outputs(stage, own)),
            "metrics": [out.name for out in own if self._is_metric(stage, out)],
            "places": places,
            "settings": settings,
            "code": sorted({*code, *files}),
            "cache": False if stage.data.get("always_changed") else None,
        }
        if stage.data.get("meta"):
            self._leave_out(f"`meta` of stage `{stage.entry}`: {_STAYS}", stage, "meta")
        # What no dependency names its folder does not hold, so a command without code is whole.
        kept = {key: value for key, value in fields.items() if value not in (None, [], {})}
        return kept if places or settings else {**kept, "code": fields["code"]}

    def _draft_deps(
        self, stage: DvcStage, step: str, taken: set[str]
    ) -> tuple[dict[str, str], dict[str, str], list[str]]:
        inputs: dict[str, str] = {}
        places: dict[str, str] = {}
        code: list[str] = []
        for index, dependency in enumerate(stage.data.get("deps") or ()):
            path = self._path_from_root(stage, dependency)
            if path is None:
                what = f"dependency `{dependency}` of stage `{stage.name}` is outside of the"
                what += " project: `dvc import-url` brings it in"
                self._leave_out(what, stage, "deps", index)
                continue
            outs = [out for out in self._outs_near(path) if out.stage != step]
            for out in outs:
                name = self._new_name(out.name, taken)
                inputs[name], places[name] = f"{out.stage}.{out.name}", out.place_text
            if not outs and self._is_code(path):
                code.append(f"{path}/" if (self.root / path).is_dir() else path)
            elif not outs:
                name = self._new_name(names_and_paths.output_stem(path), taken)
                inputs[name], places[name] = self._input_name(path), path
        return inputs, places, code

    def _outs_near(self, path: str) -> Iterator[_Out]:
        """The outputs that a path is, lies in, or holds."""
        inside = f"{path}/"
        for other, out in self.outs.items():
            if inside.startswith(f"{other}/") or other.startswith(inside):
                yield out

    def _is_code(self, path: str) -> bool:
        target = self.root / path
        if Path(pointer_path(str(target))).exists():
            return False  # what DVC keeps is data, whatever it is called
        if target.is_dir():
            return any(_CODE.fullmatch(file.suffix) for file in target.rglob("*"))
        return bool(_CODE.fullmatch(PurePosixPath(path).suffix)) and target.exists()

    def _input_name(self, path: str) -> str:
        written = f"{path}/" if (self.root / path).is_dir() else path
        for name, input_path in self.inputs.items():
            if input_path == written:  # another stage takes the same
                return name
        name = self._new_name(names_and_paths.output_stem(path))
        self.inputs[name] = written
        return name

    def _draft_settings(self, stage: DvcStage) -> tuple[dict[str, dict[str, str]], list[str]]:
        """The parameters of a stage by file and key, and files that can only be taken whole."""
        settings: dict[str, dict[str, str]] = {}
        files: list[str] = []
        for index, row in enumerate(stage.data.get("params") or ()):
            named = row if isinstance(row, Mapping) else {"params.yaml": [row]}
            for file_name, keys in named.items():
                path = self._path_from_root(stage, file_name)
                if path is None or not (self.root / path).is_file():
                    what = f"parameters of stage `{stage.name}`: there is no {file_name}"
                    self._leave_out(what, stage, "params", index)
                    continue
                if PurePosixPath(path).suffix not in SETTINGS_FILES:
                    # A command is given a file with a run's values, which only these can hold.
                    what = f"{file_name} is code of stage `{stage.name}`: only YAML and JSON"
                    what += " are written, so its values are no parameters"
                    self._leave_out(what, stage, "params", index)
                    files.append(path)
                    continue
                names, missing = self.parameters.of_file(path, keys)
                settings.setdefault(path, {}).update(names)
                for key in missing:
                    what = f"parameter `{key}` of stage `{stage.name}` has no value in {file_name}"
                    self._leave_out(f"{what} that a parameter can have", stage, "params", index)
        return {path: keys for path, keys in settings.items() if keys}, files

    def _draft_command(self, stage: DvcStage) -> tuple[str, bool, list[str]]:
        """The command, whether it needs a shell, and the parameters that it names."""
        is_script = len(stage.commands) > 1
        names: list[str] = []

        def name_variable(variable: Variable) -> str:
            names.append(self.parameters.of_variable(variable.key, variable.value))
            return names[-1]

        # Without a shell where that will do: then no word of a file can run as a command.
        for shell in (is_script, True):
            if _is_command(_text_of(stage, "value".format, shell), shell):
                self._note_fixed(stage, shell)
                return _text_of(stage, name_variable, shell), shell, names
        # Some command can be none with a name in it: it stands there with its values as they are.
        as_values = _text_of(stage, None)
        for shell in (is_script, True):
            if _is_command(as_values, shell):
                return as_values, shell, []
        raise UserError(f"{self.shown}: the command of stage `{stage.name}` is no command")

    def _note_fixed(self, stage: DvcStage, shell: bool) -> None:
        """Say which variables are no parameters: in a script, those in quotes."""
        named = _text_of(stage, "{0.key}".format, shell)
        parts = (part for line in stage.commands for part in line)
        counts = Counter(part.key for part in parts if not isinstance(part, str))
        for key in (key for key, count in counts.items() if named.count(f"{{{key}}}") < count):
            what = f"`${{{key}}}` in quotes in the command of stage `{stage.entry}`"
            self._leave_out(f"{what}: its value as it is now stands there", stage, "cmd")

    def _draft_outputs(self, stage: DvcStage, own: list[_Out]) -> Iterator[tuple[str, Any]]:
        bases = [PurePosixPath(out.path).name for out in own]
        for out in own:
            base = PurePosixPath(out.path).name
            # `log.txt` in a step's folder is what it printed.
            path = base if bases.count(base) == 1 and base != "log.txt" else out.path
            path = f"{path}/" if out.is_folder else path
            plot = self._draft_plot(stage, out)
            yield out.name, {"path": path, "plot": plot} if plot else path

    def _draft_plot(self, stage: DvcStage, out: _Out) -> bool | dict[str, Any]:
        for index, row in enumerate(stage.data.get("plots") or ()):
            out_path, properties = _parse_row(row)
            if self._path_from_root(stage, out_path) != out.path:
                continue
            several = properties if isinstance(properties, list) else [properties]
            first = several[0] if several else {}
            unknown = [key for key in first if key not in (*_PLOT, "cache", "persist")]
            if len(several) > 1 or unknown:
                what = f"`plots` of stage `{stage.name}`: one plot of {out_path}, without "
                what += ", ".join(unknown) or "the others"
                self._leave_out(what, stage, "plots", index)
            return {key: first[key] for key in _PLOT if key in first} or True
        return False

    def _is_metric(self, stage: DvcStage, out: _Out) -> bool:
        for index, row in enumerate(stage.data.get("metrics") or ()):
            out_path, _ = _parse_row(row)
            if self._path_from_root(stage, out_path) == out.path:
                if out.path.endswith(".json"):
                    return True
                what = f"{out_path} of stage `{stage.name}` is an output and no metrics"
                self._leave_out(f"{what}: those are JSON", stage, "metrics", index)
        return False


def _text_of(stage: DvcStage, name: Callable[[Variable], str] | None, shell: bool = False) -> str:
    """The command lines, a variable in them as a parameter of this name, or as its value."""
    lines = []
    for line in stage.commands:
        text = ""
        for part in line:
            if isinstance(part, str):
                text += part.replace("{", "{{").replace("}", "}}")
            elif name and not (shell and is_inside_quotes(text)):
                text += f"{{{name(part)}}}"
            else:
                is_switch = isinstance(part.value, bool)  # `true`, as DVC writes it
                text += str(part.value).lower() if is_switch else str(part.value)
        lines.append(text)
    return "\n".join(lines)


def _parse_row(row: Any) -> tuple[str, Any]:
    """The path of an entry of `outs`, `metrics` or `plots`, and what is said of it."""
    if isinstance(row, Mapping):
        path, properties = next(iter(row.items()))
        return str(path), properties or {}
    return str(row), {}


def _is_command(text: str, shell: bool) -> bool:
    if not shell and (text.split() or [""])[0] in _BUILTINS:
        return False
    try:
        parse_command(text, shell)
    except UnfitCommand:
        return False
    return True


def _setting_names(settings: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    return chain.from_iterable(names.values() for names in settings.values())
