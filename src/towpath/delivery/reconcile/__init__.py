"""Wanted against actual: what each stage should run, what it runs, and the steps between."""

from towpath.delivery.reconcile.apply_plan import Applied, Options, Outcome, apply, plan
from towpath.delivery.reconcile.deployment_record import Approved, Deployed
from towpath.delivery.reconcile.stage_changes import (
    Blocked,
    Change,
    Deploy,
    Nothing,
    Plan,
    Remove,
    Repair,
)
from towpath.delivery.reconcile.stage_site import declared_stages

__all__ = [
    "Applied",
    "Approved",
    "Blocked",
    "Change",
    "Deploy",
    "Deployed",
    "Nothing",
    "Options",
    "Outcome",
    "Plan",
    "Remove",
    "Repair",
    "apply",
    "declared_stages",
    "plan",
]
