"""A model's file applied to a table's file, outside of any run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from towpath.errors import Fault, StepFailed
from towpath.steps import batch_transform, formats, tables


def faults(model: str, data: Path, output: Path) -> Iterator[Fault]:
    """What can be said before anything is read: files that no reader or writer here knows."""
    if not _is(model, "model_files"):
        hint = "a .skops file can be scored with; another is for your own code"
        yield Fault(f"{model} is no model that can be read here", hint=hint)
    for path in (data, output):
        if not _is(path.name, "tables"):
            yield Fault(f"{path} is no table", hint="a .csv, .tsv or .parquet is")
    if not data.is_file():
        yield Fault(f"there is no file {data}")


def read(path: Path, trust: Iterable[str] = ()) -> Any:
    """A model's file, if it holds nothing but known types and those that the project trusts.

    Its bytes must have been held against their digest before.
    """
    if not _is(path.name, "model_files"):
        raise StepFailed(Fault(f"{path.name} is no model that can be read here"))
    return formats.read(path, formats.Asked(path.name, trust=tuple(trust)))


def score(
    model: Path,
    data: Path,
    output: Path,
    trust: Iterable[str] = (),
    method: str = "predict",
    batch_size: int | None = None,
) -> int:
    """Write the table's rows with the prediction beside them; the number of rows.

    With ``batch_size`` only so many rows are in memory at a time. ``output`` appears whole or not
    at all. Raises ``StepFailed`` for columns that the table lacks, ``Refused`` for a model's file
    that holds what is not known to be safe.
    """
    loaded = read(model, trust)
    if not hasattr(loaded, method):
        raise StepFailed(Fault(f"a {type(loaded).__name__} has no `{method}`"))
    source = tables.Source(data, data.name, formats.known(data.name))
    parts = (batch_transform.scored(loaded, part, method) for part in source.parts(batch_size))
    scratch = output.with_name(f".{os.urandom(4).hex()}.{output.name}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        rows = tables.Target(scratch, formats.known(output.name)).write(parts)
        scratch.replace(output)
    except OSError as refused:
        raise StepFailed(Fault(f"{output} cannot be written: {refused.strerror}")) from refused
    finally:
        scratch.unlink(missing_ok=True)
    return rows


def _is(name: str, module: str) -> bool:
    found = formats.known(name)
    return found is not None and found.module == module
