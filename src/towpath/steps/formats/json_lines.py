"""JSON Lines (.jsonl): one JSON object a line, read as a table whose columns are the keys."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import Fault, Place, StepFailed
from towpath.steps.formats import column_types, delimited
from towpath.steps.formats.jsons import plain_json

_GZIP = b"\x1f\x8b"
_EXACT = 2**53  # up to here a float tells each integer from the next


def read_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == _GZIP else data


def read_json_lines(path: Path, name: str) -> Iterator[Any]:
    """The value of each line that is not blank; ``StepFailed`` with the line that holds none."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
    with gzip.open(path) if packed else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
                except ValueError as error:
                    what = f"the line is no JSON document: {error}"
                    hint = "JSON Lines hold one document a line; a single one is .json"
                    raise StepFailed(Fault(what, Place(name, number), hint)) from error


def read_json_line_parts(
    path: Path, name: str, size: int | None, options: TableOptions = NO_OPTIONS
) -> Iterator[Any]:
    """The table as pandas, whole or at most ``size`` rows at a time, in order."""
    rows = _read_objects(path, name)
    first = list(itertools.islice(rows, size))
    while True:
        yield column_types.convert_columns(_build_frame(first), options, name)
        if size is None or not (first := list(itertools.islice(rows, size))):
            return


def _read_objects(path: Path, name: str) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(read_json_lines(path, name), 1):
        if not isinstance(row, dict):
            what = f"document {number} is no object, and a table's row is one"
            hint = "annotate the argument `list`, and take the documents as they are"
            raise StepFailed(Fault(what, Place(name), hint))
        yield row


def _build_frame(rows: list[dict[str, Any]]) -> Any:
    import pandas

    frame = pandas.DataFrame.from_records(rows)
    for name in frame.columns[frame.dtypes == "float64"]:
        values = [row.get(name) for row in rows]
        # Beside a missing value pandas makes a float of an integer, which rounds a long one.
        if any(type(value) is int and abs(value) > _EXACT for value in values) and all(
            value is None or type(value) is int for value in values
        ):
            frame[name] = pandas.array(values, dtype="Int64")
    return frame


def write_json_line_parts(parts: Iterable[Any], path: Path) -> int:
    """Write pandas tables one below the other; the number of rows. What is missing is ``null``."""
    count = 0
    with delimited.open_to_write(path) as file:
        for frame in parts:
            if any(name is not None for name in frame.index.names):
                frame = frame.reset_index()
            for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
                file.write(_json_line(row))
                count += 1
    return count


def write_rows(rows: Iterable[Any], path: Path) -> None:
    with delimited.open_to_write(path) as file:
        for row in rows:
            file.write(_json_line(row))


def _json_line(row: Any) -> str:
    return json.dumps(plain_json(row), ensure_ascii=False) + "\n"
