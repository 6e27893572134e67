"""Notes which files of a project the Python programs of a command read.

A copy of this file is the ``sitecustomize`` of a command's processes, whatever Python they are:
it knows nothing but the standard library, takes its orders from the environment, and hands on to
the ``sitecustomize`` that it hides.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

# A hook that hears every file opened keeps to plain strings.
# ruff: noqa: PTH109, PTH118, PTH120

LIST = "TOWPATH_OPENED"
"""The variable that names the file to write to, a path a line."""
ROOT = "TOWPATH_PROJECT"
"""The variable that names the project's root."""


def note_opened_files(target: str, root: str) -> None:
    """From now on write down each file below ``root`` that is opened for reading, once."""
    inside = os.path.join(os.path.realpath(root), "")
    listed = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    noted: set[str] = set()

    def hear(event: str, details: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(details[0], str | bytes):
            return
        path = os.fsdecode(details[0])
        full = os.path.normpath(os.path.join(os.getcwd(), path))
        if full in noted:
            return
        real = full if full.startswith(inside) else os.path.realpath(full)
        if not real.startswith(inside):
            return
        noted.add(full)  # what it writes itself first is no input of its
        flags = details[2] if isinstance(details[2], int) else 0
        if flags & os.O_ACCMODE != os.O_WRONLY and not flags & os.O_TRUNC:
            os.write(listed, os.fsencode(real[len(inside) :].replace("\n", "\\n")) + b"\n")

    sys.addaudithook(hear)


def hand_on() -> None:
    """Run the ``sitecustomize`` that stands behind this one on the path, if there is one."""
    own_folder = os.path.dirname(os.path.realpath(__file__))
    further = [path for path in sys.path if os.path.realpath(path) != own_folder]
    sys.path[:] = further
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", further)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    if os.environ.get(LIST) and os.environ.get(ROOT):
        note_opened_files(os.environ[LIST], os.environ[ROOT])
    hand_on()
