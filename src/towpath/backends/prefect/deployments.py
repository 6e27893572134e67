"""Deployments at a Prefect API: read, written whole, and taken away."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from towpath.backends.prefect.prefect_import import import_prefect
from towpath.backends.prefect.server.server_state import is_local_secret
from towpath.backends.prefect.server.worker import POOL
from towpath.errors import EngineError, TowpathError

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from towpath.config.deployment_declaration import ConcurrencyLimit, ScheduleDeclaration

_PAGE = 200  # deployments in one answer; Prefect gives no more
# From when an interval is counted where nothing is said: were it the moment of deploying, as it is
# in Prefect, each call would move the runs.
_FIRST_ANCHOR = "2020-01-01T00:00:00"


class WantedDeployment(Struct, frozen=True):
    """A deployment ``<flow name>/<name>``. ``folder`` is the project's where the worker runs,
    ``schedule`` in cron's words, ``form`` the JSON Schema of the parameters, where it is known,
    ``pull`` the worker's way to the code, where it is not the folder."""

    flow: str
    name: str
    version: str | None
    entrypoint: str
    folder: str
    parameters: Mapping[str, Any]
    pool: str = POOL
    schedule: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    schedules: tuple[ScheduleDeclaration, ...] = ()
    queue: str | None = None
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    concurrency: ConcurrencyLimit | None = None
    paused: bool | None = None
    form: Mapping[str, Any] | None = None
    enforces_form: bool = True
    pull: Any = None

    @property
    def full_name(self) -> str:
        """Its name in `prefect deployment run`."""
        return f"{self.flow}/{self.name}"

    @property
    def pull_steps(self) -> list[Any]:
        """The steps by which a worker comes to the code."""
        if self.pull is not None:
            return [self.pull] if isinstance(self.pull, Mapping) and self.pull else list(self.pull)
        return [{"prefect.deployments.steps.set_working_directory": {"directory": self.folder}}]


class StandingDeployment(Struct, frozen=True):
    """A deployment as it is: its parameters, and which fields are not as they should be."""

    parameters: Mapping[str, Any]
    differing: frozenset[str]


def read_standing(api: str, wanted: WantedDeployment) -> StandingDeployment | None:
    """The deployment of a name, held against what it should be; None where there is none."""
    with open_client(api) as client:
        deployment = read_deployment(client, wanted.full_name)
        if deployment is None:
            return None
        return StandingDeployment(
            dict(deployment.parameters or {}), _find_differing(deployment, wanted)
        )


def _find_differing(deployment: Any, wanted: WantedDeployment) -> frozenset[str]:
    try:
        should_be, is_now = wanted_fields(wanted), deployed_fields(deployment, wanted)
    except EngineError:  # no words of cron's: that is said where the deployment is written
        return frozenset(["schedules"])
    # A schedule that a person paused at Prefect is that person's.
    for fields in (should_be, is_now):
        fields["schedules"] = [
            {name: value for name, value in schedule.items() if name != "active"}
            for schedule in fields["schedules"]
        ]
    return frozenset(name for name in should_be if should_be[name] != is_now[name])


def deploy_flow(api: str, wanted: WantedDeployment) -> None:
    """Make a deployment, or put it in the place of the one of that name, in one call.

    Runs that were called before keep the parameters that they were called with.
    """
    with open_client(api) as client:
        require_pool(client, wanted.pool)
        write_deployment(client, wanted)


def write_deployment(client: SyncPrefectClient, wanted: WantedDeployment) -> Any:
    """The same with a client that is open, and for a pool that is there; its id."""
    from prefect.client.schemas.objects import ConcurrencyOptions

    schema = wanted.form
    if schema is None:
        schema = _parameter_schema(wanted.entrypoint, wanted.folder)
    limit = wanted.concurrency
    # Null would be a queue of that name; without the key it is the pool's default one.
    own_queue: dict[str, Any] = {"work_queue_name": wanted.queue} if wanted.queue else {}
    return client.create_deployment(
        flow_id=client.create_flow_from_name(wanted.flow),
        name=wanted.name,
        version=wanted.version,
        entrypoint=wanted.entrypoint,
        parameters=dict(wanted.parameters),
        work_pool_name=wanted.pool,
        **own_queue,
        job_variables=dict(wanted.job_variables),
        description=wanted.description,
        tags=list(wanted.tags),
        schedules=_make_schedules(wanted),
        paused=wanted.paused,
        concurrency_limit=limit.limit if limit else None,
        # Without what is not declared: Prefect takes null for a wish.
        concurrency_options=ConcurrencyOptions(
            **limit.model_dump(exclude={"limit"}, exclude_none=True)
        )
        if limit
        else None,
        pull_steps=wanted.pull_steps,
        parameter_openapi_schema=dict(schema),
        enforce_parameter_schema=wanted.enforces_form and bool(schema),
    )


def find_deployments(
    client: SyncPrefectClient, mark: str, names: Collection[str]
) -> dict[str, Any]:
    """What Prefect answers of the deployments that have a tag, and of those of these full names."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[mark]))
    flows: dict[Any, str] = {}
    deployments: dict[str, Any] = {}
    offset = 0
    while page := client.read_deployments(deployment_filter=tagged, limit=_PAGE, offset=offset):
        for deployment in page:
            flow = deployment.flow_id
            flows[flow] = flows.get(flow) or client.read_flow(flow).name
            deployments[f"{flows[flow]}/{deployment.name}"] = deployment
        offset += len(page)
    for name in names:
        if name not in deployments and (untagged := read_deployment(client, name)):
            deployments[name] = untagged
    return deployments


def wanted_fields(wanted: WantedDeployment) -> dict[str, Any]:
    """What a deployment should be, field by field, as `deployed_fields` says it of one."""
    limit = wanted.concurrency
    own: dict[str, Any] = {"work_queue": wanted.queue} if wanted.queue else {}
    own |= {} if wanted.paused is None else {"paused": wanted.paused}
    # Where none is declared, stock Prefect takes a digest of the flow's file.
    own |= {} if wanted.version is None else {"version": wanted.version}
    return {
        "entrypoint": wanted.entrypoint,
        "parameters": dict(wanted.parameters),
        "schedules": [_schedule_fields(schedule) for schedule in _make_schedules(wanted)],
        "work_pool": wanted.pool,
        "job_variables": dict(wanted.job_variables),
        "concurrency": limit and limit.model_dump(exclude_none=True),
        "tags": sorted(wanted.tags),
        "description": wanted.description,
        "pull": wanted.pull_steps,
        "enforce_parameter_schema": wanted.enforces_form and bool(wanted.form),
        "form": _plain_form(wanted.form),
        **own,
    }


def deployed_fields(deployment: Any, wanted: WantedDeployment) -> dict[str, Any]:
    """What a deployment is, field by field."""
    limit, options = deployment.global_concurrency_limit, deployment.concurrency_options
    concurrency = limit and {
        "limit": limit.limit,
        "collision_strategy": str(options.collision_strategy.value) if options else "ENQUEUE",
    }
    if concurrency and options and options.grace_period_seconds is not None:
        concurrency["grace_period_seconds"] = options.grace_period_seconds
    schedules = [_schedule_fields(schedule) for schedule in deployment.schedules]
    order = [_schedule_fields(schedule) for schedule in _make_schedules(wanted)]
    # The API has no order of them.
    is_same = sorted(map(repr, schedules)) == sorted(map(repr, order))
    return {
        "entrypoint": deployment.entrypoint,
        "parameters": deployment.parameters,
        "schedules": order if is_same else schedules,
        "work_pool": deployment.work_pool_name,
        "work_queue": deployment.work_queue_name,
        "job_variables": deployment.job_variables,
        "concurrency": concurrency,
        "tags": sorted(deployment.tags),
        "description": deployment.description or "",
        "version": deployment.version,
        "pull": deployment.pull_steps or [],
        "paused": deployment.paused,
        "enforce_parameter_schema": deployment.enforce_parameter_schema,
        "form": _plain_form(deployment.parameter_openapi_schema),
    }


def _plain_form(form: Mapping[str, Any] | None) -> dict[str, Any]:
    # Stock Prefect leaves out what is empty, or does not.
    return {key: value for key, value in (form or {}).items() if value}


def _schedule_fields(entry: Any) -> dict[str, Any]:
    schedule = entry.schedule
    anchor = getattr(schedule, "anchor_date", None)
    fields = {
        "cron": getattr(schedule, "cron", None),
        "interval": schedule.interval.total_seconds() if hasattr(schedule, "interval") else None,
        "rrule": getattr(schedule, "rrule", None),
        "timezone": schedule.timezone or "UTC",
        "anchor_date": anchor.astimezone(UTC).isoformat() if anchor else None,
        "day_or": None if getattr(schedule, "day_or", True) else False,
        "active": None if entry.active in (True, None) else False,
        "parameters": dict(entry.parameters) if entry.parameters else None,
        "slug": entry.slug,
    }
    return {name: value for name, value in fields.items() if value is not None}


def remove_deployment(api: str, name: str) -> None:
    """Take a deployment away; it may be gone."""
    with open_client(api) as client:
        deployment = read_deployment(client, name)
        if deployment is not None:
            delete_deployment(client, deployment.id)


def delete_deployment(client: SyncPrefectClient, identity: UUID) -> None:
    """Take a deployment away, unless somebody else did so meanwhile."""
    from prefect.exceptions import ObjectNotFound

    with suppress(ObjectNotFound):
        client.delete_deployment(identity)


@contextmanager
def open_client(api: str, secret: str | None = None) -> Iterator[SyncPrefectClient]:
    """A client of an API, which is told the ``secret`` of a local one. EngineError, as long as it
    is open, for an API that refuses or does not answer."""
    import_prefect()
    from prefect import exceptions
    from prefect.client.orchestration import get_client
    from prefect.settings import temporary_settings

    # Some refusals have errors of their own, which hold the one with the response.
    refusals = (
        exceptions.PrefectHTTPStatusError, exceptions.ObjectNotFound,
        exceptions.ObjectAlreadyExists, exceptions.ObjectLimitReached,
        exceptions.ObjectUnsupported,
    )  # fmt: skip

    try:
        with temporary_settings(_api_settings(api, secret)), get_client(sync_client=True) as client:
            yield client
    except TowpathError:
        raise
    except refusals as refused:
        status_error: Any = getattr(refused, "http_exc", refused)
        reply = status_error.response.text[:500]
        raise EngineError(f"the Prefect API {api} refused: {reply}") from refused
    except Exception as silent:  # httpx's errors, which are for the forge's client alone to name
        hint = "look at the stage's `api` in towpath.yaml, and at the network"
        raise EngineError(f"the Prefect API {api} does not answer: {silent}", hint=hint) from silent


def _api_settings(api: str, local_secret: str | None) -> dict[Any, str | None]:
    """Prefect's settings for an API: it hears no secret that is another's, a local one's."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

    chosen: dict[Any, str | None] = {PREFECT_API_URL: api}
    if local_secret:
        return {**chosen, PREFECT_API_AUTH_STRING: local_secret}
    secret = PREFECT_API_AUTH_STRING.value() or ""
    if is_local_secret(secret) and PREFECT_API_URL.value() != api:
        chosen[PREFECT_API_AUTH_STRING] = None
    return chosen


def require_pool(client: SyncPrefectClient, pool: str) -> None:
    """Make the pool of `towpath up` where it is missing; others are made by their owners."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        if pool != POOL:
            hint = f"prefect work-pool create {pool}, or another `work_pool` in towpath.yaml"
            raise EngineError(f"there is no work pool `{pool}`", hint=hint) from None
        with suppress(ObjectAlreadyExists):  # two that deploy at once both make it
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def read_deployment(client: SyncPrefectClient, name: str) -> Any:
    """What Prefect answers of a deployment by its full name; None where there is none."""
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _make_schedules(wanted: WantedDeployment) -> list[Any]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    declared = [_make_schedule(schedule) for schedule in wanted.schedules]
    if wanted.schedule is None:
        return declared
    try:
        cron = CronSchedule(cron=wanted.schedule, timezone="UTC")
    except ValueError as wrong:
        what = f"`schedule: {wanted.schedule}` is none in cron's words"
        raise EngineError(what, hint="such as `0 5 * * *`") from wrong
    return [DeploymentScheduleCreate(schedule=cron, active=True), *declared]


def _make_schedule(declared: ScheduleDeclaration) -> Any:
    """A schedule as Prefect takes it. ValueError for what it does not take."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

    zone = declared.timezone or "UTC"
    schedule: Any
    if declared.cron is not None:
        schedule = CronSchedule(cron=declared.cron, timezone=zone, day_or=declared.day_or)
    elif declared.rrule is not None:
        schedule = RRuleSchedule(rrule=declared.rrule, timezone=zone)
    else:
        anchor = datetime.fromisoformat(declared.anchor_date or _FIRST_ANCHOR)
        anchor = anchor if anchor.tzinfo else anchor.replace(tzinfo=ZoneInfo(zone))
        interval = timedelta(seconds=declared.interval or 0)
        schedule = IntervalSchedule(interval=interval, anchor_date=anchor, timezone=zone)
    return DeploymentScheduleCreate(
        schedule=schedule,
        active=declared.active,
        parameters=dict(declared.parameters),
        slug=declared.slug,
    )


def _parameter_schema(entrypoint: str, folder: str) -> dict[str, Any]:
    """The parameters of the flow, so that Prefect's form and checks know them.

    Empty where the project does not lie in this machine's ``folder``.
    """
    from prefect.utilities.callables import parameter_schema_from_entrypoint

    file, colon, name = entrypoint.rpartition(":")
    path = Path(folder, file)
    if not colon:
        module, _, attribute = entrypoint.rpartition(".")
        schema = getattr(importlib.import_module(module), attribute).parameters
    elif path.is_file():
        schema = parameter_schema_from_entrypoint(f"{path}:{name}")
    else:
        return {}
    document: dict[str, Any] = schema.model_dump()
    return document
