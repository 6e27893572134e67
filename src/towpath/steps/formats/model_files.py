"""Models in .skops files, and in the folders that `create_model` makes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.errors import StepFailed
from towpath.steps.model_io import model_bundles, skops_models

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    if model_bundles.is_bundle(asked.name):
        return model_bundles.load_alone(path, asked.name, asked.trust)
    return skops_models.load_trusted_model(path, asked.name, asked.trust)


def write(value: Any, path: Path, kind: str) -> None:
    if kind == "bundle":
        what = f"a {type(value).__name__} cannot be written as {path.name}"
        raise StepFailed(what, hint="write model.skops; a `create_model` step bundles it")
    skops_models.dump_model(value, path)
