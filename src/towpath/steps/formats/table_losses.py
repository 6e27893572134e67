"""What a format of tables would lose in silence: it is an error instead, before a byte is written.

The writers take such tables, and who reads the file finds another one: levels of names become rows,
one of two columns with a name is gone, a number has other digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

from towpath.errors import Fault, StepFailed

_ONE_HEADER = ("csv", "tsv", "xlsx", "jsonl")
_EXACT = 2**53  # up to here a double, which is all that Excel has, tells each integer from the next


def refuse_losses(frame: Any, kind: str) -> None:
    """Raise ``StepFailed`` for each thing in a pandas table that a file of ``kind`` would not give
    back: it has no place there, and the writer would not say so."""
    if faults := list(_find_losses(frame, kind)):
        raise StepFailed(*faults)


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
