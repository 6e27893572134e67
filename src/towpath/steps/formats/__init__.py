"""Readers and writers: the extension picks one, ``format:`` and annotations override it."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.git import large_files
from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import Fault, StepFailed, TowpathError, name_causes

if TYPE_CHECKING:
    from towpath.steps.work_order import Order

PATH = "pathlib.Path"
NO_FORMATS: Mapping[str, str] = MappingProxyType({})
# The types that a table can be read as.
FRAMES = (
    *("pandas.DataFrame", "pyarrow.Table", "polars.DataFrame", "polars.LazyFrame"),
    "numpy.ndarray",
)

_TEXT = ("str", "bytes")
_MOST_SUFFIXES = 2  # .csv.gz


class Format(Struct, frozen=True):
    """A kind of file: its name for ``format:``, its extensions, and the module that knows it.
    ``default`` is what a reader gives unless an annotation asks for one of ``types``; a format with
    no extension is used only where it is asked for by name. ``run`` names the class of a format of
    the project's own, which only a step's process loads (``own_formats``)."""

    name: str
    extensions: tuple[str, ...]
    module: str
    default: str
    types: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    run: str = ""

    @property
    def is_table(self) -> bool:
        return self.module == "tables"

    def load_module(self) -> ModuleType:
        """The module with ``read(path, asked)`` and ``write(value, path, format name)``."""
        return importlib.import_module(f"towpath.steps.formats.{self.module}")


def _table_format(name: str, extensions: str, *preload: str, also: tuple[str, ...] = ()) -> Format:
    packages = ("pandas", *preload)
    return Format(name, tuple(extensions.split()), "tables", FRAMES[0], (*FRAMES, *also), packages)


# As skops is imported it looks for each function of `scipy.special` through all modules, in the
# order of their import: where this one came early that takes 0.2 s of CPU less.
FIRST_IMPORTS = ("scipy.special",)
_SKOPS = ("towpath.steps.model_io.skops_models", *FIRST_IMPORTS, "skops.io")
# Every format by its name.
FORMATS: Mapping[str, Format] = {
    known.name: known
    for known in (
        # To read a parquet file imports pyarrow.dataset as well.
        _table_format("parquet", ".parquet .pq", "pyarrow.parquet", "pyarrow.dataset"),
        _table_format("csv", ".csv .csv.gz"),
        _table_format("tsv", ".tsv .tsv.gz"),
        _table_format("xlsx", ".xlsx", "openpyxl"),
        _table_format("feather", ".feather .arrow", "pyarrow.feather"),
        _table_format("jsonl", ".jsonl .ndjson .jsonl.gz .ndjson.gz", also=("list", *_TEXT)),
        Format("json", (".json",), "jsons", "dict", _TEXT),
        Format("skops", (".skops",), "model_files", "model", (), _SKOPS),
        Format("text", (".txt", ".md", ".log", ".yaml", ".yml", ".toml"), "texts", "str", _TEXT),
        Format("html", (".html", ".htm"), "figures", "str", _TEXT),
        Format("image", (".png", ".svg", ".jpg", ".jpeg", ".pdf"), "figures", "bytes", _TEXT),
        Format("npy", (".npy",), "arrays", "numpy.ndarray", ("numpy.ndarray",), ("numpy",)),
        Format("npz", (".npz",), "arrays", "dict", (), ("numpy",)),
        Format("joblib", (), "pickles", "object", (), ("joblib",)),
        Format("pickle", (), "pickles", "object"),
    )
}

# What `create_model` makes: no step may declare that it writes one.
_BUNDLE = Format("bundle", (".bundle",), "model_files", "model", (), _SKOPS)
_BY_EXTENSION = {
    extension: known for known in (*FORMATS.values(), _BUNDLE) for extension in known.extensions
}
_PICKLED = {".pkl": "pickle", ".pickle": "pickle", ".joblib": "joblib"}


TABLES = "a .csv, .tsv, .parquet, .feather, .jsonl or .xlsx is"  # What is a table, for messages.


def find_format(
    name: str, declared: str | None = None, own: Mapping[str, str] = NO_FORMATS
) -> Format | None:
    """The format of a file called ``name``, or of the one declared; None: handed on as a path.
    ``own`` are the project's formats: the class of each by its name, which is an extension too."""
    if declared:
        return FORMATS.get(declared) or _own_format(declared, own)
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    for start in range(max(len(suffixes) - _MOST_SUFFIXES, 0), len(suffixes)):
        extension = "".join(suffixes[start:])
        if known_format := _BY_EXTENSION.get(extension) or _own_format(extension[1:], own):
            return known_format
    return None


def _own_format(name: str, own: Mapping[str, str]) -> Format | None:
    run = own.get(name)
    return Format(name, (f".{name}",), "", "object", run=run) if run else None


def list_preloads(*names: str) -> tuple[str, ...]:
    """The modules that reading and writing files of these names imports; pandas for any table."""
    known = [format for name in names if (format := find_format(name))]
    return tuple(dict.fromkeys(module for format in known for module in format.preload))


def pickled_as(name: str) -> str | None:
    """The format that keeps a file of this name as a pickle, which runs code when it is read."""
    return _PICKLED.get(Path(name).suffix.lower())


def is_folder_output(name: str) -> bool:
    return name.endswith("/")


class ReadRequest(Struct, frozen=True):
    """What is to be read: the file's real name, the type that an annotation asks for, the format
    declared, the types that ``trust`` lets into a model, the project's own formats."""

    name: str
    wanted: str = ""
    declared: str | None = None
    trust: tuple[str, ...] = ()
    options: TableOptions = NO_OPTIONS
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def format(self) -> Format | None:
        return find_format(self.name, self.declared, self.own)

    @property
    def as_path(self) -> bool:
        return self.wanted == PATH or self.format is None

    @property
    def own_format(self) -> Format | None:
        """The project's own format that reads the file; None where none does, or a path is asked
        for."""
        format = self.format
        return format if format and format.run and not self.as_path else None


def argument_request(order: Order, name: str, file: str, wanted: str = "") -> ReadRequest:
    """What is to be read of a file that a step takes as the argument ``name``."""
    declared, options = order.formats.get(name), order.options_of(name)
    return ReadRequest(file, wanted, declared, order.trust, options, order.own_formats)


def read_file(path: Path, asked: ReadRequest) -> object:
    """The content of the file at ``path``. A type that the format cannot give tells nothing about
    the file (``BaseEstimator``, ``Any``): then it is read as the format's own. Raises
    ``StepFailed`` where the file is not what its format says, or a reader is not installed."""
    format = asked.format
    assert format, f"{asked.name} is handed on as a path"
    type_name = asked.wanted if asked.wanted in format.types else format.default
    refuse_pointer(path, asked.name)
    try:
        return format.load_module().read(path, replace(asked, wanted=type_name))
    except ModuleNotFoundError as error:
        raise StepFailed(_not_installed(asked.name, type_name, error)) from error
    except (TowpathError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        raise unreadable_file(asked.name, format.name, error) from error


def read_file_parts(path: Path, asked: ReadRequest, size: int | None) -> Iterator[Any]:
    """A table as pandas, whole or at most ``size`` rows at a time, in order; raises as
    ``read_file`` does. The parts of a CSV may differ in their types where its values do."""
    format = _require_table(asked.format, asked.name)
    if size is None:
        yield read_file(path, asked)
        return
    refuse_pointer(path, asked.name)
    parts = format.load_module().read_parts(path, asked, size)
    while True:
        try:
            part = next(parts, None)
        except (TowpathError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is no Exception
            raise unreadable_file(asked.name, format.name, error) from error
        if part is None:
            return
        yield part


def refuse_pointer(path: Path, name: str) -> None:
    """Raise ``StepFailed`` for a file of Git LFS that would be taken for the data itself."""
    if large_files.is_pointer_file(path):
        raise StepFailed(f"{name} is a pointer of Git LFS, not its bytes", hint=large_files.PULL)


def reading_notes(path: Path, asked: ReadRequest) -> Iterator[str]:
    """What a person may want to know of how a file is read, such as zeros that numbers lose."""
    if asked.format and asked.format.is_table:
        yield from asked.format.load_module().notes(path, asked)


def write_file(
    value: object, path: Path, declared: str | None = None, options: TableOptions = NO_OPTIONS
) -> None:
    """Write ``value`` in the format of the extension, or the one declared; the same value gives the
    same bytes, as far as the format allows it. ``StepFailed`` where it does not fit the format."""
    format = find_format(path.name, declared)
    if format is None:
        return _write_unknown(value, path)
    if isinstance(value, bytes) and format.module != "pickles":
        path.write_bytes(value)  # whoever hands over bytes has written the format already
        return None
    try:
        if format.is_table:
            format.load_module().write(value, path, format.name, options)
        else:
            format.load_module().write(value, path, format.name)
    except ModuleNotFoundError as error:
        raise StepFailed(_not_installed(path.name, format.name, error)) from error
    except (TowpathError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        raise unwritable_value(format.name, value, error) from error
    return None


def write_file_parts(
    parts: Iterable[Any], path: Path, format: Format | None, options: TableOptions = NO_OPTIONS
) -> int:
    """Write the parts of a table one after another; the number of rows."""
    format = _require_table(format, path.name)
    rows: int = format.load_module().write_parts(parts, path, format.name, options)
    return rows


def _require_table(format: Format | None, name: str) -> Format:
    if format is None or not format.is_table:
        raise StepFailed(f"{name} is no table", hint=TABLES)
    return format


def _write_unknown(value: object, path: Path) -> None:
    if pickled := _PICKLED.get(path.suffix.lower()):
        hint = f"{{path: {path.name}, format: {pickled}}} if you mean it, or the safe model.skops"
        raise StepFailed(f"`{path.name}` would be a pickle, which runs code when read", hint=hint)
    if isinstance(value, bytes | str):
        path.write_bytes(value.encode() if isinstance(value, str) else value)
        return
    hint = f"take it as `Path` and write it yourself, or say format: {', '.join(FORMATS)}"
    raise StepFailed(
        f"nothing knows how to write a {type(value).__name__} as {path.name}", hint=hint
    )


def _not_installed(name: str, wanted: str, error: ModuleNotFoundError) -> Fault:
    return Fault(f"{name} as {wanted} needs {error.name}, which is not installed")


# What a reader or a writer raised, in words: the file, its format, and the cause in one line.
#
# A package may raise anything, and does: errors of its own, an `OverflowError`, a panic of Rust
# that is no `Exception`. Whatever it is, it is about the file and no fault of Towpath.

_LONGEST = 300
# Errors whose words say all; the name of any other is part of them.
_PLAIN = (ValueError, TypeError, AttributeError, OSError)


def unreadable_file(name: str, kind: str, error: BaseException) -> StepFailed:
    causes = name_causes(type(error))
    return StepFailed(f"{name} cannot be read as {kind}: {_in_a_line(error)}", causes=causes)


def unwritable_value(kind: str, value: object, error: BaseException) -> StepFailed:
    column, hint = _explain_table(value)
    where = f"column `{column}`: " if column else ""
    what = f"cannot be written as {kind}: {where}{_in_a_line(error)}"
    return StepFailed(what, hint=hint, causes=name_causes(type(error)))


def _in_a_line(error: BaseException) -> str:
    """The first line of an error; with its class where that says something of its own."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    words = (
        error.args
        if error.args and all(isinstance(argument, str) for argument in error.args)
        else ()
    )
    text = " ".join(words) or str(error)
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = line.encode(errors="backslashreplace").decode()
    if len(line) > _LONGEST:
        line = line[:_LONGEST] + " ..."
    name = type(error).__name__
    if not line:
        return name
    is_plain = isinstance(error, _PLAIN) and not isinstance(error, UnicodeError)
    return line if is_plain else f"{name}: {line}"


def _explain_table(table: Any) -> tuple[str, str | None]:
    """The first column that no parquet file keeps, and what to do; empty if each can be."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(table, pandas.DataFrame) or not table.columns.is_unique:
        return "", None
    for name, column in table.items():
        try:
            column.to_frame().to_parquet(io.BytesIO(), index=False)
        except Exception as error:  # whichever it raised for the whole
            return str(name), _column_hint(str(name), column, error)
    return "", None


def _column_hint(name: str, column: Any, error: Exception) -> str:
    present = column.dropna()
    first = present.iloc[0] if len(present) else None
    kinds = {type(value).__name__ for value in present.head(1000)}
    as_text = f'table["{name}"] = table["{name}"].astype(str) keeps it as text'
    if type(first).__name__ == "Interval":
        return f"its values are intervals: {as_text}"
    if isinstance(first, dict | list | tuple | set):
        return "its values hold others: a column for each of them, or .json keeps them"
    if isinstance(error, OverflowError):
        return f"a number in it is beyond 64 bits: {as_text}"
    if len(kinds) > 1:
        return f"its values are of several types ({', '.join(sorted(kinds))}): {as_text}"
    return as_text
