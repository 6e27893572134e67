"""Calls a function of the project that works on a Dask cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from towpath.backends.dvc import Store
from towpath.config.artifact import Artifact, Made
from towpath.errors import StepFailed
from towpath.steps import dask_cluster, formats, sql_tables
from towpath.steps.dask_cluster import DASK_CLIENTS, DASK_FRAME
from towpath.steps.kinds import function_step
from towpath.steps.kinds.function_step import FunctionCall, PreparedCall
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from distributed import Client

    from towpath.config.pipeline_declaration import DaskStep


def execute(order: Order) -> Made:
    """Call the function with a client of the cluster, and store what it made.

    :raises StepFailed: where the cluster does not answer, or is lost.
    """
    step: DaskStep = order.step  # type: ignore[assignment] # only this kind comes here
    with dask_cluster.connect_cluster(step, order) as client:
        call = _prepare_call(order, client)
        try:
            called = _call_function(order, call)
        except Exception as error:
            if lost := dask_cluster.explain_loss(client, error):
                raise function_step.place_failure(lost, order, call.function) from error
            raise
    return function_step.add_signatures(function_step.store_outputs(order, called), called)


def _prepare_call(order: Order, client: Client) -> PreparedCall:
    tables = {
        name: argument
        for name, argument in order.arguments.items()
        if isinstance(argument, Artifact) and order.annotations.get(name) == DASK_FRAME
    }
    others = {name: value for name, value in order.arguments.items() if name not in tables}
    call = function_step.prepare_call(replace(order, arguments=others))
    frames = {name: _read_table(order, name, table) for name, table in tables.items()}
    clients = {name: client for name, asks in order.annotations.items() if asks in DASK_CLIENTS}
    inputs = {**call.inputs, **frames, **clients}
    # What is an input and an output by one name is the input.
    writes = {name: path for name, path in call.writes.items() if name not in inputs}
    return PreparedCall(call.function, inputs, writes)


def _read_table(order: Order, name: str, artifact: Artifact) -> Any:
    table = sql_tables.find_input_table(order, Store(order.root), name, artifact)
    if table.format not in dask_cluster.DASK_FORMATS:
        what = f"input `{name}`: {artifact.name} is no table that Dask reads"
        raise StepFailed(what, hint=dask_cluster.DASK_TABLES)
    return dask_cluster.read_dask_frame(table, order.options_of(name))


def _call_function(order: Order, call: PreparedCall) -> FunctionCall:
    begun = time.perf_counter()
    answer = call.run()
    called = function_step.finish_call(order, call, answer)
    returned = {}
    for name, value in called.returned.items():
        is_folder = formats.is_folder_output(order.outputs[name].path)
        folder = order.place_output(name) if is_folder else None
        returned[name] = dask_cluster.collect_value(value, folder)
    seconds = round(time.perf_counter() - begun, 3)
    return replace(called, returned=returned, seconds=seconds)
