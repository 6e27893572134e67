"""Where the module of a dotted name stands, as Python's import would find it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from functools import cached_property
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from msgspec import Struct

_SKIPPED = frozenset({"__pycache__", "node_modules"})
_TEST = re.compile(r"test_.*|.*_test\.py|conftest\.py", re.DOTALL)


class FoundModule(Struct, frozen=True):
    """A module or a folder of modules. ``runs`` are the files that an import runs, packages first;
    ``file`` is the module's own, if it has one; ``portions`` are the folders of its submodules."""

    runs: tuple[str, ...]
    file: str | None
    portions: tuple[str, ...] = ()


class ModuleFinder:
    """Looks for modules in folders, each listed once."""

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, bool]] = {}
        self._found: dict[tuple[tuple[str, ...], tuple[str, ...]], FoundModule | None] = {}

    def find_module(self, parts: Sequence[str], portions: Sequence[str]) -> FoundModule | None:
        """The module ``parts`` below one of the folders; None where there is none."""
        key = tuple(parts), tuple(portions)
        if key not in self._found:
            self._found[key] = self._find_parts(*key)
        return self._found[key]

    def _find_parts(self, parts: tuple[str, ...], portions: tuple[str, ...]) -> FoundModule | None:
        module = FoundModule((), None, portions)
        for part in parts:
            inner = self._find_part(part, module.portions)
            if inner is None:
                return None
            module = FoundModule((*module.runs, *inner.runs), inner.file, inner.portions)
        return module

    def find_longest(
        self, parts: Sequence[str], portions: Sequence[str]
    ) -> tuple[FoundModule | None, int]:
        """The module of as many leading parts as there are modules, and how many these are."""
        for count in range(len(parts), 0, -1):
            module = self.find_module(parts[:count], portions)
            if module:
                return module, count
        return None, 0

    def _find_part(self, part: str, portions: Sequence[str]) -> FoundModule | None:
        spaces = []
        for folder in portions:
            listed = self.entries(folder)
            inner = f"{folder}/{part}"
            if listed.get(part) and "__init__.py" in self.entries(inner):
                file = f"{inner}/__init__.py"
                return FoundModule((file,), file, (inner,))
            for suffix in (".py", *EXTENSION_SUFFIXES):
                if listed.get(part + suffix) is False:
                    return FoundModule((inner + suffix,), inner + suffix)
            if listed.get(part):
                spaces.append(inner)
        return FoundModule((), None, tuple(spaces)) if spaces else None

    def entries(self, folder: str) -> dict[str, bool]:
        """The names in a folder, and whether each is a folder itself."""
        if folder not in self._listed:
            try:
                with os.scandir(folder) as entries:
                    self._listed[folder] = {entry.name: entry.is_dir() for entry in entries}
            except OSError:
                self._listed[folder] = {}
        return self._listed[folder]

    def list_modules(self, folder: str) -> list[str]:
        """Every file of code below a folder: hidden ones, environments and tests apart."""
        files: list[str] = []
        for name, is_folder in sorted(self.entries(folder).items()):
            path = f"{folder}/{name}"
            if is_folder and not name.startswith(".") and name not in _SKIPPED:
                if "pyvenv.cfg" not in self.entries(path) and not Path(path).is_symlink():
                    files += self.list_modules(path)
            elif not is_folder and name.endswith(".py") and not _TEST.fullmatch(name):
                files.append(path)
        return files


class SearchPath(Struct, frozen=True, dict=True):
    """Where the imports of a step look: in ``folders`` of the project, then in ``further``.
    ``further`` is what of ``sys.path`` is neither an installed package nor Python itself, with the
    sources of editable installs: such code changes without its version changing."""

    folders: tuple[str, ...]
    further: tuple[str, ...] = ()

    @cached_property
    def all(self) -> tuple[str, ...]:
        return (*self.folders, *(folder for folder in self.further if folder not in self.folders))

    def name(self, file: str) -> str:
        """The dotted name of a module's file, seen from the nearest folder that holds it."""
        for folder in sorted(self.all, key=len, reverse=True):
            if file.startswith(folder + "/"):
                inside = file[len(folder) + 1 :].removesuffix(".py")
                return (inside.removesuffix("/__init__") or inside).replace("/", ".")
        return file


def loose_folders() -> tuple[str, ...]:
    """The folders of ``sys.path`` whose code may change without a version changing."""
    paths = (os.path.realpath(entry or os.curdir) for entry in sys.path)
    # They change only with a version: Python's own, its scripts, and this package's.
    ours = (Path(os.__file__).parent, Path(sys.executable).parent, Path(sys.prefix, "bin"), OURS)
    fixed_folders = frozenset(map(os.path.realpath, ours))
    return tuple(
        path
        for path in dict.fromkeys(paths)
        if path not in fixed_folders and Path(path).name not in _INSTALLED and Path(path).is_dir()
    )


OURS = Path(__file__).parents[2]
_INSTALLED = frozenset({"site-packages", "dist-packages", "lib-dynload"})
