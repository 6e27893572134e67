"""What Prefect's own pages show of a run: metrics, plots, links, and the graph."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from towpath.config.artifact import Artifact, Json, Made
from towpath.markdown_text import code_block

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph
    from towpath.steps.work_order import Order

_IMAGE_LIMIT = 1 << 20  # bytes; a picture travels inside the API's answer


def publish_step_artifacts(order: Order, made: Made) -> None:
    """Show what a step made: its numbers as a table, its pictures, its pages as links."""
    for name, value in made.values.items():
        rows = _metric_rows(value)
        if rows and order.step.kind != "quality_check":
            create_table_artifact(
                rows, key=_artifact_key(order, name), description=f"{order.name}.{name}"
            )
    for name, artifact in made.outputs.items():
        if artifact.name.endswith((".png", ".html")):
            _show_file(order, name, artifact)


def _show_file(order: Order, name: str, artifact: Artifact) -> None:
    from towpath.backends.dvc import Store

    path = Store(order.root).path(artifact.digest)
    if artifact.name.endswith(".png") and artifact.size <= _IMAGE_LIMIT:
        data = base64.b64encode(path.read_bytes()).decode()
        create_image_artifact(f"data:image/png;base64,{data}", key=_artifact_key(order, name))
        return
    shown = order.directory / artifact.name
    link = (shown if shown.exists() else path).as_uri()
    create_link_artifact(link, link_text=artifact.name, key=_artifact_key(order, name))


def publish_graph(graph: Graph, folder: Path) -> None:
    """Show what is run, as a drawing that Prefect's Markdown can hold."""
    from towpath import drawing

    parts = code_block(drawing.mermaid(graph), "mermaid"), code_block(drawing.text(graph))
    text = "\n\n".join((f"Run record: `{folder}`", *parts))
    create_markdown_artifact(
        text, key=f"{_make_slug(graph.name)}-graph", description="What was run"
    )


def _metric_rows(value: Json) -> list[dict[str, Json]]:
    if not isinstance(value, Mapping):
        return []
    numbers = {k: v for k, v in value.items() if isinstance(v, (int, float, str))}
    return [{"metric": name, "value": number} for name, number in numbers.items()]


def _artifact_key(order: Order, name: str) -> str:
    return f"{_make_slug(order.pipeline)}-{_make_slug(order.name)}-{_make_slug(name)}"


def _make_slug(text: str) -> str:
    """Prefect's keys hold lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
