"""The project's functions: each imported once, by its file, under the name it has from the root,
and always from its source.

Python takes a compiled file for current where the source's size and its time in whole seconds
agree. An edit that keeps both would run the old code, and keep its outputs under the new one's key.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from msgspec import Struct

from towpath.config.source_folders import module_folders
from towpath.errors import Fault, Place, StepFailed, did_you_mean, name_causes
from towpath.steps.formats import Format
from towpath.steps.work_order import Order

_INSTALLED = frozenset({"site-packages", "dist-packages"})


class FromSource(SourceFileLoader):
    """Reads a module's source, and neither reads nor writes a compiled file."""

    def get_code(self, fullname: str) -> CodeType:
        """The code as the source is now."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def import_from_source(root: Path) -> None:
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


def make_project_importable(root: Path, folder: str) -> None:
    """Let the project's modules be imported: those beside the pipeline, then from the root, then
    from ``src/``."""
    for path in (*reversed(module_folders(root)), root / folder):
        if str(path) in sys.path:
            sys.path.remove(str(path))
        sys.path.insert(0, str(path))


class FunctionLocation(Struct, frozen=True):
    """Where a function stands: its file, its module's name from the root, its own name."""

    file: Path
    module: str
    function: str


def locate_function(root: Path, folder: str, run: str) -> FunctionLocation:
    """Where the function stands that ``run`` names: ``train`` in the pipeline's ``steps.py``, or
    ``shared.publish:to_folder`` from the project's root, or from its ``src/``."""
    module, _, function = run.rpartition(":")
    starts = module_folders(root) if module else (root / folder,)
    files = [_module_file(start / (module or "steps").replace(".", "/")) for start in starts]
    file = next((path for path in files if path.is_file()), files[0])
    return FunctionLocation(file, module or f"{folder.replace('/', '.')}.steps", function)


def _module_file(base: Path) -> Path:
    package = base / "__init__.py"
    return package if package.is_file() else base.with_name(base.name + ".py")


def function_place(root: Path, folder: str, run: str) -> Place:
    """The file of the function that ``run`` names, to point at."""
    return Place(locate_function(root, folder, run).file.relative_to(root).as_posix())


def load_function(root: Path, folder: str, run: str) -> Callable[..., object]:
    """The function that ``run`` names.

    :raises StepFailed: where the module, once imported, has no such function.
    """
    location = locate_function(root, folder, run)
    module = _import_file(location.file, location.module)
    function = getattr(module, location.function, None)
    if not callable(function):
        near = did_you_mean(location.function, vars(module))
        what = f"there is no function `{location.function}`"
        raise StepFailed(Fault(what, function_place(root, folder, run), near))
    return function  # type: ignore[no-any-return]


def _import_file(file: Path, name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    source = FromSource(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=source)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # `from steps import clean` in a file beside it means this same module.
    alias = name.rpartition(".")[2]
    sys.modules.setdefault(alias, module)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for imported_as in (name, alias):
            if sys.modules.get(imported_as) is module:
                del sys.modules[imported_as]
        raise
    return module


# What to type where a module is not found: it is in the project, or it is not installed.

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


# Formats of the project's own: its classes, which only a step's process loads and asks.


def read_own(order: Order, format: Format, path: Path) -> Any:
    """What the format's class reads from a file or a folder, which has its real name.

    Raises ``StepFailed`` for whatever the class raises.
    """
    with _failing_as(f"{path.name} cannot be read as {format.name}"):
        format_class: Any = load_function(order.root, order.folder, format.run)
        return format_class().read(path)


def write_own(order: Order, format: Format, value: Any, path: Path) -> None:
    """Let the format's class write a value at a path; raises as ``read_own`` does."""
    with _failing_as(f"cannot be written as {format.name}"):
        format_class: Any = load_function(order.root, order.folder, format.run)
        format_class().write(value, path)


@contextmanager
def _failing_as(what: str) -> Iterator[None]:
    try:
        yield
    except StepFailed:
        raise
    except Exception as error:
        words = str(error).strip().partition("\n")[0]
        words = ": ".join(filter(None, [type(error).__name__, words]))
        raise StepFailed(f"{what}: {words}", causes=name_causes(type(error))) from error
