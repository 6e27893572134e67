"""Makes tables of tables by SQL: read where they are kept, out of core, each output by a COPY."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.backends.duckdb.database import ScriptDatabase, open_database
from towpath.backends.duckdb.sql_script import SqlFault, SqlStatement, parse_script
from towpath.backends.dvc import Store
from towpath.config.artifact import Artifact, Made
from towpath.config.table_options import TableOptions
from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.steps import sql_tables, step_results
from towpath.steps.formats import is_folder_output
from towpath.steps.sql_source import read_sql
from towpath.steps.sql_tables import TableFiles
from towpath.steps.work_order import Order, Value

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import DuckDBStep


def execute(order: Order) -> Made:
    """Run the SQL over the step's inputs, and store what it made.

    :raises StepFailed: for what DuckDB refuses, with the line of the SQL.
    """
    step: DuckDBStep = order.step  # type: ignore[assignment] # only this kind comes here
    store = Store(order.root)
    source = read_sql(order.root, order.folder, order.name.partition("@")[0], step.sql)
    tables = {
        name: sql_tables.find_input_table(order, store, name, argument)
        for name, argument in order.arguments.items()
        if isinstance(argument, Artifact)
    }
    written = {name: order.place_output(name) for name in order.outputs}
    files = [path for table in tables.values() for path in table.paths]
    try:
        script = parse_script(source.text)
        _require_values(script, order)
        with open_database(
            [*files, *written.values()], order.directory / "spill", step.memory
        ) as database:
            for name, table in tables.items():
                _add_view(database, name, table, order.options_of(name))
            _run_script(database, script, order, written)
    except SqlFault as fault:
        named = source.name_fault(fault)
        what = _with_names(named.what, tables.values())
        raise StepFailed(Fault(what, named.place, named.hint), causes=fault.causes) from None
    outputs, values = step_results.take_outputs(order, store, written, "SQL", {})
    order.remove_bytes()
    return Made(outputs, values)


def _add_view(
    database: ScriptDatabase, name: str, table: TableFiles, options: TableOptions
) -> None:
    try:
        database.add_view(name, table.scan(options))
    except SqlFault as fault:  # of the file, and of no line of the SQL
        what = f"input `{name}`: {_with_names(fault.what, [table])}"
        raise StepFailed(what, hint=fault.hint, causes=fault.causes) from None


def _with_names(words: str, tables: Iterable[TableFiles]) -> str:
    """An error's words with the names that files have outside of the store."""
    for table in tables:
        for path in table.paths:
            words = words.replace(str(path), table.name)
    return words


def _require_values(script: tuple[SqlStatement, ...], order: Order) -> None:
    bound = [name for name, value in order.arguments.items() if isinstance(value, Value)]
    for statement in script:
        for name in sorted(statement.params.difference(bound)):
            hint = did_you_mean(name, bound) or f"write `params: [{name}]`"
            raise SqlFault(f"nothing gives the parameter `${name}`", statement.first_line, hint)


def _run_script(
    database: ScriptDatabase,
    script: tuple[SqlStatement, ...],
    order: Order,
    written: dict[str, Path],
) -> None:
    values = {n: value.value for n, value in order.arguments.items() if isinstance(value, Value)}
    *before, last = script
    for statement in before:
        database.run_statement(statement, values)
    only = next(iter(written)) if len(written) == 1 else None
    if only and last.is_query and not database.has_table(only):
        database.write_query(last, _copy_target(order, only, written[only]), values)
        return
    database.run_statement(last, values)
    for name, path in written.items():
        if not database.has_table(name):
            raise SqlFault(missing_table(name, len(written) == 1), last.first_line)
        database.write_table(name, _copy_target(order, name, path))


def missing_table(name: str, is_only: bool) -> str:
    """What to say of an output that the SQL does not make."""
    other = ", and does not end with a query" if is_only else ""
    return f"the SQL makes no table `{name}`{other}"


def _copy_target(order: Order, name: str, path: Path) -> str:
    output = order.outputs[name]
    format = sql_tables.find_sql_format(output.path, output.format)
    if format is None or is_folder_output(output.path):
        fault = Fault(f"DuckDB writes no {output.path}", hint=sql_tables.SQL_WRITES)
        raise StepFailed(fault).about(f"output `{name}`")
    return sql_tables.copy_target(path, format, TableOptions.from_declaration(output))
