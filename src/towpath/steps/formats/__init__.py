"""Readers and writers: the extension picks one, ``format:`` and annotations override it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from towpath.errors import Fault, StepFailed, TowpathError
from towpath.git import large_files
from towpath.steps.formats import format_faults

PATH = "pathlib.Path"


@dataclass(frozen=True)
class Format:
    """A kind of file: its name for ``format:``, its extensions, and the module that knows it.

    ``default`` is what a reader gives unless an annotation asks for one of ``types``; a format
    with no extension is used only where it is asked for by name.
    """

    name: str
    extensions: tuple[str, ...]
    module: str
    default: str
    types: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()

    def load(self) -> ModuleType:
        """The module with ``read(path, asked)`` and ``write(value, path, format name)``."""
        return importlib.import_module(f"towpath.steps.formats.{self.module}")


_FRAMES = ("pandas.DataFrame", "pyarrow.Table", "polars.DataFrame", "numpy.ndarray")
_TEXT = ("str", "bytes")

FORMATS: Mapping[str, Format] = {
    known.name: known
    for known in (
        Format(
            "parquet",
            (".parquet", ".pq"),
            "tables",
            _FRAMES[0],
            _FRAMES,
            ("pandas", "pyarrow.parquet", "pyarrow.dataset"),  # to read one imports the last
        ),
        Format("csv", (".csv",), "tables", _FRAMES[0], _FRAMES, ("pandas",)),
        Format("tsv", (".tsv",), "tables", _FRAMES[0], _FRAMES, ("pandas",)),
        Format("json", (".json",), "jsons", "dict", _TEXT),
        Format(
            "skops",
            (".skops",),
            "model_files",
            "model",
            (),
            ("towpath.steps.models", "towpath.steps.skops_library"),
        ),
        Format("text", (".txt", ".md", ".log", ".yaml", ".yml", ".toml"), "texts", "str", _TEXT),
        Format("html", (".html", ".htm"), "texts", "str", _TEXT),
        Format("image", (".png", ".svg", ".jpg", ".jpeg", ".pdf"), "images", "bytes", _TEXT),
        Format("npy", (".npy",), "arrays", "numpy.ndarray", ("numpy.ndarray",), ("numpy",)),
        Format("joblib", (), "pickles", "object", (), ("joblib",)),
        Format("pickle", (), "pickles", "object"),
    )
}
"""Every format by its name."""

_BY_EXTENSION = {extension: known for known in FORMATS.values() for extension in known.extensions}
_PICKLED = {".pkl": "pickle", ".pickle": "pickle", ".joblib": "joblib"}


def known(name: str, declared: str | None = None) -> Format | None:
    """The format of a file called ``name``, or of the one declared; None: handed on as a path."""
    if declared:
        return FORMATS[declared]
    return _BY_EXTENSION.get(Path(name).suffix.lower())


def pickled_as(name: str) -> str | None:
    """The format that keeps a file of this name as a pickle, which runs code when it is read."""
    return _PICKLED.get(Path(name).suffix.lower())


def is_folder(name: str) -> bool:
    """Whether an output's path says that it is a folder."""
    return name.endswith("/")


@dataclass(frozen=True)
class Asked:
    """What is to be read: the file's real name, the plain name of the type that an annotation asks
    for, the format declared, and the types that a model file may hold besides the known ones."""

    name: str
    wanted: str = ""
    declared: str | None = None
    trust: tuple[str, ...] = ()

    @property
    def format(self) -> Format | None:
        """The format of the file; None if nothing here can read it."""
        return known(self.name, self.declared)

    @property
    def as_path(self) -> bool:
        """Whether the file is handed on as a path: asked for, or nothing here can read it."""
        return self.wanted == PATH or self.format is None


def read(path: Path, asked: Asked) -> object:
    """The content of the file at ``path``.

    A type that the format cannot give tells nothing about the file (``BaseEstimator``, ``Any``):
    then it is read as the format's own.

    :raises StepFailed: where the file is not what its format says, or a reader is not installed.
    """
    found = asked.format
    assert found, f"{asked.name} is handed on as a path"
    wanted = asked.wanted if asked.wanted in found.types else found.default
    refuse_pointer(path, asked.name)
    try:
        return found.load().read(path, replace(asked, wanted=wanted))
    except ModuleNotFoundError as error:
        raise StepFailed(_not_installed(asked.name, wanted, error)) from error
    except (TowpathError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        raise format_faults.unreadable(asked.name, found.name, error) from error


def refuse_pointer(path: Path, name: str) -> None:
    """Raise ``StepFailed`` for a file that only stands for another: read as text or as a table it
    would be taken for the data."""
    if large_files.is_pointer_file(path):
        what = f"{name} is a pointer of Git LFS, not its bytes"
        raise StepFailed(Fault(what, hint=large_files.PULL))


def write(value: object, path: Path, declared: str | None = None) -> None:
    """Write ``value`` at ``path`` in the format of its extension, or the one declared.

    The same value gives the same bytes, as far as the format allows it, so that digests repeat.

    :raises StepFailed: where the value does not fit the format.
    """
    found = known(path.name, declared)
    if found is None:
        return _write_unknown(value, path)
    if isinstance(value, bytes):
        path.write_bytes(value)  # whoever hands over bytes has written the format already
        return None
    try:
        found.load().write(value, path, found.name)
    except ModuleNotFoundError as error:
        raise StepFailed(_not_installed(path.name, found.name, error)) from error
    except (TowpathError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        raise format_faults.unwritable(found.name, value, error) from error
    return None


def _write_unknown(value: object, path: Path) -> None:
    if pickled := _PICKLED.get(path.suffix.lower()):
        hint = f"{{path: {path.name}, format: {pickled}}} if you mean it, or the safe model.skops"
        raise StepFailed(
            Fault(f"`{path.name}` would be a pickle, which runs code when read", hint=hint)
        )
    if isinstance(value, bytes | str):
        path.write_bytes(value.encode() if isinstance(value, str) else value)
        return
    hint = f"take it as `Path` and write it yourself, or say format: {', '.join(FORMATS)}"
    raise StepFailed(
        Fault(f"nothing knows how to write a {type(value).__name__} as {path.name}", hint=hint)
    )


def _not_installed(name: str, wanted: str, error: ModuleNotFoundError) -> Fault:
    return Fault(f"{name} as {wanted} needs {error.name}, which is not installed")
