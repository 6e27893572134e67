"""What a step logs while it runs, as a table beside its task in Prefect."""

from __future__ import annotations

import contextvars
import threading
from contextlib import suppress
from typing import Any, Self
from uuid import UUID

from msgspec import Struct, field
from prefect.artifacts import TableArtifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from towpath.steps.metric_log import MetricTail
from towpath.steps.work_order import Order

_FIRST, _PAUSE = 1.0, 5.0  # seconds before the first call of the API, and between two of them
_ROWS = 200  # names that the table shows


class MetricTable(Struct, dict=True):
    """While it lasts, brings a step's numbers to Prefect's API: one table, each few seconds."""

    order: Order
    key: str
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    artifact: UUID | None = None

    def __enter__(self) -> Self:
        self._tail = MetricTail(self.order.directory)
        self._over = threading.Event()
        # The context says which task the table belongs to.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._follow,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_PAUSE)
        if not self._thread.is_alive():  # else it waits for an API that is silent: no step does
            self._show_new()

    def _follow(self) -> None:
        pause = _FIRST
        while not self._over.wait(pause):
            self._show_new()
            pause = _PAUSE

    def _show_new(self) -> None:
        is_new = False
        for logged in self._tail.read_new():
            is_new = True
            row = self.rows.setdefault(logged.name, {"metric": logged.name, "values": 0})
            # JSON of Prefect's table has no infinity.
            row |= {"last": f"{logged.value:.6g}", "step": logged.step, "values": row["values"] + 1}
        if is_new:
            with suppress(Exception):  # a sign for who looks: the numbers stand in the record
                self._send()

    def _send(self) -> None:
        rows = list(self.rows.values())[:_ROWS]
        table = TableArtifact(key=self.key, table=rows, description=f"{self.order.name}: metrics")
        if self.artifact is None:
            created: Any = table.create(_sync=True)  # type: ignore[call-arg] # async_dispatch's own
            self.artifact = created.id
            return
        text: Any = table.format(_sync=True)  # type: ignore[call-arg]
        with get_client(sync_client=True) as client:
            client.update_artifact(self.artifact, ArtifactUpdate(data=text))
