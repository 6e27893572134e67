"""The parameters that `prefect.yaml` declares for a deployment: a run with them is no trial."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath import documents
from towpath.errors import TowpathError

FILE = "prefect.yaml"


@dataclass(frozen=True)
class DeployedFlow:
    """The file of a flow, and the deployment that runs it; ``folders`` may hold `prefect.yaml`."""

    file: Path
    deployment: str
    folders: tuple[Path, ...]


def declares_values(
    flow: DeployedFlow, defaults: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    """Whether ``values`` are what is declared for a deployment: its own parameters, with those of
    one of its schedules, over the pipeline's ``defaults``.

    What cannot be read declares nothing, and Prefect says what is wrong with it.
    """
    return any({**defaults, **declared} == dict(values) for declared in _declared_values(flow))


def _declared_values(flow: DeployedFlow) -> Iterator[Mapping[str, Any]]:
    for folder in dict.fromkeys(flow.folders):
        for deployment in _read_deployments(folder):
            file = os.path.normpath(folder / str(deployment.get("entrypoint")).rpartition(":")[0])
            if deployment.get("name") != flow.deployment or file != os.path.normpath(flow.file):
                continue
            own = _as_mapping(deployment.get("parameters"))
            yield own
            schedules = deployment.get("schedules")
            listed = schedules if isinstance(schedules, list) else [deployment.get("schedule")]
            yield from ({**own, **_as_mapping(_as_mapping(s).get("parameters"))} for s in listed)


def _read_deployments(folder: Path) -> list[Mapping[str, Any]]:
    if not (folder / FILE).is_file():
        return []
    try:
        whole = documents.plain_data(
            documents.parse_yaml(documents.text_of(folder / FILE, FILE), FILE).node
        )
    except TowpathError:
        return []
    listed = whole.get("deployments") if isinstance(whole, dict) else None
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
