"""Carries out a plan of `towpath deploy` at its API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.backends.prefect import automations, deployments
from towpath.backends.prefect.server.worker import POOL

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from towpath.backends.prefect.deployment_plan import DeploymentChange, PreparedPlan


def apply_plan_at_api(prepared: PreparedPlan, tell: Callable[[DeploymentChange], None]) -> None:
    """Make what a plan says, in its order; ``tell`` is called after each. Each is made whole, so
    that a second call goes on where one was ended. EngineError where the API refuses."""
    with deployments.open_client(prepared.plan.api, prepared.secret) as client:
        if any(item.wanted.pool == POOL for item in prepared.planned.values()):
            deployments.require_pool(client, POOL)
        writer = _ChangeWriter(client, prepared)
        for change in prepared.plan.changes:
            if change.what == "deployment":
                writer.write_deployment(change)
            else:
                writer.write_automation(change)
            tell(change)


class _ChangeWriter(Struct):
    """Writes the changes of one plan. ``made`` are the ids of the deployments that it made,
    ``cleared`` those deployments whose triggers `prefect deploy` had made, and which are gone."""

    client: SyncPrefectClient
    prepared: PreparedPlan
    made: dict[str, UUID] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)

    def write_deployment(self, change: DeploymentChange) -> None:
        """Make, change or remove a deployment."""
        if change.kind == "remove":
            deployments.delete_deployment(self.client, self.prepared.existing[change.name].id)
            return
        planned = self.prepared.planned[change.name]
        self.made[change.name] = deployments.write_deployment(self.client, planned.wanted)

    def write_automation(self, change: DeploymentChange) -> None:
        """Make, change or remove an automation."""
        if change.kind == "remove":
            automations.delete_automation(self.client, self.prepared.automations[change.name].id)
            return
        standing = self.prepared.automations.get(change.name)
        declared = next(
            automation
            for item in self.prepared.planned.values()
            for automation in item.automations
            if automation.name == change.name
        )
        built = self.prepared.build_automation(self.client, declared, self.made)
        if declared.spec is not None:
            self._clear_owned(declared.deployment)
        automations.write_automation(self.client, built, standing)

    def _clear_owned(self, deployment: str) -> None:
        # What stock Prefect made of the triggers has no mark: an event would run it twice. What
        # has one is of an earlier call, and would go with it.
        listed = self.prepared.planned[deployment].automations
        triggers = {automation.name for automation in listed if automation.spec is not None}
        if deployment not in self.cleared and triggers.isdisjoint(self.prepared.automations):
            self.cleared.add(deployment)
            identity = self.prepared.find_id(self.client, self.made, deployment)
            self.client.delete_resource_owned_automations(f"prefect.deployment.{identity}")
