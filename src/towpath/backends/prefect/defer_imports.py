"""Puts off the import of modules that Prefect imports for others, until somebody asks one for what
is in it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Lock
from types import ModuleType
from typing import Any

# `prefect.blocks` and `prefect.main` import them so that their kinds of block are known: classes of
# eleven services, and two TLS contexts with all authorities in them. Measured: 90 ms of CPU.
# `coolname` has the words of names that nobody chose: 10 ms.
FOR_OTHERS = (
    "coolname",
    *("prefect.blocks.notifications", "prefect.blocks.system", "prefect.blocks.webhook"),
)
# The command line of httpx, with all that it shows answers by: 30 ms. Where it cannot be imported,
# httpx does without, as where its extra for it is not installed.
_LEFT_OUT = "httpx._main"

# Only around taking a stand-in away; the import itself is under Python's own locks.
_lock = Lock()


class StandIn(ModuleType):
    """Stands in `sys.modules` for a module, which is imported when something of it is asked for.

    The standard library's `LazyLoader` does not do: by its way the second `import` of a module
    loads it, and Prefect has two.
    """

    def __getattr__(self, name: str) -> Any:
        # Python itself looks for these as it imports; they are no word of what is in the module.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        module = self.import_module()
        if name == "__all__":  # of `import *`, which would else take what the stand-in has
            return getattr(module, name, [word for word in vars(module) if word[0] != "_"])
        return getattr(module, name)

    def import_module(self) -> ModuleType:
        """The module itself."""
        with _lock:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


class _StandInLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing yet."""


class _StandInFinder(MetaPathFinder):
    """Finds a stand-in for each of these modules once, and then no more; and no module where one is
    left out."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = set(names)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - Python names the arguments
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname == _LEFT_OUT:
            raise ModuleNotFoundError(f"{fullname} is left out of this process", name=fullname)
        if fullname not in self._names:
            return None
        self._names.remove(fullname)
        return ModuleSpec(fullname, _StandInLoader())


def defer_imports() -> None:
    """Put off what Prefect imports for others; nothing where Prefect was imported before.

    For a process that runs nobody's code: a kind of block whose module was put off is not known by
    its name until `import_deferred`.
    """
    if "prefect" not in sys.modules:
        sys.meta_path.insert(0, _StandInFinder(FOR_OTHERS))


def import_deferred() -> None:
    """Import what was put off."""
    for name in FOR_OTHERS:
        module = importlib.import_module(name)
        if isinstance(module, StandIn):
            module.import_module()
