"""What a model takes and gives: columns and types, and whether a new one fits in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields

UNKNOWN = "unknown"
WIDER = ("input", "integer", "number")  # a whole number is read as any number


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
    breaks = []
    if (matrix := matrix_of(old)) and new.inputs is not None:
        breaks.append(f"input {matrix} -> columns by name")
    if (matrix := matrix_of(new)) and old.inputs is not None:
        breaks.append(f"input columns by name -> {matrix}")
    breaks += _column_breaks("input", old.inputs, new.inputs)
    if None not in (old.features, new.features) and old.features != new.features:
        breaks.append(f"{old.features} -> {new.features} features")
    breaks += _column_breaks("output", old.outputs, new.outputs)
    classes = new.classes or () if old.classes is not None else ()
    return (*breaks, *(f"class {c} is new" for c in classes if c not in (old.classes or ())))


def matrix_of(signature: ModelSignature) -> str:
    """What a model takes that knows no names, in words; empty for one that knows them, or of which
    nothing is known."""
    if signature.inputs is not None or signature.features is None:
        return ""
    return f"a matrix of {signature.features} columns"


def _column_breaks(side: str, old: Columns | None, new: Columns | None) -> Iterator[str]:
    """Of inputs those that the new one asks for count, of outputs those that the old one gave."""
    if old is None or new is None:
        return
    before, after = ({column.name: column.type for column in columns} for columns in (old, new))
    for name in after if side == "input" else before:
        types = before.get(name), after.get(name)
        if None in types:
            yield f"{side} {name} is {'new' if side == 'input' else 'gone'}"
        # Of a type that is not known nothing is said.
        elif types[0] != types[1] and UNKNOWN not in types and (side, *types) != WIDER:
            yield f"{side} {name} {types[0]} -> {types[1]}"


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
    if value == UNKNOWN:
        return None
    read_text = foreign.read_text
    columns = foreign.list_of(Fields)(value)
    return tuple(Column(c.get("name", read_text), c.get("type", read_text)) for c in columns)
