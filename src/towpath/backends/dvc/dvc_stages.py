"""The stages of a dvc.yaml as DVC itself reads them: templates filled in, loops unrolled."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import chdir
from copy import deepcopy
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from towpath.backends.dvc.dvc_config import locate_store
from towpath.backends.dvc.dvc_remotes import open_repository
from towpath.backends.dvc.dvc_yaml import LOCK, PIPELINE
from towpath.errors import Fault, Place, UserError

_VARIABLE = re.compile(r"(?<!\\)\$\{\s*([\w.]+)\s*\}")
_PLAIN = re.compile(r"[\w./:+%@,=-]+")
_MARK = "TOWPATH{}PARAMETER"
_MARKED = re.compile(r"TOWPATH(\d+)PARAMETER")


class Variable(Struct, frozen=True):
    """``${train.lr}`` in a command: its key, and its value."""

    key: str
    value: str | int | float | bool


class DvcStage(Struct, frozen=True):
    """One stage, or one item of a loop, of the key ``entry`` under `stages`. ``data`` is as DVC's
    schema has it, ``commands`` are command lines, each as text and variables in turn."""

    name: str
    entry: str
    data: Mapping[str, Any]
    commands: tuple[tuple[str | Variable, ...], ...]


class DvcFile(Struct, frozen=True):
    """A dvc.yaml: its folder from the project's root, its stages, its other top-level keys, and
    the paths of outputs, from its own folder, that its lock file knows as folders."""

    folder: str
    stages: tuple[DvcStage, ...]
    others: tuple[str, ...] = ()
    folders: frozenset[str] = field(default_factory=frozenset)


def read_dvc_file(root: Path, path: Path) -> DvcFile:
    """What a dvc.yaml of a project declares; UserError where DVC does not understand it."""
    shown = os.path.relpath(path, root)
    if not path.is_file():
        raise UserError(f"there is no {shown}", hint="name the dvc.yaml whose stages are meant")
    if path.name != PIPELINE:
        hint = f"it takes the stages of a {PIPELINE}; docs/adopt.md has the other ways"
        raise UserError(f"{shown} is no {PIPELINE}", hint=hint)
    layout = locate_store(path.parent)
    repository = open_repository(layout)
    from dvc.exceptions import DvcException
    from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

    try:
        # DVC's reader of templates takes paths from the working directory.
        with chdir(repository.root_dir):
            return _read_stages(repository, root, path)
    except YAMLSyntaxError as error:
        cause = error.exc.__cause__
        mark = getattr(cause, "problem_mark", None)
        what = f"it is no YAML: {getattr(cause, 'problem', None) or _error_words(error)}"
        raise UserError(Fault(what, Place(shown, mark.line + 1 if mark else 0))) from error
    except YAMLValidationError as error:
        what = f"DVC does not understand it: {_error_words(error.exc)}"
        raise UserError(Fault(what, Place(shown))) from error
    except (DvcException, ValueError, TypeError, KeyError) as error:
        # The last three are DVC's own, of what its schema lets through.
        what = f"DVC does not understand it: {_error_words(error)}"
        raise UserError(Fault(what, Place(shown))) from error


def _error_words(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _read_stages(repository: Any, root: Path, path: Path) -> DvcFile:
    from dvc.dvcfile import load_file
    from dvc.parsing import DataResolver

    # `DataResolver` is no public part of DVC (3.67), but it alone knows loops and `vars`.
    data = load_file(repository, os.fspath(path)).load()
    folder = os.path.relpath(path.parent, repository.root_dir)
    resolver = DataResolver(repository, folder, deepcopy(data))
    stages = resolver.resolve()["stages"] or {}
    variables = _Variables(resolver.context, frozenset(_fixed_keys(data)))
    # DVC fills variables in and forgets them: a mark in their place survives, and is found again.
    marked = variables.mark_commands(data)
    with_marks = DataResolver(repository, folder, marked).resolve()["stages"] or {}
    own = os.path.relpath(path.parent, root)
    return DvcFile(
        folder="" if own == "." else own,
        stages=tuple(
            DvcStage(
                name, name.partition("@")[0] if name not in data["stages"] else name, stage,
                tuple(map(variables.split_text, _command_lines(with_marks[name]["cmd"]))),
            )
            for name, stage in stages.items()
        ),
        others=tuple(key for key in data if key not in ("stages", "vars")),
        folders=frozenset(_folder_outputs(path.with_name(LOCK))),
    )  # fmt: skip


def _fixed_keys(data: Any, is_command: bool = False) -> Iterator[str]:
    """The keys of variables outside of commands: a path that they are in has to stay as it is."""
    if isinstance(data, str) and not is_command:
        yield from _VARIABLE.findall(data)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _fixed_keys(str(key))
            yield from _fixed_keys(value, is_command or key == "cmd")
    elif isinstance(data, list):
        for value in data:
            yield from _fixed_keys(value, is_command)


def _command_lines(command: Any) -> list[str]:
    return [str(line) for line in command] if isinstance(command, list) else [str(command)]


class _Variables(Struct):
    """Variables of commands that are parameters: marked before DVC fills in the rest."""

    context: Any
    fixed: frozenset[str]
    known: list[Variable] = field(default_factory=list)

    def mark_commands(self, data: Mapping[str, Any]) -> dict[str, Any]:
        marked_data: dict[str, Any] = deepcopy(dict(data))
        for stage in marked_data.get("stages", {}).values():
            inner = stage.get("do", stage) if isinstance(stage, dict) else {}
            if "vars" not in inner and "cmd" in inner:
                lines = inner["cmd"]
                is_list = isinstance(lines, list)
                marked = [
                    _VARIABLE.sub(self._replace_match, line)
                    for line in (lines if is_list else [lines])
                ]
                inner["cmd"] = marked if is_list else marked[0]
        return marked_data

    def _replace_match(self, match: re.Match[str]) -> str:
        value = self._plain_value(match[1])
        if value is None:
            return match[0]
        self.known.append(Variable(match[1], value))
        return _MARK.format(len(self.known) - 1)

    def _plain_value(self, key: str) -> str | int | float | bool | None:
        from dvc.parsing.context import ContextError

        if key in self.fixed or key.partition(".")[0] in ("item", "key"):
            return None
        try:
            value = self.context.select(key, unwrap=True)
        except (ContextError, KeyError, TypeError):  # DVC itself will say that it is not there
            return None
        is_word = isinstance(value, str) and _PLAIN.fullmatch(value)
        return value if is_word or isinstance(value, int | float) else None

    def split_text(self, text: str) -> tuple[str | Variable, ...]:
        pieces = _MARKED.split(text)
        return tuple(
            self.known[int(piece)] if index % 2 else piece
            for index, piece in enumerate(pieces)
            if index % 2 or piece
        )


def _folder_outputs(lock: Path) -> Iterator[str]:
    from dvc.utils.serialize import load_yaml

    if not lock.is_file():
        return
    stages = (load_yaml(os.fspath(lock)) or {}).get("stages") or {}
    for stage in stages.values():
        for row in stage.get("outs") or ():
            if str(row.get("md5", "")).endswith(".dir"):
                yield str(row["path"])


def read_values(path: Path) -> Any:
    """What a file of parameters holds, as DVC reads it; None where it is not there."""
    from dvc.utils.serialize import ParseError, load_path

    if not path.is_file():
        return None
    try:
        from dvc.fs import localfs

        return load_path(os.fspath(path), localfs)
    except (ParseError, OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read: {_error_words(error)}") from error
