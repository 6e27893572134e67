"""Parameters that hold others: each value by its dotted name, and the values as they nest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from towpath import documents
from towpath.config.parameter_declaration import declares_parameter

#: What a reference to a parameter may begin with, and one to a nested parameter must.
PREFIX = "params"


def list_leaves(
    entry: documents.DocumentEntry, above: tuple[str, ...] = (), values_alone: bool = False
) -> Iterator[tuple[tuple[str, ...], documents.DocumentEntry]]:
    """Each parameter below an entry with the keys that lead to it. With ``values_alone``, as in a
    file of values, every mapping is a group."""
    path = (*above, entry.key)
    node = entry.node
    is_mapping = isinstance(node, documents.Mapping) and bool(node.entries)
    if not is_mapping or not (values_alone or not declares_parameter(documents.plain_data(node))):
        yield path, entry
        return
    assert isinstance(node, documents.Mapping)
    for inner in node.entries:
        yield from list_leaves(inner, path, values_alone)


def flatten_values(values: Any) -> Any:
    """Values by dotted name; every mapping that holds something is a group. What is no mapping
    stays as it is, for the declared type to refuse."""
    if not isinstance(values, Mapping):
        return values
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}.{inner}": v for inner, v in flatten_values(value).items()}
        else:
            flat[name] = value
    return flat


def nest_values(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they nest: ``{"train.rate": 1}`` is ``{"train": {"rate": 1}}``."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return nested


def list_groups(names: Iterable[str]) -> set[str]:
    """The groups that dotted names lie in: of ``train.fit.rate`` ``train`` and ``train.fit``."""
    parts = (name.split(".") for name in names)
    return {".".join(path[:size]) for path in parts for size in range(1, len(path))}


def names_below(names: Iterable[str], group: str) -> list[str]:
    """The dotted names that lie in a group."""
    return [name for name in names if name.startswith(f"{group}.")]


def find_parameter(values: Mapping[str, Any], name: str) -> Any:
    """The value of a parameter, or of a group all of its values as they nest."""
    if name in values:
        return values[name]
    inside = {n.removeprefix(f"{name}."): values[n] for n in names_below(values, name)}
    return nest_values(inside)


def strip_prefix(name: str) -> str:
    """``params.train.rate`` as it is kept: ``train.rate``."""
    return name.removeprefix(f"{PREFIX}.")
