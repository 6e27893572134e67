"""Wanted against actual: what each stage should run, what it runs, and the steps between."""

from towpath.reconcile.applying import Applied, Options, Outcome, apply, plan
from towpath.reconcile.changes import Blocked, Change, Deploy, Nothing, Plan, Remove, Repair
from towpath.reconcile.deployed import Approved, Deployed
from towpath.reconcile.site import declared_stages

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
