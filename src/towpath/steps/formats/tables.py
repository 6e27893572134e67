"""Tables: .parquet, .feather, .csv, .tsv, .jsonl and .xlsx, as pandas, pyarrow, polars or numpy."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import Fault, StepFailed
from towpath.steps.formats import delimited, json_lines, workbooks
from towpath.steps.formats.delimited import DelimitedText

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest

_DELIMITED = ("csv", "tsv")
_AS_PANDAS = ("", "pandas.DataFrame", "numpy.ndarray")


def read(path: Path, asked: ReadRequest) -> Any:
    """A table as the library asked for gives it; of JSON Lines also a list, or the text."""
    assert asked.format
    kind = asked.format.name
    if kind == "jsonl" and asked.wanted in ("list", "str", "bytes"):
        if asked.wanted == "list":
            return list(json_lines.read_json_lines(path, asked.name))
        data = json_lines.read_bytes(path)
        return data if asked.wanted == "bytes" else data.decode()
    if asked.wanted == "polars.LazyFrame":
        return _scan_polars(path, kind, asked)
    if asked.wanted == "polars.DataFrame":
        return _read_polars(path, kind, asked)
    if asked.wanted == "pyarrow.Table":
        return _read_arrow(path, kind, asked)
    frame = next(read_parts(path, asked, None))
    return frame.to_numpy() if asked.wanted == "numpy.ndarray" else frame


def read_parts(path: Path, asked: ReadRequest, size: int | None) -> Iterator[Any]:
    """The table as pandas, whole or at most ``size`` rows at a time, in order. The parts of a CSV
    may differ in their types where its values do and nothing declares them."""
    assert asked.format
    match asked.format.name:
        case "csv" | "tsv":
            yield from delimited.read_delimited_parts(_delimited_text(path, asked), size)
        case "jsonl":
            yield from json_lines.read_json_line_parts(path, asked.name, size, asked.options)
        case "parquet" if size is not None:
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                if not file.metadata.num_rows:
                    yield file.read().to_pandas()
                for batch in file.iter_batches(size):
                    yield batch.to_pandas()
        case kind:
            frame = _read_whole(path, kind, asked)
            yield from [frame] if size is None else _slice_frame(frame, size)


def notes(path: Path, asked: ReadRequest) -> Iterator[str]:
    """What a person may want to know of how a table is read."""
    if asked.format and asked.format.name in _DELIMITED and asked.wanted in _AS_PANDAS:
        yield from delimited.delimited_notes(_delimited_text(path, asked))


def _delimited_text(path: Path, asked: ReadRequest) -> DelimitedText:
    assert asked.format
    return DelimitedText(path, asked.name, asked.format.name, asked.options)


def _read_whole(path: Path, kind: str, asked: ReadRequest) -> Any:
    import pandas

    if kind == "xlsx":
        return workbooks.read_workbook(path, asked.name, asked.options)
    return pandas.read_feather(path) if kind == "feather" else pandas.read_parquet(path)


def _slice_frame(frame: Any, size: int) -> Iterator[Any]:
    for start in range(0, max(len(frame), 1), size):
        yield frame.iloc[start : start + size]


def _read_arrow(path: Path, kind: str, asked: ReadRequest) -> Any:
    if kind in _DELIMITED:
        return delimited.read_arrow(_delimited_text(path, asked))
    if kind == "parquet":
        from pyarrow import parquet

        return parquet.read_table(path)
    if kind == "feather":
        from pyarrow import feather

        return feather.read_table(path)
    import pyarrow

    return pyarrow.Table.from_pandas(next(read_parts(path, asked, None)), preserve_index=False)


def _read_polars(path: Path, kind: str, asked: ReadRequest) -> Any:
    import polars

    if kind in _DELIMITED:
        return delimited.read_polars(_delimited_text(path, asked))
    if kind == "parquet":
        return polars.read_parquet(path)
    if kind == "feather":
        with path.open("rb") as file:  # by its name it would be mapped into memory
            return polars.read_ipc(file)
    return polars.from_pandas(next(read_parts(path, asked, None)))


def _scan_polars(path: Path, kind: str, asked: ReadRequest) -> Any:
    """A table that polars reads only as far as it is needed; of text, which is held against its
    header first, the whole."""
    import polars

    if kind == "parquet":
        return polars.scan_parquet(path, glob=False)  # a folder's name may hold brackets
    return _read_polars(path, kind, asked).lazy()


def write(value: Any, path: Path, kind: str, options: TableOptions = NO_OPTIONS) -> None:
    """Write a table; the same table gives the same bytes. A CSV has no place for an index: one with
    a name becomes a column, one without is dropped. So it is in every format but parquet."""
    if isinstance(value, str) and kind in (*_DELIMITED, "jsonl"):
        with delimited.open_to_write(path, options) as file:
            file.write(value)
        return
    if kind == "jsonl" and isinstance(value, list | tuple):
        json_lines.write_rows(value, path)
        return
    library = type(value).__module__.partition(".")[0]
    if library == "polars" and hasattr(value, "collect"):
        if kind == "parquet":
            value.sink_parquet(path, engine="streaming")
            return
        value = value.collect(engine="streaming")
    if library in ("polars", "pyarrow") and _writes_natively(path, kind, options):
        (_write_polars if library == "polars" else _write_arrow)(value, path, kind, options)
    else:
        write_parts([_as_frame(value)], path, kind, options)


def _writes_natively(path: Path, kind: str, options: TableOptions) -> bool:
    if kind in _DELIMITED:
        has_own_form = options.decimal or options.encoding or options.missing
        return path.suffix.lower() != ".gz" and not has_own_form
    return kind in ("parquet", "feather")


def write_parts(
    parts: Iterable[Any], path: Path, kind: str, options: TableOptions = NO_OPTIONS
) -> int:
    kept = _kept_whole(parts, kind)
    parts = itertools.chain(list(itertools.islice(kept, 1)), kept)  # refused before a file is made
    if kind in _DELIMITED:
        return delimited.write_delimited_parts(parts, path, kind, options)
    if kind == "jsonl":
        return json_lines.write_json_line_parts(parts, path)
    numbered = iter(parts)
    first = next(numbered)
    second = next(numbered, None)
    if second is None:
        _write_pandas(first, path, kind)
        return len(first)
    rest = itertools.chain([second], numbered)
    if kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        table = pyarrow.Table.from_pandas(first)
        rows = len(first)
        with parquet.ParquetWriter(path, table.schema) as writer:
            writer.write_table(table)
            for part in rest:
                writer.write_table(pyarrow.Table.from_pandas(part, schema=table.schema))
                rows += len(part)
        return rows
    import pandas

    whole = pandas.concat([first, *rest], ignore_index=True)
    _write_pandas(whole, path, kind)
    return len(whole)


def _kept_whole(parts: Iterable[Any], kind: str) -> Iterator[Any]:
    """The parts as they come, none of which a file of ``kind`` would not give back."""
    for part in parts:
        if faults := list(_find_losses(part, kind)):
            raise StepFailed(*faults)
        yield part


def _as_frame(value: Any) -> Any:
    import pandas

    library = type(value).__module__.partition(".")[0]
    if library in ("polars", "pyarrow") and hasattr(value, "to_pandas"):
        return value.to_pandas()
    if isinstance(value, pandas.Series):
        return value.to_frame()
    if isinstance(value, pandas.DataFrame):
        return value
    hint = (
        "return the table itself"
        if isinstance(value, dict)
        else "give it column names: pandas.DataFrame(...)"
    )
    raise StepFailed(f"a {type(value).__name__} is no table", hint=hint)


def _write_pandas(frame: Any, path: Path, kind: str) -> None:
    if kind == "xlsx":
        workbooks.write_workbook(frame, path)
    elif kind == "feather":
        named = any(name is not None for name in frame.index.names)
        frame.reset_index(drop=not named).to_feather(path)
    else:
        frame.to_parquet(path, engine="pyarrow")


def _write_arrow(table: Any, path: Path, kind: str, options: TableOptions) -> None:
    if kind == "parquet":
        from pyarrow import parquet

        parquet.write_table(table, path)
    elif kind == "feather":
        from pyarrow import feather

        feather.write_feather(table, str(path))
    else:
        from pyarrow import csv

        separator = options.separator or delimited.SEPARATORS[kind]
        csv.write_csv(table, path, csv.WriteOptions(delimiter=separator))


def _write_polars(frame: Any, path: Path, kind: str, options: TableOptions) -> None:
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "feather":
        frame.write_ipc(path)
    else:
        frame.write_csv(path, separator=options.separator or delimited.SEPARATORS[kind])


# What a format of tables would lose in silence: it is an error instead, before a byte is written.
#
# The writers take such tables, and who reads the file finds another one: levels of names become
# rows, one of two columns with a name is gone, a number has other digits.

_ONE_HEADER = ("csv", "tsv", "xlsx", "jsonl")
_EXACT = 2**53  # up to here a double, which is all that Excel has, tells each integer from the next


def _find_losses(frame: Any, kind: str) -> Iterator[Fault]:
    if frame.columns.nlevels > 1 and kind in _ONE_HEADER:
        hint = 'table.columns = ["_".join(map(str, names)) for names in table.columns] joins them'
        what = f"its columns have names in {frame.columns.nlevels} levels, and a .{kind} has one"
        yield Fault(what, hint=hint)
        return
    if kind == "jsonl" and not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        yield Fault(f"two columns are called `{twice}`, and a JSON object keeps one: rename one")
    if kind == "feather":
        yield from _interval_losses(frame)
    if kind == "xlsx":
        yield from _lost_in_workbook(frame)


def _interval_losses(frame: Any) -> Iterator[Fault]:
    """Columns of ``pandas.cut``, which pyarrow writes and cannot read back."""
    for number, dtype in enumerate(frame.dtypes):
        inner = getattr(getattr(dtype, "categories", None), "dtype", dtype)
        if str(inner).startswith("interval"):
            name = frame.columns[number]
            hint = f'table["{name}"] = table["{name}"].astype(str) keeps it as text'
            yield Fault(f"column `{name}` holds intervals, which a .feather does not", hint=hint)


def _lost_in_workbook(frame: Any) -> Iterator[Fault]:
    for number, dtype in enumerate(frame.dtypes):
        if getattr(dtype, "kind", "") not in "iuO":
            continue
        values = frame.iloc[:, number].dropna()
        long = (v for v in values if isinstance(v, Integral) and abs(int(v)) > _EXACT)
        beyond = next(long, None)
        if beyond is not None:
            name = frame.columns[number]
            hint = f'table["{name}"] = table["{name}"].astype(str) keeps it as text'
            yield Fault(f"column `{name}` holds {beyond}: Excel rounds it", hint=hint)
    is_indexed = any(name is not None for name in frame.index.names)
    if len(frame) and not is_indexed and frame.iloc[-1].isna().all():
        what = "nothing is in its last row, and a sheet ends with the last row that holds something"
        yield Fault(what, hint="drop it, or write .csv or .parquet")
