"""A Dask cluster as a step uses it: reached or started, its tables read, its values collected."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.config.table_options import TableOptions
from towpath.errors import StepFailed, name_causes
from towpath.steps.formats.column_types import require_columns

if TYPE_CHECKING:
    from distributed import Client

    from towpath.config.pipeline_declaration import DaskStep
    from towpath.steps.sql_tables import TableFiles
    from towpath.steps.work_order import Order

#: What a function of a dask step may ask for by an annotation.
DASK_FRAME = "dask.dataframe.DataFrame"
DASK_CLIENTS = ("distributed.Client", "dask.distributed.Client")
DASK_FORMATS = ("parquet", "csv", "tsv", "jsonl")
DASK_TABLES = "a .parquet, .csv, .tsv or .jsonl is, and a folder of them"

#: What the step's own process and the scheduler take of `memory`.
_OWN_SIZE = 400 << 20
_ANSWER_SECONDS = 5
_WORKER_SECONDS = 30
_CLOSE_SECONDS = 2
_LOST = ("FutureCancelledError", "CommClosedError", "CancelledError", "ClosedClientError")
_TYPES = {
    "string": "string",
    "integer": "Int64",
    "number": "float64",
    "boolean": "boolean",
    "category": "category",
}


@contextmanager
def connect_cluster(step: DaskStep, order: Order) -> Iterator[Client]:
    """A client of the cluster that a step names, or of one of this machine, whose workers together
    take the step's memory. They import the project's modules.

    StepFailed where it does not answer, or has no worker.
    """
    if step.address:
        with _connect(step.address) as client:
            _prepare_workers(client, step.address, order.root, order.folder)
            yield client
        return
    from distributed import LocalCluster

    memory = max(step.memory - _OWN_SIZE, step.memory // 4) if step.memory else None
    number = step.workers or os.cpu_count() or 1
    cluster: Any
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=number,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=str(order.directory / "spill"),
        memory_limit=memory // number if memory else "auto",
    ) as cluster, _connect(cluster.scheduler_address) as client:  # fmt: skip
        _prepare_workers(client, None, order.root, order.folder)
        yield client


@contextmanager
def _connect(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client: Any = Client(address, timeout=_ANSWER_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        what = f"the Dask scheduler {address} does not answer: {_first_line(error)}"
        hint = "its address stands as `address` of the step, or of the `runner` in towpath.yaml"
        raise StepFailed(what, hint=hint, causes=name_causes(type(error))) from None
    try:
        yield client
    finally:
        client.close(timeout=_CLOSE_SECONDS)


def _prepare_workers(client: Any, address: str | None, root: Path, folder: str) -> None:
    from towpath.steps.project_on_workers import ProjectModules, SchedulerModules

    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except TimeoutError:
        what = f"the Dask scheduler {address or ''} has had no worker for {_WORKER_SECONDS} s"
        raise StepFailed(what, hint=f"start one: `dask worker {address or 'ADDRESS'}`") from None
    name = f"towpath-{uuid.uuid4().hex}"
    try:
        if address:  # that of this machine is in this very process
            client.register_plugin(SchedulerModules(root, folder, f"{name}-scheduler"))
        client.register_plugin(ProjectModules(root, folder, name))
    except Exception as error:  # whatever a process of another environment raises
        what = f"the Dask cluster {address or ''} does not take the project's modules"
        hint = (
            "its scheduler and its workers have Towpath's environment, and see the project's folder"
        )
        raise StepFailed(
            f"{what}: {_first_line(error)}",
            hint=hint,
            causes=name_causes(type(error)),
        ) from None


def explain_loss(client: Any, error: BaseException) -> StepFailed | None:
    """The failure where an error says that the scheduler is gone; None for any other error."""
    name = type(error).__name__
    if name not in _LOST or client.status == "running":
        return None
    what = f"the Dask scheduler {client.scheduler.address} was lost: {_first_line(error)}"
    hint = f"its log tells why; `retry: {{errors: [{name}]}}` tries the step again"
    return StepFailed(what, hint=hint, causes=name_causes(type(error)))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def read_dask_frame(table: TableFiles, options: TableOptions) -> Any:
    """A table that the cluster reads, where its workers see the same files."""
    from dask import dataframe

    paths = [str(path) for path in table.paths]
    if table.format == "parquet":
        return dataframe.read_parquet(paths)
    # A path in the store has no ending that would tell.
    compression = "gzip" if table.name.endswith(".gz") else None
    if table.format == "jsonl":
        return _read_json_lines(table, options, paths, compression)
    missing: dict[str, Any] = {}
    if options.missing is not None:
        missing = {"na_values": list(options.missing), "keep_default_na": False}
    return dataframe.read_csv(
        paths,
        sep=options.separator or {"csv": ",", "tsv": "\t"}[table.format],
        decimal=options.decimal or ".",
        encoding=options.encoding or "utf-8",
        compression=compression,
        blocksize=None if compression else "default",
        **missing,
        **_types_of(options),
    )


def _read_json_lines(
    table: TableFiles, options: TableOptions, paths: list[str], compression: str | None
) -> Any:
    from dask import dataframe

    # Text stays text, as for pandas here: its own reader of JSON guesses numbers and times.
    frame = dataframe.read_json(paths, lines=True, compression=compression, dtype=False)
    require_columns(options.types, frame.columns, table.name)
    types = _types_of(options)
    times = {name: dataframe.to_datetime(frame[name]) for name in types.get("parse_dates", ())}
    return frame.astype(types.get("dtype", {})).assign(**times)


def _types_of(options: TableOptions) -> Mapping[str, Any]:
    types = {name: _TYPES[kind] for name, kind in options.types.items() if kind in _TYPES}
    times = [name for name, kind in options.types.items() if kind == "datetime"]
    return {**({"dtype": types} if types else {}), **({"parse_dates": times} if times else {})}


def collect_value(value: Any, folder: Path | None) -> Any:
    """What a function gave, computed: a table is written into a folder by the workers, if one is
    given; any other is brought here."""
    from dask.base import is_dask_collection
    from distributed import Future

    if isinstance(value, Future):
        return collect_value(value.result(), folder)
    if not is_dask_collection(value):
        return value
    if folder is not None and hasattr(value, "to_parquet"):
        value.to_parquet(str(folder))
        return folder
    return value.compute()
