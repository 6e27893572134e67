"""The process that reads a table which is no text: the first rows, as JSON, within limits.

It is started as a file, and imports nothing of ours: `arrow_rows.py FORMAT PATH ROWS COLUMNS CELL`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_MEMORY = 3 << 29  # bytes of addresses, of which Arrow reserves more than it uses
_SECONDS = 8


def _limit_process() -> None:
    import contextlib
    import resource

    limits = {
        resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: _SECONDS, resource.RLIMIT_AS: _MEMORY,
        resource.RLIMIT_FSIZE: 0,
    }  # fmt: skip
    for limit, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # not every system has each
            resource.setrlimit(limit, (value, value))


def _read_parquet(path: str, rows: int, columns: int) -> tuple[Any, Any, int]:
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    schema = file.schema_arrow
    names = schema.names[:columns]
    batches = file.iter_batches(batch_size=rows, columns=names, use_threads=False)
    return schema, next(batches, None), file.metadata.num_rows


def _read_feather(path: str, rows: int, columns: int) -> tuple[Any, Any, int]:
    import pyarrow
    import pyarrow.ipc

    reader = pyarrow.ipc.open_file(pyarrow.memory_map(path))
    batches = [reader.get_batch(number) for number in range(min(reader.num_record_batches, 10_000))]
    first = next((batch for batch in batches if batch.num_rows), None)
    if first is not None:
        first = first.slice(0, rows).select(reader.schema.names[:columns])
    return reader.schema, first, sum(batch.num_rows for batch in batches)


def _show_value(value: Any, longest: int) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text[: 2 * longest].encode("utf-8", "replace").decode()


def _describe_table(format_name: str, path: str, rows: int, columns: int, cell: int) -> object:
    import pyarrow

    pyarrow.set_cpu_count(1)
    read_table = _read_parquet if format_name == "parquet" else _read_feather
    schema, batch, count = read_table(path, rows, columns)
    fields = [schema.field(i) for i in range(min(len(schema.names), columns))]
    values: list[list[Any]] = batch.columns if batch is not None else []
    height = batch.num_rows if batch is not None else 0
    return {
        "names": [field.name for field in fields],
        "types": [str(field.type) for field in fields],
        "numbers": [
            bool(pyarrow.types.is_integer(f.type) or pyarrow.types.is_floating(f.type))
            for f in fields
        ],
        "rows": [
            [_show_value(column[row].as_py(), cell) for column in values] for row in range(height)
        ],
        "count": count,
        "left": len(schema.names) - len(fields),
    }


def _answer_order(arguments: list[str]) -> None:
    _limit_process()
    format_name, path, *limits = arguments
    rows, columns, cell = map(int, limits)
    try:
        answer = _describe_table(format_name, path, rows, columns, cell)
    except Exception as fault:  # whatever a stranger's file does to its reader
        words = str(fault).strip().splitlines() or [type(fault).__name__]
        answer = {"fault": words[0][:300].rstrip(".")}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _answer_order(sys.argv[1:])
