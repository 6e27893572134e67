"""What a step's process needs to have imported, so that a fork server imports it once for all."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from towpath.errors import TowpathError
from towpath.spec.artifact import Artifact
from towpath.steps import formats, fresh, kinds, loading
from towpath.steps.order import Order

if TYPE_CHECKING:
    from towpath.spec.pipeline import Output, Step

_RUN = "run:"
"""Marks the need of a function of the project rather than of a module by its name."""


class Wanted(Protocol):
    """A step of a graph, as far as its needs go."""

    @property
    def step(self) -> Any: ...

    @property
    def outputs(self) -> Mapping[str, Output]: ...


def of_steps(wanted: Iterable[Wanted]) -> tuple[str, ...]:
    """What these steps need, in their order; what the run itself carries out needs nothing."""
    in_processes = [each for each in wanted if each.step.kind in kinds.IN_A_PROCESS]
    files = [
        (each.step, [(o.path, o.format) for o in each.outputs.values()]) for each in in_processes
    ]
    return tuple(dict.fromkeys(need for step, names in files for need in of_step(step, names)))


def of_step(step: Step, files: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    """What a step needs that reads and writes files of these names and declared formats."""
    found = [kinds.IN_A_PROCESS[step.kind]]
    if hasattr(step, "run"):
        found.append(_RUN + step.run)
    if step.kind == "quality_check":
        found += ["pandas", "towpath.checks.suite.loaded"]
    for name, declared in files:
        format = formats.known(name, declared)
        if format and format.name not in ("json", "html"):
            found += [f"towpath.steps.formats.{format.module}", *format.preload]
    return tuple(found)


def of_order(order: Order) -> tuple[str, ...]:
    """What an order needs: its step's, with the files that it reads."""
    read = [
        (value.name, order.formats.get(name))
        for name, value in order.arguments.items()
        if isinstance(value, Artifact)
    ]
    return of_step(order.step, [*read, *((o.path, o.format) for o in order.outputs.values())])


def settle(root: str, folder: str) -> None:
    """Make this process one that a project's code may be imported in."""
    os.chdir(root)
    calm()
    loading.make_importable(Path(root), folder)
    fresh.install(Path(root))
    _place.append((Path(root), folder))


def calm() -> None:
    """Tell libraries, which hear it when they are imported, what a step's process is."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # a step has no screen
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # OpenMP's threads spin while they wait. Where others want the processor too, fitting then took
    # twenty seconds instead of a fifth of one; with a short spin it takes two, and
    # loses nothing on a quiet machine, as it does where they sleep at once.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


_place: list[tuple[Path, str]] = []


def is_project_s(need: str) -> bool:
    """Whether what is needed is code of the project, and not a module of a package."""
    return need.startswith(_RUN)


def bring(need: str) -> None:
    """Import what is needed. What fails here fails again in the step's process, which tells it."""
    with contextlib.suppress(Exception, SystemExit, TowpathError):
        if is_project_s(need):
            loading.load(*_place[-1], need.removeprefix(_RUN))
        elif need not in sys.modules:
            importlib.import_module(need)
