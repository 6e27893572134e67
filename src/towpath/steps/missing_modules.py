"""What to type where a module is not found: it is in the project, or it is not installed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from towpath.errors import did_you_mean

_NAMED = re.compile(r"No module named '?([\w.]+)'?")
_DEPTH = 4  # folders below the root in which a module is looked for
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "artifacts"})


def hint_missing_module(root: Path, words: str) -> str | None:
    """A hint for an error of Python's that names a module; None for other words."""
    match = _NAMED.search(words)
    if match is None:
        return None
    module = match[1]
    top, _, inner = module.partition(".")
    places = [place for place in _module_folders(root) if _holds_module(place, top)]
    if places and inner:
        names = [path.stem for path in (places[0] / top).glob("*") if path.suffix in ("", ".py")]
        return did_you_mean(inner.partition(".")[0], names)
    if places:
        folder = places[0].relative_to(root).as_posix()
        return (
            f"it is in {folder}/, and modules are looked for at the root and in src/: "
            "`pip install --editable .` where pyproject.toml names that folder"
        )
    return f"nothing of the project is called so: `{Path(sys.executable)} -m pip install` it"


def _module_folders(root: Path) -> Iterator[Path]:
    """The folders of a project in which modules may stand, the nearest first."""
    level = [root]
    for _ in range(_DEPTH):
        yield from level
        level = [inner for folder in level for inner in _inner_folders(folder)]


def _inner_folders(folder: Path) -> list[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        Path(entry.path)
        for entry in entries
        if entry.is_dir(follow_symlinks=False)
        and not entry.name.startswith(".")
        and entry.name not in _SKIPPED
        and not Path(entry.path, "pyvenv.cfg").exists()
    ]


def _holds_module(folder: Path, module: str) -> bool:
    package = folder / module
    return (folder / f"{module}.py").is_file() or (package.is_dir() and any(package.glob("*.py")))
