"""Which deployment the flow run in this process is of."""

from __future__ import annotations


def find_deployment() -> str | None:
    """The name of the deployment, ``dev`` of ``training/dev``; None where the run is of none."""
    from prefect.runtime import deployment

    found: str | None = deployment.name
    return found
