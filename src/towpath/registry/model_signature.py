"""What a model takes and gives: columns and types, and whether a new one fits in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Column:
    """A column by name, with its type (integer, number, string, boolean, datetime, ...)."""

    name: str
    type: str


Columns: TypeAlias = tuple[Column, ...]


@dataclass(frozen=True)
class ModelSignature:
    """The columns that a model reads and gives back; None where they are not known.

    ``features`` counts the inputs of a model that knows no names, ``classes`` lists what a
    classifier can answer, ``model`` is the class of the model itself.
    """

    inputs: Columns | None
    outputs: Columns | None
    features: int | None = None
    classes: tuple[Json, ...] | None = None
    model: str | None = None

    def to_json(self) -> dict[str, Json]:
        """As it stands in a record."""
        facts: dict[str, Json] = {
            "model": self.model,
            "inputs": _list_columns(self.inputs),
            "outputs": _list_columns(self.outputs),
            "features": self.features,
            "classes": list(self.classes) if self.classes is not None else None,
        }
        return {key: value for key, value in facts.items() if value is not None}


def find_signature_breaks(
    old: ModelSignature | None, new: ModelSignature | None
) -> tuple[str, ...]:
    """Why a caller of the old model cannot call the new one; empty where it can, or is unknown."""
    # A new model may read fewer columns and give more. It may not read one more or a narrower type,
    # give one less or of another type, count other features, take columns by name in the place of a
    # matrix or the other way round, or answer a class that was none.
    if old is None or new is None:
        return ()
    counts = (old.features, new.features)
    features = [f"{counts[0]} -> {counts[1]} features"] if None not in counts else []
    added = [c for c in new.classes or () if old.classes is not None and c not in old.classes]
    return (
        *_shape_breaks(old, new),
        *_input_breaks(old.inputs, new.inputs),
        *(features if old.features != new.features else ()),
        *_output_breaks(old.outputs, new.outputs),
        *(f"class {new_class} is new" for new_class in added),
    )


def matrix_of(signature: ModelSignature) -> str:
    """What a model takes that knows no names, in words; empty for one that knows them, or of which
    nothing is known."""
    if signature.inputs is not None or signature.features is None:
        return ""
    return f"a matrix of {signature.features} columns"


def _shape_breaks(old: ModelSignature, new: ModelSignature) -> Iterator[str]:
    """A matrix has no names to pick columns by, and a table with names is no matrix."""
    if (matrix := matrix_of(old)) and new.inputs is not None:
        yield f"input {matrix} -> columns by name"
    if (matrix := matrix_of(new)) and old.inputs is not None:
        yield f"input columns by name -> {matrix}"


def _input_breaks(old: Columns | None, new: Columns | None) -> Iterator[str]:
    if old is None or new is None:
        return
    before = {column.name: column.type for column in old}
    for column in new:
        was = before.get(column.name)
        if was is None:
            yield f"input {column.name} is new"
        # A whole number is read as any number; of a type that is not known nothing is said.
        elif was != column.type and UNKNOWN not in (was, column.type):
            if (was, column.type) == ("integer", "number"):
                continue
            yield f"input {column.name} {was} -> {column.type}"


def _output_breaks(old: Columns | None, new: Columns | None) -> Iterator[str]:
    if old is None or new is None:
        return
    new_types = {column.name: column.type for column in new}
    for column in old:
        gives = new_types.get(column.name)
        if gives is None:
            yield f"output {column.name} is gone"
        elif gives != column.type and UNKNOWN not in (gives, column.type):
            yield f"output {column.name} {column.type} -> {gives}"


def _list_columns(columns: Columns | None) -> Json:
    if columns is None:
        return UNKNOWN
    return [{"name": column.name, "type": column.type} for column in columns]


def read_signature(value: object) -> ModelSignature:
    """A signature out of a record or a training step; ``Malformed`` where it is none."""
    # Anybody may have written it, or a newer Towpath: what is not known here is left out.
    fields = Fields(value)
    return ModelSignature(
        inputs=fields.find_optional("inputs", _read_columns),
        outputs=fields.find_optional("outputs", _read_columns),
        features=fields.find_optional("features", foreign.read_count),
        classes=fields.find_optional("classes", foreign.list_of(foreign.read_json)),
        model=fields.find_optional("model", foreign.read_text),
    )


def _read_columns(value: object) -> Columns | None:
    return None if value == UNKNOWN else foreign.list_of(_read_column)(value)


def _read_column(value: object) -> Column:
    fields = Fields(value)
    return Column(fields.get("name", foreign.read_text), fields.get("type", foreign.read_text))
