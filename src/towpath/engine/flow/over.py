"""What a task waits for when the scheduler knows already that it is over."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.schemas import State, StateType
from prefect.futures import PrefectTaskRunFuture


class _NoResult(State[None]):
    """A state that nothing is taken out of: Prefect would have a thread look for it."""

    def result(self, *_: Any, **__: Any) -> None:
        """None, at once."""


_OVER = _NoResult(type=StateType.COMPLETED)


class Over(PrefectTaskRunFuture[None]):
    """A task that is over: it draws the line between two tasks in Prefect's graph, and no more."""

    def __init__(self, task_run_id: UUID) -> None:
        super().__init__(task_run_id)
        self._final_state = _OVER

    def wait(self, timeout: float | None = None) -> None:
        """Nothing is to be waited for."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> None:
        """None: bytes are in the store."""

    def add_done_callback(self, fn: Any) -> None:
        """Call it at once."""
        fn(self)
