"""The floor of a no-op step: Prefect alone, a task each, in a chain, its API warm."""

import os
import sys
from typing import Any

os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner


@task(cache_policy=NO_CACHE, persist_result=False)
def nothing() -> None:
    """Do nothing."""


@flow(task_runner=ThreadPoolTaskRunner(max_workers=2), persist_result=False)
def chain(count: int) -> None:
    """Tasks of which each waits for the one before."""
    before: list[Any] = []
    for _ in range(count):
        before = [nothing.submit(wait_for=before)]
        before[0].wait()


with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
    chain(int(sys.argv[1]))
