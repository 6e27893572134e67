"""The kinds of step, each a module: how to carry it out, and where."""

from __future__ import annotations

import importlib

from towpath.config.artifact import Made
from towpath.steps.work_order import Order

IN_A_PROCESS = {
    "processing": "towpath.steps.kinds.function_step",
    "training": "towpath.steps.kinds.function_step",
    "evaluation": "towpath.steps.kinds.function_step",
    "tuning": "towpath.steps.kinds.function_step",
    "dask": "towpath.steps.kinds.dask_step",
    "quality_check": "towpath.steps.kinds.quality_check",
    "bias_check": "towpath.steps.kinds.bias_check",
    "explain": "towpath.steps.kinds.explain",
    "batch_transform": "towpath.steps.kinds.batch_transform",
    "command": "towpath.steps.kinds.command_step",
    "notebook": "towpath.steps.kinds.notebook_step",
    "duckdb": "towpath.steps.kinds.duckdb_step",
    "notify": "towpath.steps.kinds.notify_step",
    "create_model": "towpath.steps.kinds.create_model",
    "callback": "towpath.steps.kinds.callback_step",
}
"""Kinds with ``execute(order: Order) -> Made``, run in a process of the step's own."""

IN_THE_RUN = ("condition", "fail", "stop", "register_model")
"""Kinds that are no work for a process: the run carries them out itself, as it does a notification
by a block."""


def execute_order(order: Order) -> Made:
    """Carry out an order by its kind, whose module is imported only now."""
    result: Made = importlib.import_module(IN_A_PROCESS[order.step.kind]).execute(order)
    return result
