"""Makes a skops file depend on the model alone: no addresses, no times, no stray bytes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can tell
_NUMBER = re.compile(r'("__id__": |"file": ")(\d+)')


def normal(data: bytes) -> bytes:
    """The same model in a file that is the same for every dump of it.

    skops numbers objects, and names its arrays, by their address in memory; here they are
    numbered as they come. Zip members get one time, and padding inside records is zeroed, which
    holds whatever was in memory before (the nodes of a decision tree have seven such bytes each).
    """
    numbers: dict[str, str] = {}
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        schema = _renumber(old.read(_SCHEMA).decode(), numbers)
        for name in _in_order(old.namelist(), numbers):
            stem, dot, extension = name.partition(".")
            new.writestr(_member(numbers.get(stem, stem) + dot + extension), _content(old, name))
        new.writestr(_member(_SCHEMA, zipfile.ZIP_DEFLATED), schema, compresslevel=1)
    return made.getvalue()


def _renumber(text: str, numbers: dict[str, str]) -> str:
    def numbered(match: re.Match[str]) -> str:
        return match[1] + numbers.setdefault(match[2], str(len(numbers) + 1))

    return _NUMBER.sub(numbered, text)


def _in_order(names: list[str], numbers: Mapping[str, str]) -> list[str]:
    members = [name for name in names if name != _SCHEMA]
    return sorted(members, key=lambda name: int(numbers.get(name.partition(".")[0], "0")))


def _member(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    return info


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    data = archive.read(name)
    return _without_padding(data) if name.endswith(".npy") and _has_padding(data) else data


def _has_padding(data: bytes) -> bool:
    return b"'|V" in data[:1024]  # how numpy's header spells the gap between two fields


def _without_padding(data: bytes) -> bytes:
    import numpy

    records: Any = numpy.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    clean = numpy.zeros(records.shape, records.dtype)
    for field in records.dtype.names or ():
        clean[field] = records[field]
    made = io.BytesIO()
    numpy.lib.format.write_array(
        made, clean if records.dtype.names else records, allow_pickle=False
    )
    return made.getvalue()
