"""Wanted against actual: what each stage should run, what it runs, and the steps between."""

from towpath.delivery.reconcile.apply_plan import (
    AppliedPlan,
    ChangeOutcome,
    ReconcileOptions,
    plan_stage,
    reconcile_stage,
)
from towpath.delivery.reconcile.deployment_record import DeploymentRecord
from towpath.delivery.reconcile.reconcile_plan import (
    BlockedChange,
    DeployVersion,
    NothingToDo,
    RemoveModel,
    StageChange,
    StagePlan,
)
from towpath.delivery.reconcile.stage_site import declared_stages

__all__ = [
    "AppliedPlan",
    "BlockedChange",
    "ChangeOutcome",
    "DeployVersion",
    "DeploymentRecord",
    "NothingToDo",
    "ReconcileOptions",
    "RemoveModel",
    "StageChange",
    "StagePlan",
    "declared_stages",
    "plan_stage",
    "reconcile_stage",
]
