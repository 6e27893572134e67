"""What a function asks for that needs more than pandas: Dask's tables and client, polars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath.config.pipeline_declaration import DaskStep
from towpath.dependencies.extras import tell_missing_extra
from towpath.errors import Fault, Place
from towpath.pipeline import file_formats
from towpath.steps import sql_tables
from towpath.steps.dask_cluster import DASK_CLIENTS, DASK_FORMATS, DASK_FRAME, DASK_TABLES

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.dependencies import StepSignature
    from towpath.pipeline.step_graph import Node


def find_big_table_faults(
    declared: DeclaredPipeline,
    nodes: Mapping[str, Node],
    node: Node,
    signature: StepSignature,
    place: Place | None,
) -> Iterator[Fault]:
    """Extras that a step needs and that are not there, and what only a step on a cluster is
    given."""
    yield from _extra_faults(node, signature, place)
    if isinstance(node.step, DaskStep) and node.step.address and node.step.workers:
        at_workers = declared.places.find_place("steps", node.name, "workers")
        yield Fault("a cluster by its `address` has workers", at_workers, "remove `workers`")
    at_function = Place(signature.file, signature.line)
    for argument in signature.arguments:
        if argument.asks not in (DASK_FRAME, *DASK_CLIENTS):
            continue
        name, is_given = argument.name, argument.name in node.arguments
        if not isinstance(node.step, DaskStep):
            what = f"`{name}` asks for a {argument.asks}, and `{node.name}` has no cluster"
            yield Fault(what, at_function, "write `kind: dask`")
        elif is_given and argument.asks in DASK_CLIENTS:
            what = f"`{name}` is the cluster's client, and the step gives it something"
            yield Fault(what, at_function, "give the input another name")
        elif is_given:
            for file in file_formats.files_of_declared(declared, nodes, node.arguments[name]):
                if _is_no_table(file.path, file.format):
                    what = f"`{name}` is {file.path}, which is no table that Dask reads"
                    yield Fault(what, at_function, DASK_TABLES)


def _extra_faults(node: Node, signature: StepSignature, place: Place | None) -> Iterator[Fault]:
    if isinstance(node.step, DaskStep) and (command := tell_missing_extra("dask")):
        yield Fault("Dask needs packages that are not installed", place, f"`{command}`")
    asks_polars = any(argument.asks.startswith("polars.") for argument in signature.arguments)
    if asks_polars and (command := tell_missing_extra("polars")):
        yield Fault("polars is not installed", place, f"`{command}`")


def _is_no_table(path: str, declared: str | None) -> bool:
    # Of a folder its files say what they are, once they are there.
    format = sql_tables.find_sql_format(path, declared)
    return not path.endswith("/") and format not in DASK_FORMATS
