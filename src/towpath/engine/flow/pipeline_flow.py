"""Prefect's flow, told that a pipeline's parameters are plain values."""

from __future__ import annotations

from typing import Any

from prefect import Flow


class PipelineFlow(Flow[..., Any]):
    """A flow whose parameters are JSON already, so that FastAPI's encoder need not be imported."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process, which carries out a task of this flow, gets to know of it.

        The flow itself goes on here, with files and threads that cannot be sent.
        """
        return _elsewhere, (self.name, self.version)

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as Prefect's API stores them."""
        return dict(parameters)


def _elsewhere(name: str, version: str | None) -> PipelineFlow:
    return PipelineFlow(_stays_at_home, name=name, version=version, persist_result=False)


def _stays_at_home() -> None:
    raise NotImplementedError("a flow runs where it began")
