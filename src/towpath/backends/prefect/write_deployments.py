"""A plan of deployments carried out at its API."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from towpath.backends.prefect import automations, deployments
from towpath.backends.prefect.automations import WantedAutomation
from towpath.backends.prefect.deployment_plan import DeploymentChange, DeploymentPlan
from towpath.backends.prefect.deployments import WantedDeployment
from towpath.backends.prefect.server.worker import POOL

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient


class PlannedDeployment(Struct, frozen=True):
    """A deployment that is declared, with its automations and its place in the file."""

    wanted: WantedDeployment
    automations: tuple[WantedAutomation, ...]
    number: int


@dataclasses.dataclass(frozen=True)
class PreparedPlan:
    """What is to be made at one API. ``secret`` is a local API's; ``existing`` and
    ``automations`` are what stands there, by name."""

    plan: DeploymentPlan
    secret: str | None = dataclasses.field(repr=False)
    mark: str
    project: str
    planned: Mapping[str, PlannedDeployment]
    existing: Mapping[str, Any]
    automations: Mapping[str, Any]


def apply_plan_at_api(prepared: PreparedPlan, tell: Callable[[DeploymentChange], None]) -> None:
    """Make what a plan says, in its order; ``tell`` is called after each. Each is made whole, so
    that a second call goes on where one was ended. EngineError where the API refuses."""
    with deployments.open_client(prepared.plan.api, prepared.secret) as client:
        if any(item.wanted.pool == POOL for item in prepared.planned.values()):
            deployments.require_pool(client, POOL)
        writer = _ChangeWriter(client, prepared)
        for change in prepared.plan.changes:
            write = (
                writer.write_deployment
                if change.what == "deployment"
                else (writer.write_automation)
            )
            write(change)
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
            self.client.delete_deployment(self.prepared.existing[change.name].id)
            return
        planned = self.prepared.planned[change.name]
        self.made[change.name] = deployments.write_deployment(self.client, planned.wanted)

    def write_automation(self, change: DeploymentChange) -> None:
        """Make, change or remove an automation."""
        standing = self.prepared.automations.get(change.name)
        if change.kind == "remove":
            self.client.delete_automation(self.prepared.automations[change.name].id)
            return
        declared = next(
            automation
            for item in self.prepared.planned.values()
            for automation in item.automations
            if automation.name == change.name
        )
        find_id = partial(
            find_deployment_id, self.client, list_ids(self.prepared.existing), self.made
        )
        built = automations.build_automation(
            self.client, declared, find_id, self.prepared.mark, self.prepared.project
        )
        if declared.spec is not None:
            self._clear_owned(declared.deployment, find_id(declared.deployment))
        automations.write_automation(self.client, built, standing)

    def _clear_owned(self, deployment: str, identity: UUID | None) -> None:
        # What stock Prefect made of the triggers has no mark: an event would run it twice. What
        # has one is of an earlier call, and would go with it.
        listed = self.prepared.planned[deployment].automations
        triggers = {automation.name for automation in listed if automation.spec is not None}
        if deployment not in self.cleared and triggers.isdisjoint(self.prepared.automations):
            self.cleared.add(deployment)
            automations.remove_owned_automations(self.client, identity)


def list_ids(existing: Mapping[str, Any]) -> dict[str, UUID]:
    """The ids of deployments by full name."""
    return {name: deployment.id for name, deployment in existing.items()}


def find_deployment_id(
    client: SyncPrefectClient,
    existing: Mapping[str, UUID],
    coming: Mapping[str, UUID],
    name: str,
) -> UUID | None:
    """The id of a deployment by full name: of those that are coming, those that stand, or any
    other at the API; None where there is none."""
    if identity := coming.get(name) or existing.get(name):
        return identity
    other = deployments.read_deployment(client, name)
    return other.id if other else None
