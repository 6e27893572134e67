"""The folders that a project's code is imported from: its root, and `src`."""

from __future__ import annotations

from pathlib import Path

_SOURCES = "src"
_PACKAGING = ("pyproject.toml", "setup.cfg", "setup.py")


def module_folders(root: Path) -> tuple[Path, ...]:
    """The folders that imports of the project's code start from, the first one first.

    ``src/`` is one where it is no package itself (``from src.clean import ...`` starts at the
    root), and either holds packages or belongs to a project that can be installed: its modules
    are then imported by the same names whether it is installed or not.
    """
    sources = root / _SOURCES
    return (root, sources) if _is_import_root(sources) else (root,)


def _is_import_root(sources: Path) -> bool:
    if not sources.is_dir() or (sources / "__init__.py").exists():
        return False
    if any((sources.parent / name).is_file() for name in _PACKAGING):
        return True
    return any(sources.glob("*/*.py"))  # a package needs no `__init__.py`
