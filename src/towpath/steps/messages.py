"""What a run, a fork server and a step's process say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.errors import TowpathError
from towpath.spec.artifact import Made


@dataclass(frozen=True)
class Hello:
    """To a server, first: the project it serves, and what to import beforehand, in this order."""

    root: str
    folder: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Started:
    """From a step: its process, which leads a process group of its own."""

    pid: int


@dataclass(frozen=True)
class CannotFork:
    """From a server: the step wants a process of its own, since a package started threads."""

    threads: int


@dataclass(frozen=True)
class Answer:
    """From a step: what it made, or what stopped it."""

    made: Made | None = None
    error: TowpathError | None = None


@dataclass(frozen=True)
class Ended:
    """From a server: a step's process is gone. ``status`` is as ``os.waitpid`` tells it;
    ``peak`` is in bytes."""

    status: int
    peak: int
