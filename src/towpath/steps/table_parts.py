"""Tables too large for memory: read and written part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.errors import Fault, StepFailed
from towpath.steps import formats
from towpath.steps.formats import Format, ReadRequest


@dataclass(frozen=True)
class TableSource:
    """A table in a file; ``name`` is the file's real name."""

    path: Path
    name: str
    format: Format | None
    options: TableOptions = NO_OPTIONS

    def read_parts(self, size: int | None) -> Iterator[Any]:
        """The table as pandas: whole, or at most ``size`` rows at a time, in order.

        A part has the types of the whole where the file tells them; a CSV file does not, so its
        parts may differ where its values do.
        """
        format = _require_table(self.format, self.name)
        formats.refuse_pointer(self.path, self.name)
        request = ReadRequest(self.name, declared=format.name, options=self.options)
        if size is None:
            yield formats.read_file(self.path, request)
        else:
            yield from formats.read_file_parts(self.path, request, size)


@dataclass(frozen=True)
class TableTarget:
    """A table to be written."""

    path: Path
    format: Format | None
    options: TableOptions = NO_OPTIONS

    def write(self, parts: Iterable[Any]) -> int:
        """Write the parts one after another; the number of rows."""
        format = _require_table(self.format, self.path.name)
        rows: int = format.load_module().write_parts(parts, self.path, format.name, self.options)
        return rows


def _require_table(format: Format | None, name: str) -> Format:
    if format is None or not format.is_table:
        raise StepFailed(Fault(f"{name} is no table", hint=formats.TABLES))
    return format
