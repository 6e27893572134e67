"""What of a project a command runs, as far as its words tell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from msgspec import Struct

from towpath.config.command_line import CommandLine
from towpath.config.source_folders import module_folders
from towpath.dependencies.module_search import ModuleFinder

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_RUNNERS = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch", "rye"})
#: Bytes of a file that a word may name and that is digested with each plan; a larger one is data,
#: which the step has to declare.
_LARGEST = 8 << 20


class Module(NamedTuple):
    """A file of Python, and the folder beside which its imports look first; both from the root.
    ``is_run``: it may be run as a program, and not only imported."""

    file: str
    folder: str = ""
    is_run: bool = False

    @classmethod
    def named(cls, root: Path, file: str) -> Module:
        """A file that was named: a script, whose imports look beside it, or a package's module."""
        folder = file.rpartition("/")[0]
        is_packaged = (root / folder / "__init__.py").exists() or folder.startswith("src/")
        return cls(file, "" if is_packaged else folder, is_run=True)


class Program(Struct, frozen=True):
    """What a command runs. ``modules`` are files of Python and ``files`` others, from the root;
    ``package`` is a module that it runs and that is not the project's. ``is_known``: a Python
    program, so that what it imports is read, and what it opens is noticed."""

    modules: tuple[Module, ...] = ()
    files: tuple[str, ...] = ()
    package: str = ""
    is_known: bool = False


def find_program(
    root: Path, line: CommandLine, workdir: str = "", apart: Iterable[str] = ()
) -> Program:
    """The program of a command that runs in ``workdir``; paths ``apart`` are data of its step."""
    words = _unwrap_runner(line.literal_words)
    named = list(_named_files(root, words, workdir, tuple(apart)))
    modules = [Module.named(root, path) for path in named if path.endswith(".py")]
    files = tuple(path for path in named if not path.endswith(".py"))
    if line.shell or not _is_python(words):
        return Program(tuple(modules), files)
    option, target = _python_target(words[1:])
    if option == "-m" and target:
        inside = _modules_called(root, workdir, target)
        package = "" if inside else target.partition(".")[0]
        return Program((*modules, *inside), files, package, is_known=True)
    script = _path_from_root(root, workdir, target) if option == "" and target else None
    is_script = any(module.file == script for module in modules)
    return Program(tuple(modules), files, is_known=is_script or option == "-c")


def _is_python(words: Sequence[str | None]) -> bool:
    return bool(words and _PYTHON.fullmatch(PurePosixPath(words[0] or "").name))


def _modules_called(root: Path, workdir: str, name: str) -> list[Module]:
    files = _module_files(root / workdir, name) or _module_files(root, name)
    return [Module(os.path.relpath(path, root), is_run=True) for path in files]


def _unwrap_runner(words: Sequence[str | None]) -> Sequence[str | None]:
    if len(words) > 2 and words[0] in _RUNNERS and words[1] == "run":
        return words[2:]
    if words and words[0] == "env":
        rest = list(words[1:])
        while rest and (rest[0] is None or re.match(r"\w+=", rest[0])):
            rest.pop(0)
        return rest
    return words


def _python_target(words: Sequence[str | None]) -> tuple[str, str | None]:
    """How Python is told what to run, and what: ``-m`` and a module, ``-c`` and code, or a file."""
    waiting = iter(words)
    for word in waiting:
        if word in ("-m", "-c"):
            return word, next(waiting, None)
        if word in _WITH_VALUE:
            next(waiting, None)
        elif word is None or not word.startswith("-"):
            return "", word
    return "", None


def _module_files(start: Path, dotted: str) -> list[str]:
    """The files that ``python -m`` runs of the project, packages first."""
    finder, folders = ModuleFinder(), [str(folder) for folder in module_folders(start)]
    module = finder.find_module(dotted.split("."), folders)
    if module is None:
        return []
    inner = finder.find_module(["__main__"], module.portions) if module.portions else None
    return [*module.runs, *(inner.runs if inner else ())]


def _named_files(
    root: Path, words: Iterable[str | None], workdir: str, apart: tuple[str, ...]
) -> Iterator[str]:
    seen_paths: set[str] = set()
    for word in words:
        path = _path_from_root(root, workdir, word) if word else None
        if not path or path in seen_paths or any(f"{path}/".startswith(f"{p}/") for p in apart):
            continue
        seen_paths.add(path)
        file = root / path
        if file.is_file() and file.stat().st_size <= _LARGEST:
            yield path


def _path_from_root(root: Path, workdir: str, word: str) -> str | None:
    """A word as a path from the root; None for one that leads out of the project."""
    if "\0" in word or len(word) > 1000:
        return None
    path = os.path.normpath(os.path.join(workdir, word))  # noqa: PTH118 - `..` may stand in it
    if os.path.isabs(path):  # noqa: PTH117
        path = os.path.relpath(path, root)
    return None if path.startswith("..") or path == "." else path.replace(os.sep, "/")


def find_missing_script(root: Path, line: CommandLine, workdir: str = "") -> str | None:
    """The script of the project that a command names as its program and that is not there.

    What stands elsewhere (on ``PATH``, outside of the project) only the machine that runs it knows.
    """
    words = _unwrap_runner(line.literal_words)
    if line.shell or not words or words[0] is None:
        return None
    script = words[0] if "/" in words[0] else None
    if _PYTHON.fullmatch(PurePosixPath(words[0]).name):
        option, target = _python_target(words[1:])
        script = target if option == "" else None
    path = _path_from_root(root, workdir, script) if script and not script.startswith("/") else None
    return script if path and not (root / path).exists() else None
