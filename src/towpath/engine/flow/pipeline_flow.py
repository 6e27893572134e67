"""Prefect's flow, told that a pipeline's parameters are plain values."""

from __future__ import annotations

from typing import Any

from prefect import Flow


class PipelineFlow(Flow[..., Any]):
    """A flow whose parameters are JSON already, so that FastAPI's encoder need not be imported."""

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as Prefect's API stores them."""
        return dict(parameters)
