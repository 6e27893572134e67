"""What a run tells Prefect's automations: outputs and stages that changed, and drift.

``say`` is told where the API does not take it: the run goes on, for what it made is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from towpath.backends.prefect import automations
from towpath.backends.prefect.prefect_import import import_prefect
from towpath.execution import run_folders
from towpath.execution.run_record import ExecutionState, RecordedRun, utc_now
from towpath.workspace import Workspace

_PATIENCE = 15.0  # seconds for an API that others share
Say: TypeAlias = Callable[[str], object]


def tell_changed_outputs(workspace: Workspace, run: RecordedRun, say: Say) -> None:
    """Tell each output whose bytes differ from those of the last run that ended well and was asked
    the same; where there is none, each output."""
    before = _output_digests(_find_last_alike(workspace, run))
    after = _output_digests(run)
    project = workspace.project.name
    tell_events(
        automations.OUTPUT_CHANGED,
        {
            automations.output_resource(project, f"{run.pipeline}:{name}"): {
                "run": run.id, "before": before.get(name), "after": digest,
            }
            for name, digest in after.items()
            if before.get(name) != digest
        },
        say,
    )  # fmt: skip


def tell_changed_stage(stage: str, models: Iterable[str], say: Say) -> None:
    """Tell that a stage runs another version of these models, or none any more."""
    resources = {automations.stage_resource(model, stage): {"stage": stage} for model in models}
    tell_events(automations.STAGE_CHANGED, resources, say)


def tell_drift(stage: str, words: Iterable[str], say: Say) -> None:
    """Tell that a stage is not as the main branch says, and in what, if it is so."""
    if listed := list(words):
        tell_events(automations.STAGE_DRIFTED, {f"towpath.stage.{stage}": {"changes": listed}}, say)


def tell_events(event: str, payloads: Mapping[str, Mapping[str, Any]], say: Say) -> None:
    """Tell an event of each resource, at the API that is configured."""
    if not payloads:
        return
    from uuid import uuid4

    import_prefect()
    from prefect.client.orchestration import get_client
    from prefect.runtime import deployment, flow_run

    related = [
        {"prefect.resource.id": f"prefect.{role}.{identity}", "prefect.resource.role": role}
        for role, identity in (("deployment", deployment.id), ("flow-run", flow_run.id))
        if identity
    ]
    events = [
        {
            "id": str(uuid4()),
            "occurred": utc_now(),
            "event": event,
            "resource": {"prefect.resource.id": resource},
            "related": related,
            "payload": dict(payload),
        }
        for resource, payload in payloads.items()
    ]
    try:
        with get_client(sync_client=True, httpx_settings={"timeout": _PATIENCE}) as client:
            client.request("POST", "/events", json=events)
    except Exception as refused:  # httpx's errors, which are for the forge's client alone to name
        say(f"{event} could not be told: {refused}")


def _find_last_alike(workspace: Workspace, run: RecordedRun) -> RecordedRun | None:
    alike = (
        earlier
        for earlier in run_folders.recent_runs(workspace.runs, pipeline=run.pipeline)
        if earlier.id < run.id
        and earlier.state is ExecutionState.DONE
        and earlier.asked == run.asked
    )
    return next(alike, None)


def _output_digests(run: RecordedRun | None) -> dict[str, str]:
    return {
        f"{step.name}.{name}": artifact.digest
        for step in (run.steps.values() if run else ())
        for name, artifact in step.made.outputs.items()
    }
