"""Whether a step left a trace in its process, so that another step must not be given the same.

A step gets a fresh process, with one exception: to fork costs some milliseconds, which is more
than many a small step takes. So a process is used again after a step that was light and left
everything as it was, as far as a look from outside can tell; any doubt ends it.
"""

from __future__ import annotations

import functools
import os
import resource
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

_LIGHT = 0.05
"""Seconds of CPU, above which a fork is no cost worth saving."""

_SMALL = 16 * 1024
"""What ru_maxrss may grow by, in its own unit: kilobytes on Linux."""


@dataclass(frozen=True)
class Traces:
    """What a process was like before a step."""

    root: Path
    cpu: float
    peak: int
    environment: dict[bytes, bytes]
    globals: dict[str, dict[str, Any]]

    @classmethod
    def before(cls, root: Path) -> Traces:
        """Take note of this process; ``root`` is where the project's modules are from."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        known = {module.__name__: _shallow(module) for module in _modules_of(root)}
        cpu = used.ru_utime + used.ru_stime
        return cls(root, cpu, used.ru_maxrss, dict(os.environb), known)

    def again(self) -> Traces:
        """The same process before its next step, where none were left by the last."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return replace(self, cpu=used.ru_utime + used.ru_stime, peak=used.ru_maxrss)

    def none_left(self) -> bool:
        """Whether the step since then was light and changed nothing that can be seen."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return (
            used.ru_utime + used.ru_stime - self.cpu < _LIGHT
            and used.ru_maxrss - self.peak < _SMALL
            and threading.active_count() == 1
            and dict(os.environb) == self.environment
            and self._same_modules()
            and not _has_children()
        )

    def _same_modules(self) -> bool:
        """Whether no module of the project is new or changed; libraries may have come."""
        modules = {module.__name__: module for module in _modules_of(self.root)}
        same = modules.keys() == self.globals.keys()
        return same and all(_same(module, self.globals[name]) for name, module in modules.items())


def _modules_of(root: Path) -> list[ModuleType]:
    return [sys.modules[name] for name in _names(root, len(sys.modules)) if name in sys.modules]


@functools.lru_cache(1)
def _names(root: Path, _count: int) -> tuple[str, ...]:
    """The project's modules; looked for again only when there are more modules than before."""
    start = f"{root}{os.sep}"
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return tuple(
        name
        for name, file in files.items()
        if file and file.startswith(start) and "site-packages" not in file
    )


def _shallow(module: ModuleType) -> dict[str, Any]:
    """The module's globals, with a copy of what can be changed in place."""
    return {
        name: value.copy() if type(value) in (dict, list, set) else value
        for name, value in vars(module).items()
        if name != "__builtins__"
    }


def _same(module: ModuleType, held: dict[str, Any]) -> bool:
    now = _shallow(module)
    return now.keys() == held.keys() and all(_unchanged(now[name], held[name]) for name in held)


def _unchanged(now: Any, held: Any) -> bool:
    if now is held:
        return True
    if type(now) is not type(held) or type(now) not in (dict, list, set) or len(now) != len(held):
        return False
    if isinstance(now, set):
        return bool(now == held)
    pairs = zip(_flat(now), _flat(held), strict=True)
    return all(one is other for one, other in pairs)


def _flat(container: Any) -> Iterator[Any]:
    if isinstance(container, dict):
        for key, value in container.items():
            yield key
            yield value
    else:
        yield from container


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
