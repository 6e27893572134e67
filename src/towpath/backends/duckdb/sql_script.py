"""A script of SQL as DuckDB reads it, before anything runs: its statements and their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from msgspec import Struct

_AT_LINE = re.compile(r"\n+LINE (\d+): .*", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_MADE = re.compile(
    r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP(?:ORARY)?\s+)?(?:TABLE|VIEW)\s+"
    r"(?:IF\s+NOT\s+EXISTS\s+)?(?:\"(?P<quoted>(?:[^\"]|\"\")+)\"|(?P<plain>\w+))",
    re.IGNORECASE,
)
_READ_AT_LENGTH = re.compile(r"\n(\n|The search space|Possible ).*", re.DOTALL)
_CSV_HINT = "`separator`, `encoding`, `types` and `missing` of the file say how it is read"
_HINTS = {
    "PermissionException": "it reads its inputs alone: declare the file under `inputs`",
    "OutOfMemoryException": "`memory: 4GB` gives it more; what does not fit it spills to disk",
}
#: Statements that work on tables, and reach neither files nor settings. EXPLAIN is none of them:
#: with ANALYZE it carries out what it explains, a COPY over the bytes of an input too.
_ALLOWED = frozenset(
    {
        *("SELECT", "CREATE", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "DROP", "ALTER"),
        *("ANALYZE", "MULTI", "SET"),
    }
)
_VIEW = re.compile(r"\s*CREATE\s+(OR\s+REPLACE\s+)?(TEMP(ORARY)?\s+)?VIEW\b", re.IGNORECASE)
_INSTEAD = {
    "COPY": "each output is written for you: that called `scored` from a table of that name",
    "EXPLAIN": "explain it at DuckDB's own command line",
    "ATTACH": "a file that it reads is declared under `inputs`",
    "LOAD": "no extension is loaded: the ones within DuckDB are there",
    "TRANSACTION": "remove it: a step that fails leaves nothing",
}


class SqlFault(Exception):
    """What is wrong with a script: words, the line from 1 (0: not known), what to do, and the
    names that ``retry`` may give it."""

    def __init__(
        self, what: str, line: int = 0, hint: str | None = None, causes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(what)
        self.what = what
        self.line = line
        self.hint = hint
        self.causes = causes


class SqlStatement(Struct, frozen=True):
    """A statement: its text with all that stands before it, the line that this begins in, its kind
    in DuckDB's words, the parameters that it names, and the table or view that it makes."""

    text: str
    line: int
    kind: str
    params: frozenset[str]
    makes: str | None = None

    @property
    def is_query(self) -> bool:
        """Whether it gives rows that can be written."""
        # A pivot is a statement of several parts to DuckDB; one in a CREATE makes a table.
        return self.kind == "SELECT" or (self.kind == "MULTI" and self.makes is None)

    @property
    def first_line(self) -> int:
        """The line of its first word."""
        masked = _COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), self.text)
        return self.line + masked[: len(masked) - len(masked.lstrip())].count("\n")

    def names_word(self, name: str) -> bool:
        """Whether a name stands in it, outside of comments and texts."""
        bare = _QUOTED.sub("''", _COMMENT.sub(" ", self.text))
        return re.search(rf"(?<![\w$]){re.escape(name)}(?!\w)", bare, re.IGNORECASE) is not None


def parse_script(text: str) -> tuple[SqlStatement, ...]:
    """The statements of a script; SqlFault for what is no SQL, and for what no step may do."""
    import duckdb

    try:
        with duckdb.connect(":memory:") as connection:
            parsed = connection.extract_statements(text)
    except duckdb.Error as error:
        raise_sql_fault(error, 1, 1)
    statements = tuple(_place_statements(text, parsed))
    if not statements:
        raise SqlFault("there is no statement in the SQL", 1)
    for statement in statements:
        _refuse_unfit(statement)
    return statements


def _place_statements(text: str, parsed: Sequence[object]) -> Iterator[SqlStatement]:
    position = 0
    for statement in parsed:
        query: str = statement.query  # type: ignore[attr-defined]
        start = max(text.find(query, position), position)
        position = start + len(query)
        kind: str = statement.type.name  # type: ignore[attr-defined]
        named: set[str] = statement.named_parameters  # type: ignore[attr-defined]
        line = text.count("\n", 0, start) + 1
        match = _MADE.match(_COMMENT.sub(" ", query))
        makes = match and (match["plain"] or match["quoted"].replace('""', '"'))
        yield SqlStatement(query, line, kind, frozenset(named), makes)


def _refuse_unfit(statement: SqlStatement) -> None:
    bare = _COMMENT.sub(" ", statement.text).split(None, 2)
    is_setting = statement.kind == "SET" and [word.upper() for word in bare[:2]] != [
        "SET",
        "VARIABLE",
    ]
    if statement.kind not in _ALLOWED or is_setting:
        what = f"`{bare[0].upper()}` is nothing that a step of kind duckdb does"
        hint = _INSTEAD.get(statement.kind, "it makes tables of its inputs, and no more")
        raise SqlFault(what, statement.first_line, hint)
    if numbered := sorted(name for name in statement.params if name.isdigit()):
        hint = "write `$year` for `params: [year]`"
        what = f"the parameter {numbered[0]} has no name"
        raise SqlFault(what, statement.first_line, hint)
    if statement.params and _VIEW.match(_COMMENT.sub(" ", statement.text)):
        # DuckDB's own words, "This type of statement can't be prepared!", help nobody.
        hint = "write CREATE TABLE, which keeps what it gives now"
        what = f"a view takes no parameter: `${min(statement.params)}`"
        raise SqlFault(what, statement.first_line, hint)


def raise_sql_fault(error: Exception, line: int, first_line: int = 0) -> NoReturn:
    """What DuckDB says of a text that begins in ``line``, as an SqlFault; where it names no line,
    ``first_line`` is that of the statement."""
    name = type(error).__name__
    match = _AT_LINE.search(str(error))
    # Of a CSV it says at length how it was read, in words that no declaration has.
    text = _READ_AT_LENGTH.sub("", _AT_LINE.sub("", str(error))).strip()
    first, *further = [part.strip() for part in text.splitlines() if part.strip()] or [name]
    if "CSV" in text:
        first, further = " ".join([first, *further]), [_CSV_HINT]
    hint = " ".join(further) or _HINTS.get(name)
    at_line = line + int(match[1]) - 1 if match else first_line
    causes = tuple(kind.__name__ for kind in type(error).__mro__[:-2])
    if name == "OutOfMemoryException":
        causes = (*causes, "MemoryError")
    raise SqlFault(first, at_line, hint, causes) from None
