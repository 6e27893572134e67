"""Models in .skops files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.steps.model_io import skops_models

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    return skops_models.load_trusted_model(path, asked.name, asked.trust)


def write(value: Any, path: Path, kind: str) -> None:  # noqa: ARG001
    skops_models.dump_model(value, path)
