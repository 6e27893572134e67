"""Tables: .parquet, .csv and .tsv, as pandas, pyarrow or polars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.errors import Fault, StepFailed

_SEPARATOR = {"csv": ",", "tsv": "\t"}

if TYPE_CHECKING:
    from towpath.steps.formats import Asked


def read(path: Path, asked: Asked) -> Any:
    """A table as the library asked for gives it."""
    assert asked.format
    kind = asked.format.name
    if asked.wanted == "polars.DataFrame":
        return _polars(path, kind)
    if asked.wanted == "pyarrow.Table":
        return _arrow(path, kind)
    frame = _pandas(path, kind)
    return frame.to_numpy() if asked.wanted == "numpy.ndarray" else frame


def _pandas(path: Path, kind: str) -> Any:
    import pandas

    if kind == "parquet":
        return pandas.read_parquet(path)
    try:
        return pandas.read_csv(path, sep=_SEPARATOR[kind])
    except pandas.errors.EmptyDataError as error:
        raise ValueError("the file is empty") from error


def _arrow(path: Path, kind: str) -> Any:
    if kind == "parquet":
        from pyarrow import parquet

        return parquet.read_table(path)
    from pyarrow import csv

    return csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=_SEPARATOR[kind]))


def _polars(path: Path, kind: str) -> Any:
    import polars  # type: ignore[import-not-found,unused-ignore]

    if kind == "parquet":
        return polars.read_parquet(path)
    return polars.read_csv(path, separator=_SEPARATOR[kind])


def write(value: Any, path: Path, kind: str) -> None:
    """Write a table; the same table gives the same bytes.

    A CSV has no place for an index: one with a name becomes a column, one without is dropped.
    """
    if isinstance(value, str) and kind != "parquet":
        path.write_text(value, encoding="utf-8", newline="")
        return
    library = type(value).__module__.partition(".")[0]
    if library == "polars":
        _write_polars(value, path, kind)
    elif library == "pyarrow":
        _write_arrow(value, path, kind)
    else:
        _write_pandas(_framed(value), path, kind)


def _framed(value: Any) -> Any:
    import pandas

    if isinstance(value, pandas.Series):
        return value.to_frame()
    if isinstance(value, pandas.DataFrame):
        return value
    hint = (
        "return the table itself"
        if isinstance(value, dict)
        else "give it column names: pandas.DataFrame(...)"
    )
    raise StepFailed(Fault(f"a {type(value).__name__} is no table", hint=hint))


def _write_pandas(frame: Any, path: Path, kind: str) -> None:
    if kind == "parquet":
        frame.to_parquet(path, engine="pyarrow")
        return
    named = any(name is not None for name in frame.index.names)
    frame.to_csv(path, sep=_SEPARATOR[kind], index=named, lineterminator="\n")


def _write_arrow(table: Any, path: Path, kind: str) -> None:
    if kind == "parquet":
        from pyarrow import parquet

        parquet.write_table(table, path)
        return
    from pyarrow import csv

    csv.write_csv(table, path, csv.WriteOptions(delimiter=_SEPARATOR[kind]))


def _write_polars(frame: Any, path: Path, kind: str) -> None:
    if kind == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator=_SEPARATOR[kind])
