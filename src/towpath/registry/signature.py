"""What a model takes and gives: columns and types, and whether a new one fits in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from towpath.spec.artifact import Json


@dataclass(frozen=True)
class Column:
    """A column by name, with its type as pandas or Arrow says it (``float64``, ``string``)."""

    name: str
    type: str


@dataclass(frozen=True)
class Signature:
    """The columns that a model reads, and those that it gives back."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]

    def to_json(self) -> dict[str, Json]:
        """As it stands in a record: lists of ``{name, type}``."""
        return {"inputs": _listed(self.inputs), "outputs": _listed(self.outputs)}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Signature:
        """As ``to_json`` wrote it; further facts about a column are left out."""
        return cls(_columns(data.get("inputs")), _columns(data.get("outputs")))


def breaks(old: Signature | None, new: Signature | None) -> tuple[str, ...]:
    """Why a caller of the old model cannot call the new one; empty where it can, or is unknown.

    A new model may read fewer columns and give more. It may not read one more, read a narrower
    type, give one less, or give another type.
    """
    if old is None or new is None:
        return ()
    return (*_inputs(old.inputs, new.inputs), *_outputs(old.outputs, new.outputs))


def _inputs(old: Sequence[Column], new: Sequence[Column]) -> Iterator[str]:
    before = {column.name: column.type for column in old}
    for column in new:
        was = before.get(column.name)
        if was is None:
            yield f"input {column.name} is new"
        elif not _reads(was, column.type):
            yield f"input {column.name} {was} -> {column.type}"


def _outputs(old: Sequence[Column], new: Sequence[Column]) -> Iterator[str]:
    now = {column.name: column.type for column in new}
    for column in old:
        gives = now.get(column.name)
        if gives is None:
            yield f"output {column.name} is gone"
        elif gives != column.type:
            yield f"output {column.name} {column.type} -> {gives}"


def _reads(was: str, now: str) -> bool:
    """Whether what was ``was`` can be read as ``now``: the same, or an integer as a float."""
    return was == now or (
        was.lower().startswith(("int", "uint")) and now.lower().startswith("float")
    )


def _listed(columns: Sequence[Column]) -> list[Json]:
    return [{"name": column.name, "type": column.type} for column in columns]


def _columns(listed: object) -> tuple[Column, ...]:
    rows = listed if isinstance(listed, Sequence) else ()
    return tuple(Column(str(row["name"]), str(row["type"])) for row in rows)
