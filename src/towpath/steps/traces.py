"""Whether a step left a trace in its process, so that another step must not be given the same.

A step gets a fresh process, with one exception: to fork costs some milliseconds, which is more
than many a small step takes. So a process is used again after a step that was light, whose code
has no means to leave anything behind, and that left everything as it was; any doubt ends it.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from towpath.steps import stateless

_LIGHT = 0.05
"""Seconds of CPU, above which a fork is no cost worth saving."""

_SMALL = 16 * 1024
"""What ru_maxrss may grow by, in its own unit: kilobytes on Linux."""


@dataclass(frozen=True)
class Traces:
    """What a process was like before a step. ``modules`` are those that it began with, ``chance``
    is where the global generators of random numbers stood."""

    root: Path
    cpu: float
    peak: int
    environment: dict[bytes, bytes]
    modules: frozenset[str]
    chance: tuple[object, ...]

    @classmethod
    def before(cls, root: Path) -> Traces:
        """Take note of this process; ``root`` is where the project's modules are from."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime
        modules = frozenset(sys.modules)
        return cls(root, cpu, used.ru_maxrss, dict(os.environb), modules, _chance())

    def again(self) -> Traces:
        """The same process before its next step, where none were left by the last."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime
        return replace(self, cpu=cpu, peak=used.ru_maxrss, chance=_chance())

    def none_left(self) -> bool:
        """Whether the step since then was light, and neither changed anything nor could have."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return (
            used.ru_utime + used.ru_stime - self.cpu < _LIGHT
            and used.ru_maxrss - self.peak < _SMALL
            and stateless.is_project(self.root, self.modules)
            and threading.active_count() == 1
            and dict(os.environb) == self.environment
            and _chance() == self.chance
            and not _has_children()
        )


def _chance() -> tuple[object, ...]:
    """The states of Python's own generator and numpy's, which code may draw from unseen."""
    found: list[object] = []
    if python := sys.modules.get("random"):
        found.append(python.getstate())
    if numpy := sys.modules.get("numpy"):
        _, words, *rest = numpy.random.get_state()
        found += [words.tobytes(), rest]
    return tuple(found)


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
