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
    from towpath.config.target_declarations import PrefectDeployment as Declared


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
        """The version that the deployment's parameters name, and whether they are as written:
        the declared ones, and those that pin it to the record's digest."""
        from towpath.backends.prefect import deployments

        parameters = deployments.read_deployed_parameters(
            self.api_address, self._deployment_name(model)
        )
        if parameters is None:
            return RunningVersion(None)
        name, _, version = str(parameters.get("reference")).partition("@")
        expected = dict(self.declared.parameters)
        if record is not None and str(record.version) == version:
            expected |= {"stage": self.stage, "sha256": record.sha256}
        whole = all(parameters.get(key) == value for key, value in expected.items())
        return RunningVersion(version or "a version that it does not name", whole and name == model)

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
        from towpath.backends.prefect.server.worker import POOL

        deployment = deployments.WantedDeployment(
            flow=bundle.model,
            name=self.stage,
            version=str(bundle.version),
            entrypoint=self.declared.flow,
            folder=self.declared.path or os.fspath(self.home),
            parameters={
                **self.declared.parameters,
                "reference": f"{bundle.model}@{bundle.version}",
                "stage": bundle.stage,
                # Pins the bytes: a version's tag could be moved, and the flow would follow it.
                "sha256": bundle.record.sha256,
            },
            pool=self.pool or POOL,
            schedule=self.declared.schedule,
            description=f"{bundle.model}@{bundle.version}, deployed by towpath reconcile.",
            tags=("towpath", self.stage),
        )
        deployments.deploy_flow(self.api_address, deployment)

    def remove_model(self, model: str) -> None:
        from towpath.backends.prefect import deployments

        deployments.remove_deployment(self.api_address, self._deployment_name(model))

    def _deployment_name(self, model: str) -> str:
        return f"{model}/{self.stage}"
