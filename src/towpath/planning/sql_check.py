"""The SQL of a step held against it: what is no SQL, not given, not used, or not made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.config.pipeline_declaration import DuckDBStep, list_bindings
from towpath.config.table_options import TableOptions
from towpath.dependencies.extras import tell_missing_extra
from towpath.errors import Fault, Place, did_you_mean
from towpath.pipeline import file_formats
from towpath.pipeline.step_graph import FromInput, Node, outputs_of
from towpath.steps import formats, sql_tables
from towpath.steps.sql_source import SqlSource, read_sql

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.backends.duckdb.sql_script import SqlStatement
    from towpath.config.pipeline_file import DeclaredPipeline


def find_sql_faults(
    root: Path, declared: DeclaredPipeline, nodes: Mapping[str, Node], node: Node, whole: bool
) -> Iterator[Fault]:
    """Everything that is wrong between a step and its SQL. ``whole``: each of the step's references
    could be resolved. StepFailed where there is no SQL to read."""
    yield from _table_faults(declared, nodes, node)
    step = node.step
    assert isinstance(step, DuckDBStep)
    source = read_sql(root, declared.folder, node.name, step.sql)
    if tell_missing_extra("duckdb"):  # said by who asks: nothing here reads it then
        return
    from towpath.backends.duckdb.sql_script import SqlFault, parse_script

    try:
        script = parse_script(source.text)
    except SqlFault as fault:
        yield source.name_fault(fault)
        return
    check = _SqlCheck(declared, node, script, source)
    yield from check.parameter_faults()
    if whole:
        yield from check.unused_faults()
    yield from check.output_faults()


class _SqlCheck(Struct, frozen=True):
    declared: DeclaredPipeline
    node: Node
    script: tuple[SqlStatement, ...]
    source: SqlSource

    def _place_of(self, *loc: str | int) -> Place | None:
        return self.declared.places.find_place("steps", self.node.name, *loc)

    @property
    def _tables(self) -> list[str]:
        """The inputs, a file each; a value in a JSON output is a parameter."""
        return [
            name
            for name, source in self.node.arguments.items()
            if isinstance(source, FromInput) or any(not c.keys for c in outputs_of(source))
        ]

    def parameter_faults(self) -> Iterator[Fault]:
        values = [name for name in self.node.arguments if name not in self._tables]
        for statement in self.script:
            for name in sorted(statement.params.difference(self.node.arguments)):
                what = f"nothing gives the parameter `${name}`"
                hint = did_you_mean(name, values) or f"write `params: [{name}]`"
                yield Fault(what, self.source.find_place(statement.first_line), hint)
            for name in sorted(statement.params.intersection(self._tables)):
                what = f"`${name}` is a parameter, and `{name}` a table"
                at_statement = self.source.find_place(statement.first_line)
                yield Fault(what, at_statement, f"write `FROM {name}`")

    def unused_faults(self) -> Iterator[Fault]:
        for name in self.node.arguments:
            place = self._argument_place(name)
            if name in self._tables:
                if not any(statement.names_word(name) for statement in self.script):
                    yield Fault(f"the SQL does not use `{name}`", place, f"write `FROM {name}`")
            elif not any(name in statement.params for statement in self.script):
                hint = f"write `${name}` where the value belongs"
                yield Fault(f"the SQL does not use `${name}`", place, hint)

    def _argument_place(self, argument: str) -> Place | None:
        for key in ("inputs", "params"):
            for name, _, position in list_bindings(self.node.step, key):
                if name == argument:
                    return self._place_of(key, position)
        return self._place_of("with", argument)

    def _lost_queries(self) -> Iterator[Fault]:
        for query in (statement for statement in self.script[:-1] if statement.is_query):
            at_query = self.source.find_place(query.first_line)
            hint = "`CREATE TABLE name AS ...` keeps it"
            yield Fault("what this query gives goes nowhere", at_query, hint)

    def output_faults(self) -> Iterator[Fault]:
        yield from self._lost_queries()
        makes = [statement.makes for statement in self.script if statement.makes]
        outputs = list(self.node.outputs)
        if any(statement.kind == "ALTER" for statement in self.script):
            return  # what has a new name, only running tells
        if len(outputs) == 1 and self.script[-1].is_query:
            return
        tables = {name.lower() for name in makes}
        for name in outputs:
            if name.lower() not in tables:
                other = ", and does not end with a query" if len(outputs) == 1 else ""
                hint = did_you_mean(name, makes) or f"write `CREATE TABLE {name} AS SELECT ...`"
                place = self._place_of("outputs")
                yield Fault(f"the SQL makes no table `{name}`{other}", place, hint)


def _table_faults(
    declared: DeclaredPipeline, nodes: Mapping[str, Node], node: Node
) -> Iterator[Fault]:
    """Files that DuckDB neither reads nor writes."""
    if not node.outputs:
        place = declared.places.find_place("steps", node.name, "outputs")
        yield Fault(f"`{node.name}` writes nothing", place, "`outputs: [totals.parquet]`")
    for name, source in node.arguments.items():
        for file in file_formats.files_of_declared(declared, nodes, source):
            # Of a folder its files say what they are, once they are there.
            is_known = sql_tables.find_sql_format(file.path, file.format) is not None
            if not file.path.endswith("/") and not is_known:
                place = declared.places.find_place("steps", node.name, "inputs")
                what = f"`{name}` is {file.path}, which is no table that DuckDB reads"
                yield Fault(what, place, sql_tables.SQL_TABLES)
    is_list = not hasattr(getattr(node.step, "outputs", ()), "keys")
    for index, (name, output) in enumerate(node.outputs.items()):
        loc = ("steps", node.name, "outputs", index if is_list else name)
        place = declared.places.find_place(*loc)
        is_folder = formats.is_folder_output(output.path)
        if is_folder or not sql_tables.find_sql_format(output.path, output.format):
            yield Fault(f"DuckDB writes no {output.path}", place, sql_tables.SQL_WRITES)
            continue
        for option in TableOptions.from_declaration(output).declared_options():
            if option not in sql_tables.WRITTEN_OPTIONS:
                what = f"DuckDB does not write a table with `{option}`"
                yield Fault(what, declared.places.find_place(*loc, option), "remove it")
