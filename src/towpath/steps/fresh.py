"""The project's modules, always from their source.

Python takes a compiled file for current where the source's size and its time in whole seconds
agree. An edit that keeps both would run the old code, and keep its outputs under the new one's key.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType

_INSTALLED = frozenset({"site-packages", "dist-packages"})


class FromSource(SourceFileLoader):
    """Reads a module's source, and neither reads nor writes a compiled file."""

    def get_code(self, fullname: str) -> CodeType:
        """The code as the source is now."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def install(root: Path) -> None:
    """From now on modules below ``root`` come from their source, packages installed there not."""
    inside = os.path.realpath(root)
    find = FileFinder.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES), (FromSource, SOURCE_SUFFIXES)
    )

    def hook(path: str) -> FileFinder:
        real = Path(os.path.realpath(path or Path.cwd()))
        if not real.is_relative_to(inside) or not _INSTALLED.isdisjoint(real.parts):
            raise ImportError(f"{path} is none of the project's own", path=path)
        return find(path)  # type: ignore[return-value]

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()
