"""A batch-transform deployment of a stage at its Prefect API, pinned to the version."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.reconcile_plan import RunningVersion
from towpath.errors import DeployError
from towpath.registry import VersionRecord

if TYPE_CHECKING:
    from towpath.backends.prefect.deployments import WantedDeployment
    from towpath.config.target_declarations import PrefectDeployment as Declared

# What `deploy` declares, by Prefect's fields. Where no `path` is declared the code lies where the
# reconciling project does, which is elsewhere on each machine.
_DECLARED = ("entrypoint", "parameters", "schedules", "work_pool")


class PrefectTarget(Struct, frozen=True, dict=True):
    """The target ``{to: prefect}``: a deployment ``<model>/<stage>``. ``api`` is the stage's, None
    for the local one; ``pool`` its work pool."""

    declared: Declared
    stage: str
    home: Path
    api: str | None
    pool: str | None

    @property
    def shown(self) -> str:
        return f"prefect {self.pool}" if self.pool else "prefect"

    @cached_property
    def api_address(self) -> str:
        """The API: the stage's, or the local one, which is started where none runs."""
        if self.api:
            return self.api
        from towpath.backends.prefect import server

        return server.ensure_api(self.home).url

    def find_running(self, model: str, record: VersionRecord | None) -> RunningVersion | None:
        """The version that the deployment's parameters name, and whether it is as `deploy` declares
        it, with the parameters that pin it to the record's digest."""
        from towpath.backends.prefect import deployments

        deployment = self._wanted_deployment(model, record)
        standing = deployments.read_standing(self.api_address, deployment)
        if standing is None:
            return RunningVersion(None)
        name, _, version = str(standing.parameters.get("reference")).partition("@")
        held = {*_DECLARED, *(["pull"] if self.declared.path else [])}
        is_other = record is None or str(record.version) != version  # it is told as such
        whole = name == model and (is_other or standing.differing.isdisjoint(held))
        return RunningVersion(version or "a version that it does not name", whole)

    def prepare(self, bundle: Bundle) -> None:
        """A deployment is one document: it is written when it is switched."""
        missing = [name for name in ("data", "output") if name not in self.declared.parameters]
        if missing and self.declared.schedule:
            what = (
                f"a scheduled {self._deployment_name(bundle.model)} needs {' and '.join(missing)}"
            )
            raise DeployError(what, hint="set them under `parameters` in `deploy`")

    def prepared_bundle(self, bundle: Bundle) -> Bundle:
        return bundle

    def switch_version(self, bundle: Bundle) -> None:
        from towpath.backends.prefect import deployments

        deployment = self._wanted_deployment(bundle.model, bundle.record)
        deployments.deploy_flow(self.api_address, deployment)

    def _wanted_deployment(self, model: str, record: VersionRecord | None) -> WantedDeployment:
        from towpath.backends.prefect import deployments
        from towpath.backends.prefect.server.worker import POOL

        named = f"{model}@{record.version}" if record else model
        # Pins the bytes: a version's tag could be moved, and the flow would follow it.
        pins = {"reference": named, "sha256": record.sha256} if record else {}
        return deployments.WantedDeployment(
            flow=model,
            name=self.stage,
            version=str(record.version) if record else None,
            entrypoint=self.declared.flow,
            folder=self.declared.path or os.fspath(self.home),
            parameters={**self.declared.parameters, "stage": self.stage, **pins},
            pool=self.pool or POOL,
            schedule=self.declared.schedule,
            description=f"{named}, deployed by towpath reconcile.",
            tags=("towpath", self.stage),
        )

    def remove_model(self, model: str) -> None:
        from towpath.backends.prefect import deployments

        deployments.remove_deployment(self.api_address, self._deployment_name(model))

    def _deployment_name(self, model: str) -> str:
        return f"{model}/{self.stage}"
