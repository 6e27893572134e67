"""In what a candidate differs from the version that runs: metrics, and everything that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.registry import Record, Signature, tag_message
from towpath.registry.model_signature import breaks


@dataclass(frozen=True)
class Row:
    """One fact of the version that runs and of the candidate; None where it has none."""

    section: str
    name: str
    old: Any
    new: Any


def metrics(old: Record | None, new: Record | None) -> list[Row]:
    """All metrics that are numbers, the candidate's first."""
    was, now = (tag_message.numbers(record.metrics) if record else {} for record in (old, new))
    names = dict.fromkeys([*now, *was])
    return [Row("metric", name, was.get(name), now.get(name)) for name in names]


def facts(old: Record, new: Record) -> list[Row]:
    """What differs of signature, parameters, data and code; packages last."""
    return [
        *_signature(old.signature, new.signature),
        *_rows("parameter", old.parameters, new.parameters),
        *_rows("data", old.data, new.data),
        *_rows("code", _code(old), _code(new)),
        *_rows("", {"Python": old.python}, {"Python": new.python}),
        *_rows("package", old.packages, new.packages),
    ]


def broken(old: Record, new: Record) -> tuple[str, ...]:
    """Why a caller of the version that runs cannot call the candidate."""
    return breaks(old.signature, new.signature)


def _rows(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Row]:
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name) or (name in old) != (name in new):
            yield Row(section, name, old.get(name), new.get(name))


def _code(record: Record) -> Mapping[str, str]:
    """What of the code the model's steps reach; the commit where that was not recorded."""
    return record.code.digests or {"commit": record.code.commit}


def _signature(old: Signature | None, new: Signature | None) -> Iterator[Row]:
    if old is None or new is None:
        if old != new:
            yield Row("", "signature", _known(old), _known(new))
        return
    yield from _rows("input", _columns(old.inputs), _columns(new.inputs))
    yield from _rows("output", _columns(old.outputs), _columns(new.outputs))
    yield from _rows("", _shape(old), _shape(new))


def _known(signature: Signature | None) -> str:
    return "unknown" if signature is None else "known"


def _columns(columns: Any) -> Mapping[str, str]:
    return {column.name: column.type for column in columns or ()}


def _shape(signature: Signature) -> Mapping[str, Any]:
    classes = ", ".join(map(str, signature.classes)) if signature.classes is not None else None
    return {"features": signature.features, "classes": classes, "class": signature.model}
