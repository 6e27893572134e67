"""What `towpath deploy` would do: what differs between the deployments and automations that
`prefect.yaml` declares and those at their APIs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from towpath.backends.prefect import automations, deployments, executor, prefect_import, server
from towpath.backends.prefect.automations import WantedAutomation
from towpath.backends.prefect.deployment_file import (
    FILE,
    DeclaredDeployments,
    find_deployment_faults,
    pipeline_of,
    read_declared_deployments,
)
from towpath.backends.prefect.deployments import WantedDeployment
from towpath.backends.prefect.runs_at_api import MARK
from towpath.backends.prefect.server.worker import POOL
from towpath.config.deployment_declaration import FlowDeployment
from towpath.errors import DeclarationError, EngineError, Fault, Place, UsageError, did_you_mean
from towpath.pipeline.run_arguments import apply_environment
from towpath.planning.declared_pipelines import read_declared

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from towpath.workspace import Workspace

ChangeKind: TypeAlias = Literal["make", "change", "remove"]
_LONGEST_VALUE = 80  # characters of a value in a line of text; `--json` has it whole
_COMING = UUID(int=0)  # for a deployment that is made by this very plan, and has no id yet


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


class LoadedFlow(Struct, frozen=True):
    """A flow as its file makes it; ``form`` is the JSON Schema of its parameters."""

    name: str
    description: str
    form: Mapping[str, Any]
    validate: Callable[[dict[str, Any]], Any]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The schema of each parameter, by name."""
        properties: Mapping[str, Any] = self.form.get("properties", {})
        return properties

    def list_strange(self, values: Mapping[str, Any]) -> list[str]:
        """The names of values that it does not take."""
        return [name for name in values if name not in self.parameters]

    def find_refusal(self, values: Mapping[str, Any]) -> str:
        """Why the flow would not take these values; empty where it would."""
        try:
            self.validate(dict(values))
        except Exception as refused:  # pydantic's and Prefect's own errors
            lines = [line.strip().removeprefix("- ") for line in str(refused).splitlines()]
            return " ".join(lines[1:3]) or lines[0]
        return ""


def plan_deployments(workspace: Workspace, environment: str = "") -> Iterator[PreparedPlan]:
    """The plan for each API that a deployment goes to, or those of one name.

    Raises:
        DeclarationError: what is wrong with `prefect.yaml`, all of it.
        UsageError: no `prefect.yaml`, or no deployment of that name.
        EngineError: an API that does not answer.
    """
    declared = read_declared_deployments(workspace.root)
    if not declared.is_there:
        hint = "docs/prefect.md has one; an empty list in it, `deployments: []`, removes all"
        raise UsageError(f"there is no {FILE} in {workspace.root}", hint=hint)
    if faults := (*find_deployment_faults(workspace), *declared.unread):
        raise DeclarationError(*faults)
    chosen = [item for item in declared.deployments if environment in ("", item[1].name)]
    planned_urls: set[str] = set()
    for stage in _list_apis(workspace, declared, chosen, environment):
        with _reach_api(workspace, stage) as (url, secret):
            if url in planned_urls:  # stages may share an API, and the project's may be one's
                continue
            # The project's own API comes first: all that no stage sends elsewhere goes there.
            first = not planned_urls
            planned_urls.add(url)
            own = [
                item
                for item in chosen
                if (_stage_url(workspace, item[1].name) or (url if first else None)) == url
            ]
            yield _plan_api(workspace, declared, own, (url, secret), environment)


def _list_apis(
    workspace: Workspace,
    declared: DeclaredDeployments,
    chosen: list[tuple[int, FlowDeployment]],
    environment: str,
) -> list[str | None]:
    """The stages whose APIs are asked; None for the project's own."""
    names = [deployment.name for _, deployment in declared.deployments]
    if environment and environment not in {*names, *workspace.project.stages}:
        near = did_you_mean(environment, names)
        hint = near or (f"there is {', '.join(dict.fromkeys(names))}" if names else None)
        raise UsageError(f"no deployment is called `{environment}`", hint=hint)
    if environment:
        return [environment if _stage_url(workspace, environment) else None]
    # The project's own API is asked always: what is no longer declared may stand there.
    stages = (item.name for _, item in chosen if _stage_url(workspace, item.name))
    return list(dict.fromkeys([None, *stages]))


def _stage_url(workspace: Workspace, name: str) -> str | None:
    stage = workspace.project.stages.get(name)
    return stage.api.rstrip("/") if stage and stage.api else None


@contextmanager
def _reach_api(workspace: Workspace, stage: str | None) -> Iterator[tuple[str, str | None]]:
    """An API that answers, and its secret where it is a local one."""
    if stage is not None:
        yield _stage_url(workspace, stage) or "", None
        return
    api = server.ensure_api(workspace.root)
    secret = api.proven_endpoint.secret if api.started_by_us else None
    with executor.hold_environment(api.environment()):
        yield api.url.rstrip("/"), secret


def _plan_api(
    workspace: Workspace,
    declared: DeclaredDeployments,
    chosen: list[tuple[int, FlowDeployment]],
    api: tuple[str, str | None],
    environment: str,
) -> PreparedPlan:
    mark = MARK + workspace.project.name
    prefect_import.import_prefect()
    planned = _plan_declared(workspace, declared, chosen, mark)
    with deployments.open_client(*api) as client:
        existing = deployments.find_deployments(client, mark, planned)
        existing = {
            name: deployment
            for name, deployment in existing.items()
            if environment in ("", deployment.name)
        }
        faults = [*_pool_faults(client, declared, planned)]
        faults += _owner_faults(declared, planned, existing, mark)
        if faults:
            raise DeclarationError(*faults)
        standing = automations.find_automations(client, mark)
        if environment:  # of those of the others nothing is said
            named = {a.name for item in planned.values() for a in item.automations}
            owners = tuple(f"{full_name} " for full_name in existing)
            names = [name for name in standing if name in named or name.startswith(owners)]
            standing = {name: standing[name] for name in names}
        prepared = PreparedPlan(
            DeploymentPlan(api[0]), api[1], mark, workspace.project.name, planned, existing,
            standing,
        )  # fmt: skip
        plan = _diff(client, prepared, declared)
    return dataclasses.replace(prepared, plan=plan)


def _plan_declared(
    workspace: Workspace,
    declared: DeclaredDeployments,
    chosen: list[tuple[int, FlowDeployment]],
    mark: str,
) -> dict[str, PlannedDeployment]:
    """The declared deployments by full name; their flows are loaded. DeclarationError for what is
    wrong with them."""
    flows: dict[tuple[str, str], LoadedFlow] = {}
    planned: dict[str, PlannedDeployment] = {}
    faults: list[Fault] = []
    for number, deployment in chosen:
        place = declared.find_place(number, "entrypoint")
        try:
            environment = _find_environment(workspace, deployment)
            key = deployment.entrypoint, environment
            flow = flows.get(key) or _load_flow(workspace, deployment, environment, place)
        except DeclarationError as error:
            faults += error.faults
            continue
        flows[key] = flow
        faults += _parameter_faults(declared, number, deployment, flow)
        deployment_of_flow = _want_deployment(workspace, declared, deployment, flow, mark)
        name = deployment_of_flow.full_name
        if name in planned:
            what = f"two deployments are called `{name}`"
            faults.append(Fault(what, declared.find_place(number, "name")))
        listed = tuple(automations.list_wanted_automations(name, deployment))
        taken = {a.name for item in planned.values() for a in item.automations}
        faults += [
            Fault(f"two triggers are called `{a.name}`", declared.find_place(number, "triggers"))
            for position, a in enumerate(listed)
            if a.name in taken or a.name in [other.name for other in listed[:position]]
        ]
        planned[name] = PlannedDeployment(deployment_of_flow, listed, number)
    if faults:
        raise DeclarationError(*dict.fromkeys(faults))
    return planned


def _find_environment(workspace: Workspace, deployment: FlowDeployment) -> str:
    """The environment of the pipeline that a deployment's runs take: the one of its name."""
    pipeline = pipeline_of(workspace, deployment)
    declared = workspace.pipeline(pipeline).pipeline.environments if pipeline else ()
    return deployment.name if deployment.name in declared else ""


def _load_flow(
    workspace: Workspace, deployment: FlowDeployment, environment: str, place: Place | None
) -> LoadedFlow:
    from prefect import Flow
    from prefect.exceptions import MissingFlowError
    from prefect.flows import load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    entrypoint = f"{workspace.root / deployment.entrypoint}"
    try:
        flow: Any = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except (AttributeError, MissingFlowError) as error:
        file, _, name = deployment.entrypoint.rpartition(":")
        raise DeclarationError(Fault(f"{file} has no flow `{name}`", place)) from error
    except Exception as error:  # whatever the project's code raises
        cause = error.__cause__ or error
        what = f"{deployment.entrypoint} cannot be loaded: {type(cause).__name__}: {cause}"
        raise DeclarationError(Fault(what, place)) from error
    if not isinstance(flow, Flow):
        raise DeclarationError(Fault(f"{deployment.entrypoint} is no flow", place))
    if environment:  # its values are the defaults of Prefect's form
        from towpath.backends.prefect.pipeline_flow import build_flow

        declared = read_declared(workspace, pipeline_of(workspace, deployment)).pipeline
        declared = apply_environment(declared, environment)
        flow = build_flow(declared, dict, workspace.project.runner)
    form: dict[str, Any] = parameter_schema(flow).model_dump_for_openapi()
    return LoadedFlow(flow.name, flow.description or "", form, flow.validate_parameters)


def _want_deployment(
    workspace: Workspace,
    declared: DeclaredDeployments,
    deployment: FlowDeployment,
    flow: LoadedFlow,
    mark: str,
) -> WantedDeployment:
    stage = workspace.project.stages.get(deployment.name)
    pool = deployment.work_pool
    return WantedDeployment(
        flow=flow.name,
        name=deployment.name,
        version=deployment.version,
        entrypoint=deployment.entrypoint,
        folder=str(workspace.root),
        parameters=deployment.parameters,
        pool=pool.name or (stage.work_pool if stage else None) or POOL,
        description=deployment.description or flow.description,
        tags=tuple(dict.fromkeys([*deployment.tags, mark])),
        schedules=deployment.all_schedules,
        queue=pool.work_queue_name,
        job_variables=pool.job_variables,
        concurrency=deployment.concurrency_limit,
        paused=deployment.paused,
        form=flow.form,
        enforces_form=deployment.enforce_parameter_schema,
        pull=declared.pull if deployment.pull is None else deployment.pull,
    )


def _parameter_faults(
    declared: DeclaredDeployments, number: int, deployment: FlowDeployment, flow: LoadedFlow
) -> Iterator[Fault]:
    """What the flow would refuse of the parameters of a deployment and of its schedules."""
    place = declared.find_place(number, "parameters") or declared.find_place(number, "name")
    named = f"deployment `{deployment.name}`"
    scheduled = map(attrgetter("parameters"), deployment.all_schedules)
    for own in (deployment.parameters, *scheduled):
        for name in flow.list_strange(own):
            own_place = declared.find_place(number, "parameters", name)
            hint = did_you_mean(name, flow.parameters) or f"it takes {', '.join(flow.parameters)}"
            yield Fault(f"{named}: {flow.name} takes no `{name}`", own_place or place, hint)
        values = {**deployment.parameters, **own}
        missing = next((name for name in flow.form.get("required", ()) if name not in values), "")
        if missing and own is not deployment.parameters:
            what = f"{named} has a schedule, and no `{missing}`"
            yield Fault(what, place, "set it under `parameters`")
        is_told = missing or flow.list_strange(values)  # each is told once
        if not is_told and (refusal := flow.find_refusal(values)):
            yield Fault(f"{named}: {refusal}", place)


def _pool_faults(
    client: SyncPrefectClient,
    declared: DeclaredDeployments,
    planned: Mapping[str, PlannedDeployment],
) -> Iterator[Fault]:
    if not planned:
        return
    pools = [pool.name for pool in client.read_work_pools()]
    for item in planned.values():
        pool = item.wanted.pool
        if pool not in pools and pool != POOL:
            hint = did_you_mean(pool, pools) or f"prefect work-pool create {pool}"
            place = declared.find_place(item.number, "work_pool", "name")
            yield Fault(f"there is no work pool `{pool}` at the API", place, hint)


def _owner_faults(
    declared: DeclaredDeployments,
    planned: Mapping[str, PlannedDeployment],
    existing: Mapping[str, Any],
    mark: str,
) -> Iterator[Fault]:
    """Deployments of these names that are another project's, or a stage's."""
    for name, item in planned.items():
        tags = existing[name].tags if name in existing else []
        others = [tag for tag in tags if tag.startswith(MARK) and tag != mark]
        place = declared.find_place(item.number, "name")
        if others and mark not in tags:
            what = f"the deployment {name} is of the project `{others[0].removeprefix(MARK)}`"
            yield Fault(what, place, "give yours another name, or use another API")
        elif "towpath" in tags and mark not in tags:
            what = f"the deployment {name} is a stage's, which `towpath reconcile` keeps"
            yield Fault(what, place, "give yours another name")


def _diff(
    client: SyncPrefectClient, prepared: PreparedPlan, declared: DeclaredDeployments
) -> DeploymentPlan:
    changes: list[DeploymentChange] = []
    kept: list[str] = []
    for name, item in prepared.planned.items():
        if name not in prepared.existing:
            changes.append(DeploymentChange("make", "deployment", name))
            continue
        after = deployments.wanted_fields(item.wanted)
        before = deployments.deployed_fields(prepared.existing[name], item.wanted)
        if fields := diff_fields(before, after):
            changes.append(DeploymentChange("change", "deployment", name, fields))
        else:
            kept.append(name)
    for item in prepared.planned.values():
        for automation in item.automations:
            change = _diff_automation(client, prepared, automation, declared, item.number)
            if change:
                changes.append(change)
            else:
                kept.append(automation.name)
    names = {a.name for item in prepared.planned.values() for a in item.automations}
    changes += [
        DeploymentChange("remove", "automation", name)
        for name in prepared.automations
        if name not in names
    ]
    changes += [
        DeploymentChange("remove", "deployment", name)
        for name in prepared.existing
        if name not in prepared.planned
    ]
    return DeploymentPlan(prepared.plan.api, tuple(changes), tuple(kept))


def _diff_automation(
    client: SyncPrefectClient,
    prepared: PreparedPlan,
    wanted: WantedAutomation,
    declared: DeclaredDeployments,
    number: int,
) -> DeploymentChange | None:
    # Any id will do to see that all else is right.
    coming = {name: _COMING for name in prepared.planned if name not in prepared.existing}
    key = f"on_{wanted.subject}" if wanted.spec is None else "triggers"
    place = declared.find_place(number, key)
    try:
        built = prepared.build_automation(client, wanted, coming)
    except EngineError as error:
        faults = (Fault(fault.what, place, fault.hint) for fault in error.faults)
        raise DeclarationError(*faults) from error
    except ValueError as error:
        what = f"no trigger of Prefect's: {str(error).splitlines()[-1].strip()}"
        raise DeclarationError(Fault(what, place)) from error
    standing = prepared.automations.get(wanted.name)
    if standing is None:
        return DeploymentChange("make", "automation", wanted.name)
    names = {str(deployment.id): name for name, deployment in prepared.existing.items()}
    names |= {str(_COMING): "one that is made"}
    before, after = (automations.automation_fields(a, names) for a in (standing, built))
    fields = diff_fields(before, after)
    return DeploymentChange("change", "automation", wanted.name, fields) if fields else None
