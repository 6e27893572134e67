"""The JSON Schemas (draft 7, which editors read best); a test keeps them equal to the types."""

from __future__ import annotations

from typing import Any, Literal

from towpath.spec.schema import pipeline, project


def json_schema(of: Literal["pipeline", "project"] = "pipeline") -> dict[str, Any]:
    """The JSON Schema of a pipeline's file, or of ``towpath.yaml``."""
    return pipeline.SCHEMA if of == "pipeline" else project.SCHEMA
