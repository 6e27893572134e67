"""The programs that a step starts: the variables that they are given (`PATH`, `PYTHONPATH`), and a
watch over what those of Python read of the project."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from towpath.steps import read_listener, watched_files
from towpath.steps.work_order import Order


def program_path() -> str:
    """Where a step's programs are looked for: those of its own Python's environment come first."""
    beside = str(Path(sys.executable).parent)
    return os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])


class ProgramWatch(Struct, frozen=True):
    """The watch over the programs of one step; its files stand in the step's folder."""

    order: Order
    folder: Path

    @classmethod
    def begin(cls, order: Order) -> ProgramWatch:
        """Lay out what the programs' Python imports first, which notes what they open."""
        folder = order.directory / "watch"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(read_listener.__file__, folder / "sitecustomize.py")
        return cls(order, folder)

    @property
    def _opened(self) -> Path:
        return self.folder / "opened"

    def program_environment(self, import_folders: Iterable[Path]) -> dict[str, str]:
        """This process's variables; programs of the project's environment come first, and modules
        of the project are found in these folders, as those of its functions are."""
        inherited = os.environ
        paths = [str(self.folder), *map(str, import_folders)]
        paths += filter(None, [inherited.get("PYTHONPATH")])
        return {
            **inherited,
            "PATH": program_path(),
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",  # or a log would show nothing before the end
            "PYTHONDONTWRITEBYTECODE": "1",
            read_listener.LIST: str(self._opened),
            read_listener.ROOT: str(self.order.root),
        }

    def undeclared_files(self) -> Iterator[str]:
        """What the programs read of the project that no input, place or code of the step is."""
        if not self._opened.exists():
            return
        lines = self._opened.read_text("utf-8", "replace").splitlines()
        for path in dict.fromkeys(map(_source_path, lines)):
            is_own = path not in self.order.code and (self.order.root / path).is_file()
            if is_own and watched_files.is_of_project(str(self.order.root), path):
                yield path


def _source_path(path: str) -> str:
    """The module whose compiled form a path is; any other path is its own."""
    folder, _, name = path.rpartition("/")
    if name.endswith(".pyc") and folder.rpartition("/")[2] == "__pycache__":
        return "/".join(filter(None, [folder.rpartition("/")[0], f"{name.partition('.')[0]}.py"]))
    return path
