"""The secrets of steps, taken where a run begins: from its environment, or from an engine's blocks.

Their values are in no record, key or log: an order carries them to the step's process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from towpath.credentials import Secret, remember_values
from towpath.errors import Fault, UserError

if TYPE_CHECKING:
    from towpath.config.step_surroundings import SecretSource
    from towpath.pipeline.step_graph import Graph, Node

FetchBlock: TypeAlias = Callable[[str], str | None]
"""The text of a block by its name; None where there is none."""

_SHORTEST = 4  # characters; hiding less would make every log unreadable


def require_secrets(
    graph: Graph, steps: Collection[str], fetch_block: FetchBlock | None = None
) -> None:
    """UserError, naming each secret of these steps that is not there. Without ``fetch_block``
    blocks are not asked for: only an engine knows them."""
    faults = [
        fault
        for name in graph.nodes
        if name in steps
        for fault in _secret_faults(graph.nodes[name], fetch_block)
    ]
    if faults:
        raise UserError(*faults)


def _secret_faults(node: Node, fetch_block: FetchBlock | None) -> Iterator[Fault]:
    for name, source in node.step.secrets.items():
        if source.block and fetch_block is None:
            continue
        value = _read_source(source, fetch_block)
        needs = f"step `{node.name}` needs the secret `{name}`"
        if not value and source.block:
            hint = "make a block of the kind Secret at the Prefect API of the run"
            yield Fault(f"{needs}: there is no block `{source.block}`", hint=hint)
        elif not value:
            hint = "set that variable where the run begins"
            yield Fault(f"{needs}: {source.variable} is not set", hint=hint)
        elif len(value) < _SHORTEST:
            what = f"the secret `{name}` of step `{node.name}` is too short to be hidden in a log"
            yield Fault(what, hint=f"it takes {_SHORTEST} characters or more")


def resolve_secrets(node: Node, fetch_block: FetchBlock | None) -> Mapping[str, Secret]:
    """The secrets of a step by variable, hidden in this process from now on."""
    values = {
        name: value
        for name, source in node.step.secrets.items()
        if (value := _read_source(source, fetch_block))
    }
    remember_values(values.values())
    return {name: Secret(value) for name, value in values.items()}


def _read_source(source: SecretSource, fetch_block: FetchBlock | None) -> str | None:
    if source.block:
        return fetch_block(source.block) if fetch_block else None
    return os.environ.get(source.variable or "")
