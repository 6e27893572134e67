"""Who deploys at once, and what the API says no to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from own_home import use_api
from towpath.backends.prefect import automations, deployments
from towpath.backends.prefect.server import PrefectApi
from towpath.errors import EngineError

AT_ONCE = 4


@pytest.fixture
def address(warm_api: PrefectApi, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the API that the tests share, whose pool is another one here."""
    use_api(warm_api, monkeypatch)
    monkeypatch.setattr(deployments, "POOL", f"made-at-once-{uuid4()}")
    return warm_api.url


def test_all_that_deploy_at_once_find_the_pool_made(address: str) -> None:
    together = Barrier(AT_ONCE)

    def require_pool() -> None:
        with deployments.open_client(address) as client:
            client.read_work_pools()
            together.wait()
            deployments.require_pool(client, deployments.POOL)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for called in [threads.submit(require_pool) for _ in range(AT_ONCE)]:
            called.result()
    with deployments.open_client(address) as client:
        assert client.read_work_pool(deployments.POOL).type == "process"
        client.delete_work_pool(deployments.POOL)


def test_what_somebody_else_took_away_is_gone(address: str) -> None:
    with deployments.open_client(address) as client:
        deployments.delete_deployment(client, uuid4())
        automations.delete_automation(client, uuid4())
    deployments.remove_deployment(address, "nobody/deployed it")


@pytest.mark.parametrize("call", ["delete_deployment", "delete_automation", "read_flow"])
def test_an_answer_that_is_no_is_said_in_its_words(address: str, call: str) -> None:
    with (
        pytest.raises(EngineError, match=f"^the Prefect API {address} refused: .*not found"),
        deployments.open_client(address) as client,
    ):
        ask: Any = getattr(client, call)
        ask(uuid4())


def test_a_pool_that_stands_is_no_fault_of_who_made_it_again(address: str) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    pool = WorkPoolCreate(name=deployments.POOL, type="process")
    with (
        pytest.raises(EngineError, match=r"refused: .*already exists"),
        deployments.open_client(address) as client,
    ):
        client.create_work_pool(pool)
        try:
            client.create_work_pool(pool)
        finally:
            client.delete_work_pool(deployments.POOL)
