"""Tables too large for memory: read and written part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import Fault, StepFailed
from towpath.steps import formats
from towpath.steps.formats import Asked, Format


@dataclass(frozen=True)
class Source:
    """A table in a file; ``name`` is the file's real name."""

    path: Path
    name: str
    format: Format | None

    def parts(self, size: int | None) -> Iterator[Any]:
        """The table as pandas: whole, or at most ``size`` rows at a time, in order.

        A part has the types of the whole where the file tells them; a CSV file does not, so its
        parts may differ where its values do.
        """
        _require_table(self.format, self.name)
        assert self.format
        formats.refuse_pointer(self.path, self.name)
        if size is None:
            yield formats.read(self.path, Asked(self.name, declared=self.format.name))
        elif self.format.name == "parquet":
            yield from self._parquet(size)
        else:
            yield from self._delimited(size)

    def _parquet(self, size: int) -> Iterator[Any]:
        from pyarrow import parquet

        with parquet.ParquetFile(self.path) as file:
            if not file.metadata.num_rows:
                yield file.read().to_pandas()
            for batch in file.iter_batches(size):
                yield batch.to_pandas()

    def _delimited(self, size: int) -> Iterator[Any]:
        import pandas

        assert self.format
        separator = "\t" if self.format.name == "tsv" else ","
        with pandas.read_csv(self.path, sep=separator, chunksize=size) as parts:
            yield from parts


@dataclass(frozen=True)
class Target:
    """A table to be written."""

    path: Path
    format: Format | None

    def write(self, parts: Iterable[Any]) -> int:
        """Write the parts one after another; the number of rows."""
        _require_table(self.format, self.path.name)
        assert self.format
        numbered = enumerate(parts)
        _, first = next(numbered)
        second = next(numbered, None)
        if second is None:
            formats.write(first, self.path, self.format.name)
            return len(first)
        rest = (part for _, part in (second, *numbered))
        if self.format.name == "parquet":
            return self._parquet(first, rest)
        return self._delimited(first, rest)

    def _parquet(self, first: Any, rest: Iterable[Any]) -> int:
        import pyarrow
        from pyarrow import parquet

        table = pyarrow.Table.from_pandas(first)
        rows = len(first)
        with parquet.ParquetWriter(self.path, table.schema) as writer:
            writer.write_table(table)
            for part in rest:
                writer.write_table(pyarrow.Table.from_pandas(part, schema=table.schema))
                rows += len(part)
        return rows

    def _delimited(self, first: Any, rest: Iterable[Any]) -> int:
        assert self.format
        formats.write(first, self.path, self.format.name)
        separator = "\t" if self.format.name == "tsv" else ","
        rows = len(first)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            for part in rest:
                part.to_csv(file, sep=separator, header=False, index=False, lineterminator="\n")
                rows += len(part)
        return rows


def _require_table(format: Format | None, name: str) -> None:
    if format is None or format.module != "tables":
        raise StepFailed(Fault(f"{name} is no table", hint="a .csv, .tsv or .parquet is"))
