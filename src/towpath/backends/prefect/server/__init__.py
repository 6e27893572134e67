"""The life of the Prefect API that runs use: the user's own, or a local one that comes and goes."""

from towpath.backends.prefect.server.chosen_api import (
    await_api,
    begin_api,
    ensure_api,
    run_in_progress,
    settle_killed_runs,
)
from towpath.backends.prefect.server.server_state import PrefectApi

__all__ = [
    "PrefectApi", "await_api", "begin_api", "ensure_api", "run_in_progress", "settle_killed_runs",
]  # fmt: skip
