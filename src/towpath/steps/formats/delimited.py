"""Tables as delimited text (.csv, .tsv, gzipped too), each row held against the header.

pandas takes the first field of each row for an index where rows are longer than the header, and a
table is then read shifted by one; it pads what is too short. Nothing is made up here: a surplus
field that holds something is an error with its line, and one that holds nothing is a separator at
the end of the row.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import Fault, Place, StepFailed
from towpath.steps.formats import column_types

SEPARATORS = {"csv": ",", "tsv": "\t"}
_LOOKED_AT = 200  # records at the beginning of a file that are looked at for notes
_LEADING_ZERO = re.compile(r"0[0-9]+")
_DIGITS = re.compile(r"[0-9]+")
_ODD_LINE = re.compile(rb"\n[ \t]*\r?\n|\r(?!\n)")
_GZIP = b"\x1f\x8b"
_BOTH_ENDS = "\r\n"


class DelimitedText(Struct, frozen=True):
    """A file of delimited text. ``name`` is what errors call it; ``kind`` is ``csv`` or ``tsv``."""

    path: Path
    name: str
    kind: str
    options: TableOptions = NO_OPTIONS

    @property
    def field_separator(self) -> str:
        return self.options.separator or SEPARATORS[self.kind]

    @property
    def text_encoding(self) -> str:
        """What the bytes are read as; of UTF-8 with or without its mark at the beginning."""
        encoding = self.options.encoding or "utf-8"
        return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding

    def is_gzipped(self) -> bool:
        with self.path.open("rb") as file:
            return file.read(2) == _GZIP

    def open_bytes(self) -> IO[bytes]:
        if self.is_gzipped():
            return cast(IO[bytes], gzip.open(self.path))
        return self.path.open("rb")

    def open_text(self, errors: str = "replace") -> IO[str]:
        """The text; what is not of the encoding is for the reader of the whole to refuse."""
        return io.TextIOWrapper(
            self.open_bytes(), encoding=self.text_encoding, errors=errors, newline=""
        )

    def read_records(self, errors: str = "replace") -> Iterator[tuple[int, list[str]]]:
        """Each record with the line that it begins in, blank ones left out; the header first."""
        with self.open_text(errors) as file, _wide_fields():
            rows = csv.reader(file, delimiter=self.field_separator)
            line = 1
            for row in rows:
                if row and not (len(row) == 1 and row[0].isspace()):  # `""` is a row
                    yield line, row
                line = rows.line_num + 1


@contextlib.contextmanager
def _wide_fields() -> Iterator[None]:
    """The standard library's reader stops at a field of 128 KiB, which pandas takes."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def count_columns(text: DelimitedText) -> int | None:
    """How many columns to take, where that is not as many as the header has; None: all. A look at
    the header and the first record: pandas itself refuses a later one that is longer."""
    first = list(itertools.islice(text.read_records(), 2))
    if not first:
        raise ValueError("the file is empty")
    header = first[0][1]
    if not header[-1].strip() or (len(first) > 1 and len(first[1][1]) > len(header)):
        return hold_against_header(text)
    return None


def hold_against_header(text: DelimitedText) -> int:
    """Read every record: the number of columns that have a name or hold something. Raises
    ``StepFailed`` with the line of the first record that holds more than the header names."""
    records = text.read_records()
    _, header = next(records)
    width, surplus = _last_filled(header), []
    for line, row in records:
        filled = _last_filled(row)
        width = max(width, filled)
        if filled > len(header):
            surplus.append((line, row))
    if surplus:
        raise StepFailed(_surplus_fault(text, header, surplus))
    return width


def _last_filled(row: list[str]) -> int:
    """The number of fields up to the last one that holds something."""
    return next((count for count in range(len(row), 0, -1) if row[count - 1].strip()), 0)


def _surplus_fault(
    text: DelimitedText, header: list[str], surplus: list[tuple[int, list[str]]]
) -> Fault:
    line, row = surplus[0]
    more = f", and so have {len(surplus) - 1:,} more" if len(surplus) > 1 else ""
    what = f"the row has {len(row)} fields, the header {len(header)}{more}"
    return Fault(what, Place(text.name, line), _separator_advice(text, header))


def _separator_advice(text: DelimitedText, header: list[str]) -> str:
    other = next(
        (mark for mark in ";\t|" if mark in header[0] and mark != text.field_separator), None
    )
    if len(header) == 1 and other:
        mark = "\\t" if other == "\t" else other
        return f'its fields seem to stand apart by `{mark}`: declare `separator: "{mark}"`'
    return (
        f"put a value that holds `{text.field_separator}` in quotes; of a file with decimal commas "
        'declare the separator: `{path: ..., separator: ";", decimal: ","}`'
    )


def _width_of_refused(text: DelimitedText) -> int:
    """How many columns to take of a file that a reader refused; a fault where it is wrong."""
    width = hold_against_header(text)
    if (line := _open_quote(text)) is not None:
        raise StepFailed(_open_quote_fault(text, line))
    if not _is_decodable(text):
        raise StepFailed(_undecoded_fault(text))
    return width


def _require_closed_quotes(text: DelimitedText, table: Any) -> None:
    """Refuse a file that ends inside of a quote, which pyarrow takes for one field to the end."""
    # The whole is parsed again only where the last row or line may be one: that is slow.
    last_cells = (column[-1].as_py() for column in table.columns) if table.num_rows else ()
    is_torn = any(isinstance(cell, str) and "\n" in cell for cell in last_cells)
    if (is_torn or _ends_in_a_quote(text)) and (line := _open_quote(text)) is not None:
        raise StepFailed(_open_quote_fault(text, line))


def _ends_in_a_quote(text: DelimitedText) -> bool:
    with text.open_bytes() as file:
        last_lines = deque(file, maxlen=1)
    line = b"".join(last_lines).decode("utf-8", "replace")
    try:
        deque(csv.reader([line], delimiter=text.field_separator, strict=True))
    except csv.Error:
        return True
    return False


def _open_quote_fault(text: DelimitedText, line: int) -> Fault:
    return Fault("a quote is opened and never closed", Place(text.name, line))


def _open_quote(text: DelimitedText) -> int | None:
    """The line in which the last record begins, where the file ends inside of a quote."""
    begins = max((line for line, _ in text.read_records()), default=0)
    with text.open_text() as file, _wide_fields():
        try:
            for _ in csv.reader(file, delimiter=text.field_separator, strict=True):
                pass
        except csv.Error as error:
            return begins if "unexpected end" in str(error) else None
    return None


def _find_zeroed(values: Sequence[str]) -> str | None:
    """A value that begins with a zero in a column that is read as numbers."""
    if not all(_DIGITS.fullmatch(value) for value in values):
        return None
    return next((value for value in values if _LEADING_ZERO.fullmatch(value)), None)


def delimited_notes(text: DelimitedText) -> Iterator[str]:
    """What a person may want to know of how a file is read, by its first records."""
    records = [row for _, row in itertools.islice(text.read_records(), _LOOKED_AT + 1)]
    if not records:
        return
    header, *rows = records
    for name in sorted(name for name, count in Counter(header).items() if name and count > 1):
        yield f"{text.name}: two columns are called `{name}`; pandas calls the second `{name}.1`"
    for number, name in enumerate(header):
        values = [row[number] for row in rows if number < len(row) and row[number]]
        if name not in text.options.types and (kept := _find_zeroed(values)):
            yield (
                f"{text.name}: `{name}` holds {kept}, and is read as numbers, without the zero; "
                f"`types: {{{name}: string}}` where the input is declared keeps it"
            )


# pandas


def read_delimited_parts(text: DelimitedText, size: int | None) -> Iterator[Any]:
    """The table as pandas, whole or at most ``size`` rows at a time, in order."""
    import pandas

    width = count_columns(text)
    parts_read = 0
    try:
        try:
            for part in _read_frames(text, size, width):
                parts_read += 1
                yield part
        except pandas.errors.ParserError:
            if width is not None:  # held against the header already
                raise
            # The parts after those that were given away before a record was refused.
            frames = _read_frames(text, size, _width_of_refused(text))
            yield from itertools.islice(frames, parts_read, None)
    except pandas.errors.EmptyDataError as error:
        raise ValueError("the file is empty") from error
    except pandas.errors.ParserError as error:
        raise ValueError(_plain_message(error)) from error
    except UnicodeDecodeError as error:
        raise StepFailed(_undecoded_fault(text)) from error


def _read_frames(text: DelimitedText, size: int | None, width: int | None) -> Iterator[Any]:
    import pandas

    columns = _column_names(text, width) if text.options.types else []
    arguments = _pandas_arguments(text, width, columns)
    if size is None:
        whole = pandas.read_csv(text.path, **arguments)
        yield column_types.convert_columns(whole, text.options, text.name)
        return
    with pandas.read_csv(text.path, chunksize=size, **arguments) as reader:
        for frame in reader:
            yield column_types.convert_columns(frame, text.options, text.name)


def _column_names(text: DelimitedText, width: int | None) -> list[str]:
    """The columns as pandas names them."""
    import pandas

    untyped = replace(text, options=replace(text.options, types={}))
    arguments = _pandas_arguments(untyped, width, [])
    columns = [str(name) for name in pandas.read_csv(text.path, nrows=0, **arguments).columns]
    column_types.require_columns(text.options.types, columns, text.name)
    return columns


def _pandas_arguments(text: DelimitedText, width: int | None, columns: list[str]) -> dict[str, Any]:
    import pandas

    options = text.options
    arguments = {
        "sep": text.field_separator, "index_col": False, "decimal": options.decimal or ".",
        "compression": "gzip" if text.is_gzipped() else None, "encoding": options.encoding,
        "usecols": None if width is None else range(width),
        "dtype": dict.fromkeys(options.types, str) or None,
        **column_types.missing_arguments(options, columns),
    }  # fmt: skip
    # Until 3.1 pandas by default may miss a number by its last digit. Since then its default is
    # exact, and it warns whoever says how exact.
    if tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1):
        arguments["float_precision"] = "round_trip"
    return arguments


def _plain_message(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return first.removeprefix("Error tokenizing data. C error: ")


def _undecoded_fault(text: DelimitedText) -> Fault:
    declared = text.options.encoding or "utf-8"
    with text.open_bytes() as file:
        line = next((n for n, data in enumerate(file, 1) if not _can_decode(data, declared)), 0)
    hint = "declare what it is: `encoding: latin-1`, `encoding: cp1252`"
    with text.open_bytes() as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            hint = "declare what it is: `encoding: utf-16`"
    return Fault(f"the file is not {declared}", Place(text.name, line), hint)


def _is_decodable(text: DelimitedText) -> bool:
    with text.open_text("strict") as file:
        try:
            return all(True for _ in file)
        except UnicodeDecodeError:
            return False


def _can_decode(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


# pyarrow and polars


def read_arrow(text: DelimitedText) -> Any:
    import pyarrow
    from pyarrow import csv as arrow_csv

    options = text.options
    convert: dict[str, Any] = {"decimal_point": options.decimal or "."}
    if options.missing is not None:
        convert |= {"null_values": list(options.missing), "strings_can_be_null": True}
    convert["column_types"] = dict.fromkeys(options.types, pyarrow.string())

    def read(source: Any) -> Any:
        return arrow_csv.read_csv(
            source,
            None,
            # A line end inside of quotes is one in pandas, and would be a torn row by default.
            arrow_csv.ParseOptions(delimiter=text.field_separator, newlines_in_values=True),
            arrow_csv.ConvertOptions(**convert),
        )

    table = _read_natively(text, read, pyarrow.ArrowInvalid)
    _require_closed_quotes(text, table)
    if any(pyarrow.types.is_binary(kind) for kind in table.schema.types):
        raise StepFailed(_undecoded_fault(text))  # pyarrow makes bytes of what it cannot decode
    typed = column_types.convert_texts(
        lambda name: table[_column_number(table, name)], options, text.name
    )
    for name, column in typed.items():
        table = table.set_column(_column_number(table, name), name, column)
    return table


def _column_number(table: Any, name: str) -> int:
    """The number of a column: of two with one name the first, as pandas has it."""
    return int(table.column_names.index(name))


def read_polars(text: DelimitedText) -> Any:
    import polars

    options = text.options
    arguments: dict[str, Any] = {"separator": text.field_separator}
    if options.decimal:
        arguments["decimal_comma"] = options.decimal == ","
    if options.missing is not None:
        arguments["null_values"] = list(options.missing)
    arguments["schema_overrides"] = dict.fromkeys(options.types, polars.String)

    def read(source: Any) -> Any:
        return polars.read_csv(source, **arguments)

    frame = _read_natively(text, read, polars.exceptions.PolarsError, _has_odd_lines(text))
    typed = column_types.convert_texts(lambda name: frame[name].to_arrow(), options, text.name)
    return frame.with_columns(polars.Series(name, column) for name, column in typed.items())


def _has_odd_lines(text: DelimitedText) -> bool:
    """Whether polars alone may take lines for rows or none: blank ones, a Macintosh's of old."""
    with text.open_bytes() as file:
        return bool(_ODD_LINE.search(file.read()))


def _read_natively(
    text: DelimitedText,
    read: Callable[[Any], Any],
    refusal: type[Exception],
    to_be_trimmed: bool = False,
) -> Any:
    """What another library reads: it wants UTF-8, and as many fields in each record."""
    try:
        column_types.require_columns(text.options.types, _read_header(text), text.name)
    except UnicodeDecodeError as error:
        raise StepFailed(_undecoded_fault(text)) from error
    width = (
        hold_against_header(text) if to_be_trimmed and _read_header(text) else count_columns(text)
    )
    is_plain = text.text_encoding == "utf-8-sig" and not text.is_gzipped()
    try:
        if width is None and is_plain:
            return read(str(text.path))
        return read(_trim_records(text, width))
    except UnicodeDecodeError as error:
        raise StepFailed(_undecoded_fault(text)) from error
    except refusal:
        try:
            return read(_trim_records(text, _width_of_refused(text)))
        except refusal as again:
            raise ValueError(_plain_message(again)) from again


def _read_header(text: DelimitedText) -> list[str]:
    return next((row for _, row in text.read_records("strict")), [])


def _trim_records(text: DelimitedText, width: int | None) -> io.BytesIO:
    """The file in UTF-8; with a width, its records with just so many fields."""
    if width is None:
        with text.open_text("strict") as file:
            return io.BytesIO(file.read().encode())
    copy = io.StringIO(newline="")
    rows = csv.writer(copy, delimiter=text.field_separator, lineterminator=_BOTH_ENDS)
    for _, row in text.read_records("strict"):
        rows.writerow([*row[:width], *[""] * (width - len(row))])
    return io.BytesIO(copy.getvalue().encode())


# writing


def write_delimited_parts(
    parts: Iterable[Any], path: Path, kind: str, options: TableOptions
) -> int:
    """Write pandas tables one below the other, under one header; the number of rows. There is no
    place for an index: one with a name becomes a column, one without is dropped."""
    rows = 0
    with open_to_write(path, options) as file:
        for number, frame in enumerate(parts):
            frame.to_csv(
                _UnixLines(file),
                sep=options.separator or SEPARATORS[kind],
                decimal=options.decimal or ".",
                na_rep=options.missing[0] if options.missing else "",
                header=not number,
                index=any(name is not None for name in frame.index.names),
                lineterminator=_BOTH_ENDS,
            )
            rows += len(frame)
    return rows


class _UnixLines(io.TextIOBase):
    """Ends each row, which was written with both marks, with a line feed: the standard library
    quotes of the marks that end a line only its own line end's, and any reader takes both for an
    end."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def write(self, row: str) -> int:
        return self.file.write(row.removesuffix(_BOTH_ENDS) + "\n")


@contextlib.contextmanager
def open_to_write(path: Path, options: TableOptions = NO_OPTIONS) -> Iterator[IO[str]]:
    """A text file, gzipped where its name says so; its gzip holds no name and no time."""
    encoding = options.encoding or "utf-8"
    if path.suffix.lower() != ".gz":
        with path.open("w", encoding=encoding, newline="") as file:
            yield file
        return
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding=encoding, newline="") as text,
    ):
        yield text
