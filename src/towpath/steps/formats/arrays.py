"""Numpy arrays (.npy), and several by name in one archive (.npz): no pickled objects inside."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The earliest time that a zip archive can tell: with that of now no digest would repeat.
_EPOCH = (1980, 1, 1, 0, 0, 0)

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    """The array; of an archive all of them, by name."""
    import numpy

    assert asked.format
    with path.open("rb") as file:
        if asked.format.name == "npy":
            return numpy.lib.format.read_array(file, allow_pickle=False)
        archive = numpy.load(file, allow_pickle=False)
        if not hasattr(archive, "files"):
            raise ValueError("it holds one array, and no archive of them: that is .npy")
        return {name: archive[name] for name in archive.files}


def write(value: Any, path: Path, kind: str) -> None:
    """Write what can be an array; into an archive arrays by name, or as numpy calls them."""
    import numpy

    if kind == "npy":
        with path.open("wb") as file:
            numpy.lib.format.write_array(file, numpy.asarray(value), allow_pickle=False)
        return
    if not isinstance(value, Mapping):
        several = value if isinstance(value, list | tuple) else [value]
        value = {f"arr_{number}": array for number, array in enumerate(several)}
    names = [str(key) for key in value]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two arrays are called {name}: rename one")
        if name.endswith(".npy"):
            raise ValueError(f"numpy takes {name} for a member's file name: leave .npy out")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in value.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            with archive.open(entry, "w", force_zip64=True) as file:
                numpy.lib.format.write_array(file, numpy.asarray(array), allow_pickle=False)
