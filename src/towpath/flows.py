"""The flows that any registry shares, for Prefect: they work in the folder that they are run in.

``prefect.yaml`` of a registry deploys them by the names of the files that hold them,
``flows/reconcile/flow.py:reconcile`` and ``flows/batch_transform/flow.py:batch_transform``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from towpath.backends.prefect import change_events, executor
from towpath.errors import StepFailed
from towpath.markdown_text import code_block
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from towpath.delivery.reconcile import AppliedPlan, StagePlan


def _batch_transform(
    reference: str,
    data: str,
    output: str,
    stage: str | None = None,
    sha256: str | None = None,
    method: Literal["predict", "predict_proba"] = "predict",
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Score a table with a registered model, as `towpath transform` does.

    Args:
        reference: The model: abalone#prod, abalone@v1.0.0 or abalone@latest.
        data: The table, from the folder that the flow runs in.
        output: Where the scored table is written: .parquet, .csv or .tsv.
        stage: The stage whose store the bytes must come from; by default the reference's.
        sha256: The digest that the model must have.
        method: What the model is asked for.
        batch_size: Rows in memory at a time.
    """
    from towpath.versions.table_scoring import TransformRequest, transform_table

    asked = TransformRequest(reference, Path(data), Path(output), stage, sha256, method, batch_size)
    done = transform_table(Workspace.find(), asked)
    executor.log_line(f"{done.rows:,} rows scored with {done.version} from {done.source}")
    return {"version": done.version, "sha256": done.sha256, "rows": done.rows, "output": output}


batch_transform = executor.make_flow(_batch_transform, "batch_transform")


def _reconcile(stage: str, apply: bool = True) -> dict[str, Any]:
    """Make a stage what the main branch says it should be, as `towpath reconcile` does.

    Args:
        stage: The stage.
        apply: Change what differs; without it, what differs fails the run.
    """
    from towpath.delivery import reconcile as room

    workspace = Workspace.find()
    options = room.ReconcileOptions(
        say=executor.log_line,
        listener=lambda stage, model, step: executor.log_line(f"{stage} {model}: {step}"),
    )
    if not apply:
        plan = room.plan_stage(workspace, stage, options)
        _show(plan)
        if plan.pending:
            words = (f"{c.model}: {c}" for c in plan.pending)
            change_events.tell_drift(stage, words, executor.log_line)
            raise StepFailed(*(f"{change.model}: {change}" for change in plan.pending))
        return {"stage": stage, "commit": plan.commit, "changes": {}}
    done = room.reconcile_stage(workspace, stage, options)
    _show(done.plan)
    _tell_changes(done)
    if faults := [fault for outcome in done.outcomes for fault in outcome.faults]:
        raise StepFailed(*faults)
    changes = {outcome.change.model: outcome.words for outcome in done.outcomes}
    return {"stage": stage, "commit": done.plan.commit, "changes": changes}


def _tell_changes(done: AppliedPlan) -> None:
    """Events for what had drifted, and for what is served now."""
    stage, say = done.plan.stage, executor.log_line
    repairs = (change for change in done.plan.pending if change.kind == "repair")
    change_events.tell_drift(stage, (f"{change.model}: {change}" for change in repairs), say)
    change_events.tell_changed_stage(stage, done.changed_models, say)


def _show(plan: StagePlan) -> None:
    """The plan in the run's log, and as a page beside it."""
    lines = [*(f"{change.model}: {change}" for change in plan.changes), *plan.notes]
    for line in lines:
        executor.log_line(line)
    text = f"{plan.stage} as of {plan.commit}, in {plan.store}, for {plan.target}:"
    listed = code_block("\n".join([text, *lines]))
    executor.show_page(f"reconcile-{plan.stage}", listed, "What reconciling the stage means")


reconcile = executor.make_flow(_reconcile, "reconcile")
