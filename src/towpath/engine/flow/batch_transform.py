"""`towpath.batch_transform`: the flow that a stage's Prefect deployment runs."""

from __future__ import annotations

from prefect import flow


@flow(name="batch_transform")
def batch_transform(
    model: str,
    data: str,
    output: str,
    stage: str | None = None,
    sha256: str | None = None,
    method: str = "predict",
    batch_size: int | None = None,
) -> dict[str, object]:
    """Score a table with a version of a model, whose bytes come from a stage's own store.

    Args:
        model: The version, such as `abalone@v1.3.0`; `abalone#prod` is what the stage should run.
        data: The table to score, from the project's root.
        output: Where the scored table is written, from the project's root.
        stage: The stage whose store holds the bytes.
        sha256: The digest that pins the bytes.
        method: `predict`, or `predict_proba`.
        batch_size: Rows in memory at a time.
    """
    from dataclasses import asdict

    from towpath.engine.transform import Transform, transform
    from towpath.workspace import Workspace

    workspace = Workspace.find()
    asked = Transform(
        model,
        workspace.root / data,
        workspace.root / output,
        stage,
        sha256=sha256,
        method=method,
        batch_size=batch_size,
    )
    return asdict(transform(workspace, asked))
