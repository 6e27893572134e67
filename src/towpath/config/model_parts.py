"""What a `create_model` step is made of: which of its inputs are parts, which words functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import CreateModel

SAMPLES = "samples"
METRICS = "metrics"
BESIDE = (SAMPLES, METRICS)
"""The inputs that are no parts of the model."""
DATA, MODEL = "data", "model"
"""The arguments of ``predict``: the table, and what ``load`` gave."""


def part_names(inputs: Iterable[str]) -> tuple[str, ...]:
    """The parts among the names of a step's inputs."""
    return tuple(name for name in inputs if name and name not in BESIDE)


def chain_links(step: CreateModel, inputs: Iterable[str]) -> tuple[str, ...]:
    """What rows go through, in order; empty with ``predict``. Of one part alone that part."""
    if step.predict or step.load:
        return ()
    return step.chain or part_names(inputs)[:1]


def list_model_functions(step: CreateModel, inputs: Iterable[str]) -> tuple[str, ...]:
    """The functions of the project that a model calls, each once, as they are written."""
    parts = part_names(inputs)
    links = (link for link in chain_links(step, parts) if link not in parts)
    named = (name for name in (step.predict, step.load) if name)
    return tuple(dict.fromkeys((*links, *named)))
