"""Deployments of a stage at its Prefect API: read, written whole, and taken away."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends.prefect.executor import import_prefect
from towpath.backends.prefect.server.server_state import is_local_secret
from towpath.backends.prefect.server.worker import POOL
from towpath.errors import EngineError, TowpathError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@dataclass(frozen=True)
class WantedDeployment:
    """A deployment ``<flow name>/<name>``. ``folder`` is the project's where the worker runs,
    ``schedule`` in cron's words."""

    flow: str
    name: str
    version: str
    entrypoint: str
    folder: str
    parameters: Mapping[str, Any]
    pool: str = POOL
    schedule: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Its name in `prefect deployment run`."""
        return f"{self.flow}/{self.name}"


def read_deployed_parameters(api: str, name: str) -> Mapping[str, Any] | None:
    """The parameters of a deployment by its full name; None where there is none."""
    with _open_client(api) as client:
        deployment = _read_deployment(client, name)
        return None if deployment is None else dict(deployment.parameters or {})


def deploy_flow(api: str, wanted: WantedDeployment) -> None:
    """Make a deployment, or put it in the place of the one of that name, in one call.

    Runs that were called before keep the parameters that they were called with.
    """
    schedules, schema = _make_schedules(wanted), _parameter_schema(wanted.entrypoint, wanted.folder)
    with _open_client(api) as client:
        _make_pool(client, wanted.pool)
        flow = client.create_flow_from_name(wanted.flow)
        client.create_deployment(
            flow_id=flow,
            name=wanted.name,
            version=wanted.version,
            entrypoint=wanted.entrypoint,
            parameters=dict(wanted.parameters),
            work_pool_name=wanted.pool,
            description=wanted.description,
            tags=list(wanted.tags),
            schedules=schedules,
            pull_steps=[
                {"prefect.deployments.steps.set_working_directory": {"directory": wanted.folder}}
            ],
            parameter_openapi_schema=schema,
            enforce_parameter_schema=bool(schema),
        )


def remove_deployment(api: str, name: str) -> None:
    """Take a deployment away; it may be gone."""
    with _open_client(api) as client:
        deployment = _read_deployment(client, name)
        if deployment is not None:
            client.delete_deployment(deployment.id)


@contextmanager
def _open_client(api: str) -> Iterator[SyncPrefectClient]:
    import_prefect()
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import temporary_settings

    try:
        with temporary_settings(_stage_settings(api)), get_client(sync_client=True) as client:
            yield client
    except TowpathError:
        raise
    except PrefectHTTPStatusError as refused:
        reply = refused.response.text[:500]
        raise EngineError(f"the Prefect API {api} refused: {reply}") from refused
    except Exception as silent:  # httpx's errors, which are for the forge's client alone to name
        hint = "look at the stage's `api` in towpath.yaml, and at the network"
        raise EngineError(f"the Prefect API {api} does not answer: {silent}", hint=hint) from silent


def _stage_settings(api: str) -> dict[Any, str | None]:
    """Prefect's settings for a stage's API: it hears no secret that is a local API's."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

    chosen: dict[Any, str | None] = {PREFECT_API_URL: api}
    secret = PREFECT_API_AUTH_STRING.value() or ""
    if is_local_secret(secret) and PREFECT_API_URL.value() != api:
        chosen[PREFECT_API_AUTH_STRING] = None
    return chosen


def _make_pool(client: SyncPrefectClient, pool: str) -> None:
    """Make the pool of `towpath up` where it is missing; others are made by their owners."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        if pool != POOL:
            hint = f"prefect work-pool create {pool}, or another `work_pool` in towpath.yaml"
            raise EngineError(f"there is no work pool `{pool}`", hint=hint) from None
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def _read_deployment(client: SyncPrefectClient, name: str) -> Any:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _make_schedules(wanted: WantedDeployment) -> list[Any]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    if wanted.schedule is None:
        return []
    try:
        cron = CronSchedule(cron=wanted.schedule, timezone="UTC")
    except ValueError as wrong:
        what = f"`schedule: {wanted.schedule}` is none in cron's words"
        raise EngineError(what, hint="such as `0 5 * * *`") from wrong
    return [DeploymentScheduleCreate(schedule=cron, active=True)]


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
