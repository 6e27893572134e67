"""Tables that are no text, read by a process of its own: a file that is made to break its reader
ends that process, and not Studio."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from towpath.config import foreign_values as foreign
from towpath.config.foreign_values import Fields
from towpath.errors import Malformed
from towpath.studio.previews import arrow_rows
from towpath.studio.previews.preview_parts import (
    MOST_CELL,
    MOST_COLUMNS,
    MOST_ROWS,
    NoPreview,
    PreviewColumn,
    TablePreview,
    cut_cell,
)

_PATIENCE = 10.0  # seconds
_LONGEST = 4 << 20  # bytes of its answer
_KEPT = ("PATH", "TZ", "LANG", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


#: One at a time: each may hold 1.5 GB for a moment where a file unpacks to so much.
_READING = threading.Lock()


def read_binary_table(path: Path, format_name: str) -> TablePreview:
    """The first rows of a parquet or feather file. Raises NoPreview, with why."""
    limits = [str(limit) for limit in (MOST_ROWS, MOST_COLUMNS, MOST_CELL)]
    words = [sys.executable, "-P", "-B", str(arrow_rows.__file__), format_name, str(path), *limits]
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        with _READING:
            ended = subprocess.run(
                words, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=_PATIENCE, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NoPreview("Reading it takes too long: download it, or fetch it.") from None
    try:
        answer = Fields(foreign.parse_json(ended.stdout[:_LONGEST]))
        if fault := answer.find_optional("fault", foreign.read_text):
            raise NoPreview(f"It cannot be read: {fault[:300]}.")
        return _read_answer(answer)
    except Malformed:
        what = "It is damaged, or too large: its reader broke off."
        raise NoPreview(what) from None


def _read_answer(answer: Fields) -> TablePreview:
    texts = foreign.list_of(foreign.read_text)
    names, types = answer.get("names", texts), answer.get("types", texts)
    rows = answer.get("rows", foreign.list_of(texts))
    numbers = answer.get("numbers", foreign.list_of(foreign.read_flag))
    columns = tuple(
        PreviewColumn(cut_cell(name), column_type[:MOST_CELL], is_number)
        for name, column_type, is_number in zip(names, types, numbers, strict=False)
    )
    cells = tuple(tuple(cut_cell(value) for value in row) for row in rows)
    count = answer.get("count", foreign.read_count)
    return TablePreview(columns, cells, count, answer.get("left", foreign.read_count))
