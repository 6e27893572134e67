"""The declared types of a table's columns, as each library has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from towpath.config.table_options import TableOptions
from towpath.errors import Fault, Place, StepFailed, did_you_mean

# What pandas takes for a missing value, by its documentation.
_MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)

_OFFSET = re.compile(r":[0-9.]+ *(Z|[+-][0-9]{2}:?([0-9]{2})?)$")
_TRUE, _FALSE = ("true", "1"), ("false", "0")


def missing_arguments(options: TableOptions, columns: Iterable[str]) -> dict[str, Any]:
    """What pandas is told of missing values: in a column of text only the empty one."""
    if options.missing is not None:
        return {"na_values": list(options.missing), "keep_default_na": False}
    texts = {name for name, kind in options.types.items() if kind in ("string", "category")}
    if not texts:
        return {}
    values = {name: [""] if name in texts else list(_MISSING) for name in columns}
    return {"na_values": values, "keep_default_na": False}


def require_columns(types: Mapping[str, str], columns: Iterable[str], file: str) -> None:
    """Raise ``StepFailed`` for each column that has a declared type and is not in the table."""
    columns = list(columns)
    faults = [
        Fault(
            f"`types` names a column `{name}`, which is not there",
            Place(file),
            did_you_mean(name, columns) or f"it has {', '.join(columns[:9])}",
        )
        for name in types
        if name not in columns
    ]
    if faults:
        raise StepFailed(*faults)


def convert_columns(frame: Any, options: TableOptions, file: str) -> Any:
    """A pandas table whose columns of declared type, read as text, have that type. Raises
    ``StepFailed`` for each column that holds what is not of its type."""
    require_columns(options.types, map(str, frame.columns), file)
    faults = []
    for name, kind in options.types.items():
        try:
            frame[name] = _CONVERTERS[kind](frame[name], options)
        except (ValueError, TypeError) as error:
            what = f"column `{name}` is not of type {kind}: {_first_line(error)}"
            faults.append(Fault(what, Place(file)))
    if faults:
        raise StepFailed(*faults)
    return frame


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _convert_number(column: Any, options: TableOptions) -> Any:
    numbers = _plain_numbers(column, options)
    words = column.map(lambda value: str(value).strip().lower())
    _refuse_rows(column, numbers.isna() & column.notna() & ~words.isin(["nan", "+nan", "-nan"]))
    return numbers.astype("float64")


def _convert_integer(column: Any, options: TableOptions) -> Any:
    if column.dtype.kind in "iu":
        return column
    texts = column.map(_whole_number, na_action="ignore")
    numbers = _plain_numbers(texts, options)
    _refuse_rows(column, (numbers.isna() & column.notna()) | (numbers.notna() & (numbers % 1 != 0)))
    return numbers if numbers.dtype.kind == "i" else _exact_integers(column, texts, options)


def _exact_integers(column: Any, texts: Any, options: TableOptions) -> Any:
    """Each to its last digit: beside a missing value pandas makes a float of it, which rounds."""
    import pandas

    point = options.decimal or "."
    exact = [None if pandas.isna(text) else _exact_integer(str(text), point) for text in texts]
    beyond = [number is not None and not -(2**63) <= number < 2**63 for number in exact]
    _refuse_rows(column, pandas.Series(beyond, column.index, dtype=bool))
    kind = "Int64" if None in exact else "int64"
    return pandas.Series(pandas.array(exact, dtype=kind), column.index)


def _exact_integer(text: str, point: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(float(text.replace(point, ".")))  # 7.0, or 1e3


def _whole_number(value: Any) -> Any:
    """A spreadsheet keeps 7 as 7.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain_numbers(column: Any, options: TableOptions) -> Any:
    import pandas

    if options.decimal == "," and not bool(column.dtype.kind in "iufb"):
        column = column.map(lambda value: str(value).replace(",", "."), na_action="ignore")
    return pandas.to_numeric(column, errors="coerce")


def _convert_boolean(column: Any, _: TableOptions) -> Any:
    words = column.map(lambda value: str(value).strip().lower(), na_action="ignore")
    words = words.map(lambda value: value.removesuffix(".0"), na_action="ignore")
    values_by_word = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
    _refuse_rows(column, words.notna() & ~words.isin(list(values_by_word)))
    flags = words.map(values_by_word)
    return flags.astype("boolean" if flags.isna().any() else "bool")


def _convert_datetime(column: Any, _: TableOptions) -> Any:
    import pandas

    if column.dtype.kind == "M":
        return column
    zones = column.map(lambda value: bool(_OFFSET.search(str(value))), na_action="ignore").dropna()
    if zones.nunique() > 1:
        row = zones.ne(zones.iloc[0]).to_numpy().argmax()
        first, other = column[zones.index[0]], column[zones.index[row]]
        raise ValueError(f"`{first}` and `{other}` differ in whether they tell their offset")
    # Summer and winter differ in their offset; a column has one, and the moments stay the same.
    several = bool(zones.any()) and column.map(_find_offset, na_action="ignore").nunique() > 1
    times = pandas.to_datetime(column, format="ISO8601", errors="coerce", utc=several)
    _refuse_rows(column, times.isna() & column.notna())  # 01.02.2026 is a guess, and is not made
    return times


def _find_offset(value: Any) -> str:
    offset = _OFFSET.search(str(value))
    return offset[0] if offset else ""


def _refuse_rows(column: Any, refused: Any) -> None:
    """Raise ``ValueError`` with the first value that is refused, and its row, counted from 0."""
    if refused.any():
        row = refused.to_numpy().argmax()
        count = int(refused.sum())
        more = f", and so do {count - 1:,} more" if count > 1 else ""
        raise ValueError(f"row {column.index[row]} holds `{column.iloc[row]}`{more}")


_CONVERTERS: Mapping[str, Callable[[Any, TableOptions], Any]] = {
    "string": lambda column, _: column.map(str, na_action="ignore"),
    "integer": _convert_integer,
    "number": _convert_number,
    "boolean": _convert_boolean,
    "datetime": _convert_datetime,
    "category": lambda column, _: column.map(str, na_action="ignore").astype("category"),
}


def convert_texts(
    column: Callable[[str], Any], options: TableOptions, file: str
) -> Mapping[str, Any]:
    """The columns of declared type of a table of pyarrow or polars, by name, as pyarrow has them:
    from text, which ``column`` gives, by pandas' rules, so that a declaration means one thing."""
    if not options.types:
        return {}
    import pandas
    import pyarrow

    texts = {}
    for name, kind in options.types.items():
        text = column(name).to_pandas()
        missing = [""] if kind in ("string", "category") else list(_MISSING)
        texts[name] = text if options.missing is not None else text.mask(text.isin(missing))
    frame = convert_columns(pandas.DataFrame(texts), options, file)
    return {
        name: _arrow_column(pyarrow.Array.from_pandas(frame[name]), kind)
        for name, kind in options.types.items()
    }


def _arrow_column(array: Any, kind: str) -> Any:
    import pyarrow

    if kind == "datetime":
        return array.cast(pyarrow.timestamp("us", getattr(array.type, "tz", None)))
    plain = {
        "string": pyarrow.string(),
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "category": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    }
    return array.cast(plain[kind])
