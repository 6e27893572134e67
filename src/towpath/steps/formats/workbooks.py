"""Workbooks of Excel (.xlsx): the first sheet, by openpyxl, without times among the bytes."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

from towpath.config.table_options import TableOptions
from towpath.errors import StepFailed
from towpath.steps.formats import column_types

_BEGINNING = (1980, 1, 1, 0, 0, 0)  # of time, for zip archives
_TIME = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*(</dcterms:)")
_NOT_INSTALLED = "pip install 'towpath[excel]'"


def read_workbook(path: Path, name: str, options: TableOptions) -> Any:
    import pandas

    _require_library(name)
    # A cell knows whether it holds text or a number: "007" and "NA" that are text stay text.
    # An empty cell is no text of any kind, whatever is declared to be missing.
    missing = ["", *(options.missing or ())]
    with path.open("rb") as file:
        try:
            frame = pandas.read_excel(
                file, engine="openpyxl", dtype=object, na_values=missing, keep_default_na=False
            )
        except zipfile.BadZipFile as error:
            raise ValueError("it is no workbook") from error
    return column_types.convert_columns(frame.infer_objects(), options, name)


def write_workbook(frame: Any, path: Path) -> None:
    """Write one sheet; an index with a name becomes a column, one without is dropped."""
    _require_library(path.name)
    book = io.BytesIO()
    named = any(name is not None for name in frame.index.names)
    frame.to_excel(book, index=named, engine="openpyxl", merge_cells=False)
    path.write_bytes(_without_times(book.getvalue()))


def _without_times(book: bytes) -> bytes:
    """The same workbook: openpyxl writes the time into its properties and into the archive."""
    copy = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book)) as source,
        zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.namelist():
            data = source.read(member)
            if member == "docProps/core.xml":
                data = _TIME.sub(rb"\g<1>1980-01-01T00:00:00Z\3", data)
            entry = zipfile.ZipInfo(member, _BEGINNING)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, data)
    return copy.getvalue()


def _require_library(name: str) -> None:
    try:
        import openpyxl  # noqa: F401
    except ModuleNotFoundError:
        what = f"{name} needs openpyxl, which is not installed"
        raise StepFailed(what, hint=_NOT_INSTALLED) from None
