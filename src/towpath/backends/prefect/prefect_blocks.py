"""Blocks at a Prefect API: the secrets that stand in them, and those that tell somebody."""

from __future__ import annotations

import json
from typing import Any

from towpath.backends.prefect.defer_imports import import_deferred
from towpath.backends.prefect.prefect_import import import_prefect
from towpath.errors import Fault, StepFailed


def _load_block(kind: Any, name: str) -> Any:
    return kind.load(name, _sync=True)  # in a flow it would else answer with a coroutine


def load_secret(name: str) -> str | None:
    """The text of the block of that name, of Prefect's kind Secret; None where there is none."""
    import_prefect()
    from prefect.blocks.system import Secret

    try:
        block: Any = _load_block(Secret, name)
    except ValueError:  # what Prefect raises for a block that is not there
        return None
    value: Any = block.get()
    return value if isinstance(value, str) else json.dumps(value)


def send_notification(block_name: str, text: str, subject: str) -> None:
    """Tell a text by a notification block: ``slack-webhook/alerts``.

    Raises:
        StepFailed: where there is no such block, or it cannot tell.
    """
    import_prefect()
    import_deferred()  # which makes their kinds of block known
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    try:
        block = _load_block(Block, block_name)
    except ValueError:
        hint = "`prefect block ls` lists them; Prefect's UI makes one, under Blocks"
        raise StepFailed(Fault(f"there is no block {block_name}", hint=hint)) from None
    if not isinstance(block, NotificationBlock):
        raise StepFailed(f"the block {block_name} is none that notifies")
    notifier: Any = block  # outside of an event loop it tells at once, whatever its signature says
    try:
        notifier.notify(text, subject=subject)
    except Exception as error:  # of whatever library the block speaks by
        # Its words hold the whole address, in which a webhook's secret is a part of the path.
        status = getattr(getattr(error, "response", None), "status_code", "")
        reason = f"{type(error).__name__} {status}".strip()
        what = f"the block {block_name} could not tell it: {reason}"
        raise StepFailed(Fault(what)) from error
