"""Find the value that a reference names in the data of steps and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.spec.reference import Key, Reference

Lookup: TypeAlias = Callable[[str], Any]
"""Gives the data behind a base: for ``max_mse`` a value, for ``evaluate.metrics`` a document."""


def find(reference: Reference, lookup: Lookup) -> Any:
    """The value of a reference; raises StepFailed, naming the near key, where it is not there."""
    return pick(lookup(reference.base), reference.keys, reference.base)


def pick(data: Any, keys: tuple[Key, ...], base: str) -> Any:
    """What stands under keys in a JSON document that ``base`` calls by name."""
    seen = base
    for key in keys:
        data = _step(data, key, seen)
        seen = f"{seen}.{key}" if isinstance(key, str) else f"{seen}[{key}]"
    return data


def _step(data: Any, key: Key, seen: str) -> Any:
    if isinstance(data, Mapping):
        if str(key) in data:
            return data[str(key)]
        raise StepFailed(Fault(f"`{seen}` has no key `{key}`", hint=_hint(str(key), data)))
    if isinstance(data, Sequence) and not isinstance(data, str):
        if isinstance(key, int) and -len(data) <= key < len(data):
            return data[key]
        raise StepFailed(f"`{seen}` is a list of {len(data)} and has no item `{key}`")
    raise StepFailed(f"`{seen}` is {data!r} and has no key `{key}`")


def _hint(key: str, data: Mapping[str, Any]) -> str | None:
    return did_you_mean(key, data) or (
        f"it has {', '.join(map(str, data))[:200]}" if data else None
    )
