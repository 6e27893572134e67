"""Lets the processes of a Dask cluster import a project's modules, as their source is now."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from distributed import SchedulerPlugin, WorkerPlugin

from towpath.steps import project_functions

# Of this process: the roots of projects whose modules it has imported, by the folders that they are
# imported from.
_known_roots: dict[str, tuple[str, ...]] = {}


class _ModulesPlugin:
    def __init__(self, root: Path, folder: str, name: str) -> None:
        self.root = root
        self.folder = folder
        self.name = name  # another one for each step: a plugin is set up once for each name


class ProjectModules(_ModulesPlugin, WorkerPlugin):
    """Of a step: where the workers look for modules of its project."""

    # Dask pickles a function by its module's name and knows no other way for what a graph holds, so
    # that a worker imports the module; and it keeps what it has imported for as long as it lives.

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask calls it so
        """Forget what was imported of this project and of others, and look here first."""
        look_for_modules(self.root, self.folder)


class SchedulerModules(_ModulesPlugin, SchedulerPlugin):
    """The same of the scheduler, which reads each graph before it hands it on."""

    async def start(self, scheduler: Any) -> None:  # noqa: ARG002 - Dask calls it so
        """Forget what was imported of this project and of others, and look here first."""
        look_for_modules(self.root, self.folder)


def look_for_modules(root: Path, folder: str) -> None:
    """Let modules of a project be imported here from now on, and forget those of before."""
    for known_root, folders in _known_roots.items():
        _forget_modules(known_root)
        sys.path[:] = [path for path in sys.path if path not in folders]
    before = set(sys.path)
    if str(root) not in _known_roots:
        project_functions.import_from_source(root)
    project_functions.make_project_importable(root, folder)
    _known_roots[str(root)] = tuple(path for path in sys.path if path not in before)
    importlib.invalidate_caches()  # a file may be newer than what was seen of its folder


def _forget_modules(root: str) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        places = [file] if file else list(getattr(module, "__path__", ()))
        if any(_is_own(Path(place), root) for place in places):
            del sys.modules[name]


def _is_own(place: Path, root: str) -> bool:
    """Whether a file is the project's, and of no package in an environment inside of it."""
    return place.is_relative_to(root) and not {"site-packages", "dist-packages"}.intersection(
        place.parts
    )
