"""In what a candidate differs from the version that runs: metrics, and everything that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.registry import ModelSignature, VersionRecord, tag_message
from towpath.registry.model_signature import find_signature_breaks


@dataclass(frozen=True)
class ComparedFact:
    """One fact of the version that runs and of the candidate; None where it has none."""

    section: str
    name: str
    old: Any
    new: Any


def compare_metrics(old: VersionRecord | None, new: VersionRecord | None) -> list[ComparedFact]:
    """All metrics that are numbers, the candidate's first."""
    old_metrics, new_metrics = (
        tag_message.flatten_numbers(record.metrics) if record else {} for record in (old, new)
    )
    names = dict.fromkeys([*new_metrics, *old_metrics])
    return [
        ComparedFact("metric", name, old_metrics.get(name), new_metrics.get(name)) for name in names
    ]


def compare_facts(old: VersionRecord, new: VersionRecord) -> list[ComparedFact]:
    """What differs of signature, parameters, data and code; packages last."""
    return [
        *_signature_facts(old.signature, new.signature),
        *_differing_facts("parameter", old.parameters, new.parameters),
        *_differing_facts("data", old.data, new.data),
        *_differing_facts("code", _code_digests(old), _code_digests(new)),
        *_differing_facts("", {"Python": old.python}, {"Python": new.python}),
        *_differing_facts("package", old.packages, new.packages),
    ]


def find_broken_calls(old: VersionRecord, new: VersionRecord) -> tuple[str, ...]:
    """Why a caller of the version that runs cannot call the candidate."""
    return find_signature_breaks(old.signature, new.signature)


def _differing_facts(
    section: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[ComparedFact]:
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name) or (name in old) != (name in new):
            yield ComparedFact(section, name, old.get(name), new.get(name))


def _code_digests(record: VersionRecord) -> Mapping[str, str]:
    """What of the code the model's steps reach; the commit where that was not recorded."""
    return record.code.digests or {"commit": record.code.commit}


def _signature_facts(
    old: ModelSignature | None, new: ModelSignature | None
) -> Iterator[ComparedFact]:
    if old is None or new is None:
        if old != new:
            yield ComparedFact("", "signature", _say_known(old), _say_known(new))
        return
    yield from _differing_facts("input", _column_types(old.inputs), _column_types(new.inputs))
    yield from _differing_facts("output", _column_types(old.outputs), _column_types(new.outputs))
    yield from _differing_facts("", _signature_shape(old), _signature_shape(new))


def _say_known(signature: ModelSignature | None) -> str:
    return "unknown" if signature is None else "known"


def _column_types(columns: Any) -> Mapping[str, str]:
    return {column.name: column.type for column in columns or ()}


def _signature_shape(signature: ModelSignature) -> Mapping[str, Any]:
    classes = ", ".join(map(str, signature.classes)) if signature.classes is not None else None
    return {"features": signature.features, "classes": classes, "class": signature.model}
