"""Files as tables of SQL: how DuckDB reads one, and how it writes one."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.backends.duckdb.database import quote_name, quote_text
from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import StepFailed
from towpath.steps import formats
from towpath.steps.work_order import CELLS, Order

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.config.artifact import Artifact

#: What DuckDB reads and writes without an extension of its own.
SQL_FORMATS = ("parquet", "csv", "tsv", "jsonl", "json")
SQL_TABLES = "a .parquet, .csv, .tsv, .jsonl or .json is"
SQL_WRITES = "it writes .parquet, .csv, .tsv, .jsonl and .json"

_SEPARATORS = {"csv": ",", "tsv": "\t"}
_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "category": "VARCHAR",
}
_ENCODINGS = {"utf-8": "utf-8", "ascii": "utf-8", "iso8859-1": "latin-1", "utf-16": "utf-16"}
#: Options of an output that DuckDB writes.
WRITTEN_OPTIONS = ("separator", "missing")


class TableFiles(Struct, frozen=True):
    """The files of one table: the name of the first, its format, and where their bytes are."""

    name: str
    format: str
    paths: tuple[Path, ...]

    def scan(self, options: TableOptions = NO_OPTIONS) -> str:
        """The expression that reads them; StepFailed for an encoding that DuckDB does not know."""
        listed = _text_list(map(str, self.paths))
        by_name = ", union_by_name = true" if len(self.paths) > 1 else ""
        packed = ", compression = 'gzip'" if self.name.endswith(".gz") else ""
        match self.format:
            case "parquet":
                return f"read_parquet({listed}{by_name})"
            case "json":
                return f"read_json({listed}{by_name})"
            case "jsonl":
                lines = f"read_json({listed}, format = 'newline_delimited'{packed}{by_name})"
                return _with_types(lines, options)
            case _:
                text = _csv_options(self.format, self.name, options)
                return f"read_csv({listed}, {text}{packed}{by_name})"


def find_input_table(order: Order, store: Store, argument: str, artifact: Artifact) -> TableFiles:
    """The files of a table that a step takes. StepFailed, naming the input, for what is none."""
    try:
        if artifact.files is not None:
            return _folder_table(artifact.name, store, store.members(artifact.digest))
        path, name = store.path(artifact.digest), artifact.name
        if path.stat().st_size == 0:
            raise StepFailed(f"{name} is empty")
        return TableFiles(name, _require_format(name, order.formats.get(argument)), (path,))
    except StepFailed as failure:
        raise failure.about(f"input `{argument}`") from None


def _folder_table(name: str, store: Store, members: Mapping[str, str]) -> TableFiles:
    """All files of a folder that are no others, in order of their names."""
    shown = {
        path: store.path(digest)
        for path, digest in sorted(members.items())
        if path != CELLS and not PurePosixPath(path).name.startswith((".", "_"))
    }
    if not shown:
        raise StepFailed(f"there is no file in the folder {name}")
    kinds = {_require_format(f"{name}/{path}", None): path for path in shown}
    if len(kinds) > 1:
        what = f"the folder {name} has files of several kinds: {', '.join(sorted(kinds.values()))}"
        raise StepFailed(what, hint="a folder that is a table holds files of one kind")
    return TableFiles(next(iter(shown)), next(iter(kinds)), tuple(shown.values()))


def find_sql_format(name: str, declared: str | None) -> str | None:
    """The format of a file that DuckDB reads or writes; None for another."""
    format = formats.find_format(name, declared)
    return format.name if format and format.name in SQL_FORMATS else None


def _require_format(name: str, declared: str | None) -> str:
    format = find_sql_format(name, declared)
    if format is None:
        raise StepFailed(f"{name} is no table that DuckDB reads", hint=SQL_TABLES)
    return format


def _csv_options(format: str, name: str, options: TableOptions) -> str:
    separator = options.separator or _SEPARATORS[format]
    parts = [f"delim = {quote_text(separator)}", "header = true", "quote = '\"', escape = '\"'"]
    parts.append(f"nullstr = {_text_list(options.missing or [''])}")
    if options.decimal:
        parts.append(f"decimal_separator = {quote_text(options.decimal)}")
    if options.encoding:
        parts.append(f"encoding = {quote_text(_encoding_name(name, options.encoding))}")
    return ", ".join(parts) + _types_of(options)


def _types_of(options: TableOptions) -> str:
    columns = (f"{quote_text(name)}: '{_TYPES[type]}'" for name, type in options.types.items())
    return f", types = {{{', '.join(columns)}}}" if options.types else ""


def _with_types(scan: str, options: TableOptions) -> str:
    """A table whose reader takes the types of all columns or of none, with some of them cast."""
    casts = (
        f"CAST({quote_name(name)} AS {_TYPES[type]}) AS {quote_name(name)}"
        for name, type in options.types.items()
    )
    return f"(SELECT * REPLACE ({', '.join(casts)}) FROM {scan})" if options.types else scan


def _encoding_name(name: str, declared: str) -> str:
    encoding = _ENCODINGS.get(codecs.lookup(declared).name)
    if encoding is None:
        hint = "it reads utf-8, utf-16 and latin-1; a function of yours reads any"
        raise StepFailed(f"{name}: DuckDB does not read {declared}", hint=hint)
    return encoding


def _text_list(texts: Iterable[str]) -> str:
    return f"[{', '.join(quote_text(text) for text in texts)}]"


def copy_target(path: Path, format: str, options: TableOptions = NO_OPTIONS) -> str:
    """What stands behind ``TO`` where DuckDB writes a table: the path, and how."""
    # A scratch file beside it would be one more that it may write to.
    parts = ["USE_TMP_FILE false", *_written_as(format, options, path.name)]
    return f"{quote_text(str(path))} ({', '.join(parts)})"


def _written_as(format: str, options: TableOptions, name: str) -> Sequence[str]:
    packed = ["COMPRESSION gzip"] if name.endswith(".gz") else []
    match format:
        case "parquet":
            return ["FORMAT parquet"]
        case "json":
            return ["FORMAT json", "ARRAY true"]
        case "jsonl":
            return ["FORMAT json", *packed]
    separator = options.separator or _SEPARATORS[format]
    missing: Any = options.missing or ("",)
    parts = ["FORMAT csv", "HEADER true", f"DELIM {quote_text(separator)}"]
    return [*parts, f"NULLSTR {quote_text(missing[0])}", *packed]
