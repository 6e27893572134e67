"""Numpy arrays, never with pickled objects inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:  # noqa: ARG001 - the shape of every reader
    import numpy

    with path.open("rb") as file:
        return numpy.lib.format.read_array(file, allow_pickle=False)


def write(value: Any, path: Path, kind: str) -> None:  # noqa: ARG001
    import numpy

    with path.open("wb") as file:
        numpy.lib.format.write_array(file, numpy.asarray(value), allow_pickle=False)
