"""A database in memory that a script of SQL runs in: fenced in, and out of core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.backends.duckdb.sql_script import SqlStatement, raise_sql_fault

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OWN_SIZE = 96 << 20  # bytes of the process apart from what DuckDB counts
_LEAST_LIMIT = 64 << 20
#: Of what is left, for DuckDB's own count is not all that it takes.
_COUNTED = 0.75


class ScriptDatabase(Struct, frozen=True):
    """A database that reads and writes the files it was opened for, and nothing else."""

    connection: DuckDBPyConnection

    def add_view(self, name: str, scan: str) -> None:
        """Let a name stand for what an expression reads, such as ``read_parquet(['t.parquet'])``.

        SqlFault where the files are not what it takes them for.
        """
        self._execute(f"CREATE VIEW {quote_name(name)} AS SELECT * FROM {scan}")

    def run_statement(self, statement: SqlStatement, values: Mapping[str, Any]) -> None:
        """Carry out a statement, with the parameters that it names bound to their values."""
        self._execute(statement.text, statement, values)

    def write_table(self, name: str, target: str) -> None:
        """Write a table or view; ``target`` is what stands behind ``TO`` in a COPY."""
        self._execute(f"COPY {quote_name(name)} TO {target}")

    def write_query(self, statement: SqlStatement, target: str, values: Mapping[str, Any]) -> None:
        """Write what a query gives."""
        query = statement.text.rstrip().rstrip(";")
        # In its own first line, so that DuckDB counts the lines that the script has; and what
        # stands behind in a new one, for the query may end with a comment.
        text = f"COPY ({query}\n) TO {target}"
        self._execute(text, statement, values)

    def has_table(self, name: str) -> bool:
        """Whether there is a table or view of that name."""
        rows = self.connection.execute(
            "SELECT 1 FROM information_schema.tables WHERE lower(table_name) = lower($name)",
            {"name": name},
        )
        return rows.fetchone() is not None

    def _execute(
        self,
        text: str,
        statement: SqlStatement | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        import duckdb

        # DuckDB takes no value that a statement does not name.
        named = statement.params if statement else ()
        try:
            self.connection.execute(text, {name: (values or {})[name] for name in named})
        except duckdb.Error as error:
            lines = (statement.line, statement.first_line) if statement else (0, 0)
            raise_sql_fault(error, *lines)


@contextmanager
def open_database(
    files: Iterable[Path], spill: Path, memory: int | None = None
) -> Iterator[ScriptDatabase]:
    """A database that may read and write these files alone, and puts what does not fit into
    ``memory`` bytes of its process, by default most of the machine's, into the folder ``spill``."""
    import duckdb

    settings: dict[str, Any] = {
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        # Nothing of the user's is read: it would decide what the step makes.
        "home_directory": str(spill),
        "extension_directory": str(spill),
        "secret_directory": str(spill),
    }
    if memory:
        limit = max(int((memory - _OWN_SIZE) * _COUNTED), _LEAST_LIMIT)
        settings["memory_limit"] = f"{limit}B"
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        paths = [str(path) for path in files]
        connection.execute("SET allowed_paths = $paths", {"paths": paths})
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield ScriptDatabase(connection)


def quote_name(name: str) -> str:
    """A name as SQL writes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
