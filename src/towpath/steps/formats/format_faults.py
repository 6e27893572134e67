"""What a reader or a writer raised, in words: the file, its format, and the cause in one line.

A package may raise anything, and does: errors of its own, an `OverflowError`, a panic of Rust that
is no `Exception`. Whatever it is, it is about the file and no fault of Towpath.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from towpath.errors import Fault, StepFailed, name_causes

_LONGEST = 300
_PLAIN = (ValueError, TypeError, AttributeError, OSError)
"""Errors whose words say all; the name of any other is part of them."""


def unreadable_file(name: str, kind: str, error: BaseException) -> StepFailed:
    """The fault of a file called ``name`` that a reader refused."""
    causes = name_causes(type(error))
    return StepFailed(Fault(f"{name} cannot be read as {kind}: {_in_a_line(error)}"), causes=causes)


def unwritable_value(kind: str, value: object, error: BaseException) -> StepFailed:
    """The fault of a value that a writer refused."""
    column, hint = _explain_table(value) if hasattr(value, "columns") else ("", None)
    where = f"column `{column}`: " if column else ""
    what = f"cannot be written as {kind}: {where}{_in_a_line(error)}"
    return StepFailed(Fault(what, hint=hint), causes=name_causes(type(error)))


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
