"""The same figure in the same bytes, also where the step saves it by itself.

matplotlib draws the names inside of an SVG at random, and writes the time into an SVG, a PDF and a
PostScript file. The first is a setting of its own, put right as soon as somebody imports it; the
second it takes from ``SOURCE_DATE_EPOCH``, which a step's process has from its beginning
(``sandbox.launch``). Nothing here imports matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_SETTING = "svg.hashsalt"
_SALT = "towpath"


class _AfterImport:
    """A finder of modules that finds matplotlib as the others do, and has it set up afterwards."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "matplotlib":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            set_figure_salt(module)

        # The loader stays what it is: data files of the package are found by its class.
        loader.exec_module = exec_module
        return spec


def install_figure_settings() -> None:
    """From now on matplotlib is set up when it is imported."""
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())
    if "matplotlib" in sys.modules:
        set_figure_salt(sys.modules["matplotlib"])


def set_figure_salt(matplotlib: Any) -> None:
    """Give the names in an SVG one beginning, unless the project's ``matplotlibrc`` gives one;
    the defaults too, to which ``rcdefaults()`` and styles go back."""
    for settings in ("rcParams", "rcParamsDefault", "rcParamsOrig"):
        values = getattr(matplotlib, settings, None)
        if values is not None and values.get(_SETTING) is None:
            values[_SETTING] = _SALT
