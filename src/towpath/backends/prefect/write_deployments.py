"""What differs between the deployments that are declared and those at an API: a plan, carried out
there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct, field

from towpath.backends.prefect import automations, deployments
from towpath.backends.prefect.automations import WantedAutomation
from towpath.backends.prefect.deployments import WantedDeployment
from towpath.backends.prefect.server.worker import POOL

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

ChangeKind: TypeAlias = Literal["make", "change", "remove"]
_LONGEST_VALUE = 80  # characters of a value in a line of text; `--json` has it whole


class FieldChange(Struct, frozen=True):
    """A field that is to have another value; None stands for what is not set."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        shown = [_show_briefly(value) for value in (self.before, self.after)]
        return f"{self.field}: {' -> '.join(shown)}"


def _show_briefly(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


class DeploymentChange(Struct, frozen=True):
    """A deployment or an automation that is made, changed or removed."""

    kind: ChangeKind
    what: Literal["deployment", "automation"]
    name: str
    fields: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.what} {self.name}"


class DeploymentPlan(Struct, frozen=True):
    """The changes at one API, in the order in which they are made; ``kept`` are the names of what
    is as it should be."""

    api: str
    changes: tuple[DeploymentChange, ...] = ()
    kept: tuple[str, ...] = ()


def diff_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The fields of ``after`` that differ; one that only ``before`` has is nobody's wish."""
    return tuple(
        FieldChange(name, before.get(name), value)
        for name, value in after.items()
        if before.get(name) != value
    )


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

    def find_id(
        self, client: SyncPrefectClient, coming: Mapping[str, UUID], name: str
    ) -> UUID | None:
        """The id of a deployment by full name: of those that are coming, those that stand, or any
        other at the API; None where there is none."""
        if name in coming:
            return coming[name]
        deployment = self.existing.get(name) or deployments.read_deployment(client, name)
        return deployment.id if deployment else None

    def build_automation(
        self, client: SyncPrefectClient, wanted: WantedAutomation, coming: Mapping[str, UUID]
    ) -> Any:
        """An automation as Prefect takes it; ``coming`` are the ids of deployments that are new."""
        find_id = partial(self.find_id, client, coming)
        return automations.build_automation(client, wanted, find_id, self.mark, self.project)


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
