"""Wanted against actual: what each stage should run, what it runs, and the steps between."""

from towpath.delivery.reconcile.apply_plan import (
    AppliedPlan,
    ChangeOutcome,
    ReconcileOptions,
    plan_stage,
    reconcile_stage,
)
from towpath.delivery.reconcile.open_stage import declared_stages
from towpath.delivery.reconcile.reconcile_plan import StageChange, StagePlan

__all__ = [
    "AppliedPlan",
    "ChangeOutcome",
    "ReconcileOptions",
    "StageChange",
    "StagePlan",
    "declared_stages",
    "plan_stage",
    "reconcile_stage",
]
