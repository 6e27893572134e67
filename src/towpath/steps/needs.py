"""What a step's process needs to have imported, so that a fork server imports it once for all.

All of it are modules of packages. The project's own modules are imported by each step's process
for itself: what one does when it is imported is then no business of steps that do not import it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from towpath.spec.artifact import Artifact
from towpath.steps import formats, fresh, kinds, loading, repeatable_figures
from towpath.steps.order import Order

if TYPE_CHECKING:
    from towpath.spec.pipeline import Output, Step

Libraries: TypeAlias = Mapping[str, tuple[str, ...]]
"""The modules of installed packages that a function's code imports, by the step's ``run``."""

NO_LIBRARIES: Libraries = MappingProxyType({})
"""Where nobody has read the code: each step's process imports them for itself."""


class Wanted(Protocol):
    """A step of a graph, as far as its needs go."""

    @property
    def step(self) -> Any: ...

    @property
    def outputs(self) -> Mapping[str, Output]: ...


def of_steps(wanted: Iterable[Wanted], libraries: Libraries = NO_LIBRARIES) -> tuple[str, ...]:
    """What these steps need, in their order; what the run itself carries out needs nothing."""
    in_processes = [each for each in wanted if each.step.kind in kinds.IN_A_PROCESS]
    found = (
        of_step(
            each.step,
            [(o.path, o.format) for o in each.outputs.values()],
            libraries.get(getattr(each.step, "run", ""), ()),
        )
        for each in in_processes
    )
    return tuple(dict.fromkeys(need for needs in found for need in needs))


def of_step(
    step: Step, files: Iterable[tuple[str, str | None]], libraries: Iterable[str] = ()
) -> tuple[str, ...]:
    """What a step needs that reads and writes files of these names and declared formats, and whose
    code imports these libraries."""
    found = [kinds.IN_A_PROCESS[step.kind]]
    if step.kind == "command":  # its program reads and writes the files, in a process of its own
        return tuple(found)
    if step.kind == "quality_check":
        found += ["pandas", "towpath.checks.validation"]
    for name, declared in files:
        format = formats.known(name, declared)
        if format and format.module and format.name not in ("json", "html"):
            found += [f"towpath.steps.formats.{format.module}", *format.preload]
    return (*found, *libraries)


def of_order(order: Order) -> tuple[str, ...]:
    """What an order needs: its step's, with the files that it reads."""
    read = [
        (value.name, order.formats.get(name))
        for name, value in order.arguments.items()
        if isinstance(value, Artifact)
    ]
    written = [(output.path, output.format) for output in order.outputs.values()]
    return of_step(order.step, [*read, *written], order.libraries)


def settle(root: str, folder: str) -> None:
    """Make this process one that a project's code may be imported in."""
    os.chdir(root)
    calm()
    loading.make_importable(Path(root), folder)
    fresh.install(Path(root))


def calm() -> None:
    """Tell libraries, which hear it when they are imported, what a step's process is."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # a step has no screen
    repeatable_figures.install()
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # OpenMP's threads spin while they wait. Where others want the processor too, fitting then took
    # twenty seconds instead of a fifth of one; with a short spin it takes two, and
    # loses nothing on a quiet machine, as it does where they sleep at once.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def bring(need: str) -> None:
    """Import what is needed. What fails here fails again in the step's process, which tells it."""
    with contextlib.suppress(Exception, SystemExit):
        if need not in sys.modules:
            importlib.import_module(need)
