"""Automations of deployments at a Prefect API: what happens when one failed, when a stage drifted,
and when an output or a model's stage changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from towpath.config.deployment_declaration import FlowDeployment, Reaction
from towpath.errors import EngineError

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

STAGE_CHANGED = "towpath.stage.changed"
STAGE_DRIFTED = "towpath.stage.drifted"
OUTPUT_CHANGED = "towpath.output.changed"
_PAGE = 200  # automations in one answer; Prefect gives no more
_ENDED_BADLY = ("prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut")
_BODY = "{{ deployment.name }}, run {{ flow_run.name }}: {{ event.event }}"


class WantedAutomation(Struct, frozen=True):
    """An automation of a deployment, by the full name of that: ``subject`` says what it waits for;
    ``spec`` is a trigger in Prefect's own words."""

    name: str
    deployment: str
    subject: Literal["failure", "drift", "change", "trigger"]
    reactions: tuple[Reaction, ...] = ()
    sources: tuple[str, ...] = ()
    spec: Mapping[str, Any] | None = None


def output_resource(project: str, source: str) -> str:
    """How an event names an output: ``prepare:clean.rows`` of a project."""
    return f"towpath.output.{project}/{source}"


def stage_resource(model: str, stage: str) -> str:
    """How an event names the stage of a model: ``abalone#prod``."""
    return f"towpath.stage.{model}#{stage}"


def list_wanted_automations(
    deployment: str, declared: FlowDeployment
) -> Iterator[WantedAutomation]:
    """The automations of a deployment that is declared, by its full name."""
    if declared.on_failure:
        name = f"{deployment} on failure"
        yield WantedAutomation(name, deployment, "failure", declared.on_failure)
    if declared.on_drift:
        yield WantedAutomation(f"{deployment} on drift", deployment, "drift", declared.on_drift)
    if declared.on_change:
        name = f"{deployment} on change"
        yield WantedAutomation(name, deployment, "change", sources=declared.on_change)
    for number, spec in enumerate(declared.triggers, 1):
        name = str(spec.get("name") or f"{deployment} trigger {number}")
        yield WantedAutomation(name, deployment, "trigger", spec=spec)


def find_automations(client: SyncPrefectClient, mark: str) -> dict[str, Any]:
    """The automations that have a tag, by name."""
    automations: dict[str, Any] = {}
    offset = 0
    while page := client.read_automations(limit=_PAGE, offset=offset):
        for automation in (automation for automation in page if mark in automation.tags):
            # Prefect takes a name twice, as from two calls at once: the second one is to go.
            taken = automation.name in automations
            name = f"{automation.name} ({automation.id})" if taken else automation.name
            automations[name] = automation
        offset += len(page)
    return automations


def build_automation(
    client: SyncPrefectClient,
    wanted: WantedAutomation,
    find_id: Callable[[str], UUID | None],
    mark: str,
    project: str,
) -> Any:
    """An automation as Prefect takes it; ``find_id`` gives the id of a deployment by full name.

    EngineError for a block or a deployment that is not there, ValueError for a trigger that
    Prefect does not take.
    """
    own_id = _require_id(find_id, wanted.deployment)
    if wanted.spec is not None:
        return _build_trigger(wanted, own_id, mark)
    from prefect.events.schemas.automations import AutomationCore, EventTrigger

    return AutomationCore(
        name=wanted.name,
        description="Declared in prefect.yaml; made by `towpath deploy`.",
        tags=[mark],
        trigger=EventTrigger(**_event_filter(wanted, own_id, project), threshold=1),
        actions=list(_list_actions(client, wanted, own_id, find_id)),
    )


def automation_fields(automation: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """What an automation is, field by field, with the names of deployments by their ids; whether
    it rests is a person's choice."""
    document = automation.model_dump(mode="json", include={"trigger", "actions", "tags"})
    actions = [_plain_action(action, names) for action in document["actions"]]
    trigger = {key: value for key, value in document["trigger"].items() if value}
    return {"trigger": _with_names(trigger, names), "actions": actions, "tags": document["tags"]}


def _plain_action(action: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    plain = {key: value for key, value in action.items() if value and key != "source"}
    if set(plain) == {"type", "deployment_id"}:
        return f"{plain['type']} {names.get(plain['deployment_id'], plain['deployment_id'])}"
    return plain


def _with_names(value: Any, names: Mapping[str, str]) -> Any:
    """Deployments by name in a trigger: a person compares names; sets come in no order."""
    if isinstance(value, dict):
        return {key: _with_names(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((_with_names(inner, names) for inner in value), key=str)
    kind, dot, identity = str(value).rpartition(".")
    return f"{kind}{dot}{names[identity]}" if identity in names else value


def _build_trigger(wanted: WantedAutomation, own_id: UUID, mark: str) -> Any:
    from prefect.events import DeploymentTriggerTypes
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(DeploymentTriggerTypes)
    trigger = adapter.validate_python({**(wanted.spec or {}), "name": wanted.name})
    trigger.set_deployment_id(own_id)
    return trigger.as_automation().model_copy(update={"tags": [mark]})


def _event_filter(wanted: WantedAutomation, own_id: UUID, project: str) -> dict[str, Any]:
    own_runs = {
        "prefect.resource.id": f"prefect.deployment.{own_id}",
        "prefect.resource.role": "deployment",
    }
    if wanted.subject == "failure":
        match = {"prefect.resource.id": "prefect.flow-run.*"}
        return {"match": match, "match_related": own_runs, "expect": set(_ENDED_BADLY)}
    if wanted.subject == "drift":
        match = {"prefect.resource.id": "towpath.stage.*"}
        return {"match": match, "match_related": own_runs, "expect": {STAGE_DRIFTED}}
    resources = [
        stage_resource(*source.split("#")) if "#" in source else output_resource(project, source)
        for source in wanted.sources
    ]
    expect = {STAGE_CHANGED, OUTPUT_CHANGED}
    return {"match": {"prefect.resource.id": resources}, "expect": expect}


def _list_actions(
    client: SyncPrefectClient,
    wanted: WantedAutomation,
    own_id: UUID,
    find_id: Callable[[str], UUID | None],
) -> Iterator[Any]:
    from prefect.events.actions import PauseDeployment, RunDeployment, SendNotification

    if wanted.subject == "change":
        yield RunDeployment(source="selected", deployment_id=own_id)
    for reaction in wanted.reactions:
        if reaction.notify:
            block = _find_block(client, reaction.notify)
            yield SendNotification(block_document_id=block, subject=wanted.name, body=_BODY)
        elif reaction.run:
            target = _require_id(find_id, reaction.run)
            yield RunDeployment(source="selected", deployment_id=target)
        else:
            yield PauseDeployment(source="selected", deployment_id=own_id)


def _find_block(client: SyncPrefectClient, word: str) -> UUID:
    from prefect.exceptions import ObjectNotFound

    kind, _, name = word.partition("/")
    try:
        block: UUID = client.read_block_document_by_name(name, kind).id
    except ObjectNotFound:
        hint = "`prefect block ls` lists them; Prefect's UI makes one, under Blocks"
        raise EngineError(f"there is no block {word}", hint=hint) from None
    return block


def _require_id(find_id: Callable[[str], UUID | None], deployment: str) -> UUID:
    identity = find_id(deployment)
    if identity is None:
        raise EngineError(f"there is no deployment `{deployment}`", hint="`prefect deployment ls`")
    return identity


def write_automation(client: SyncPrefectClient, automation: Any, standing: Any | None) -> None:
    """Make an automation, or put it in the place of the one that stands; one that rests, rests."""
    if standing is None:
        client.create_automation(automation)
        return
    # All fields, set or not: the client sends an update without those that only have a default,
    # and the server asks for them.
    document = {**automation.model_dump(exclude={"owner_resource"}), "enabled": standing.enabled}
    client.update_automation(standing.id, type(automation).model_validate(document))


def delete_automation(client: SyncPrefectClient, identity: UUID) -> None:
    """Take an automation away, unless somebody else did so meanwhile."""
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        client.delete_automation(identity)
    except PrefectHTTPStatusError as refused:  # a 404 has no error of its own here
        if refused.response.status_code != HTTPStatus.NOT_FOUND:
            raise
