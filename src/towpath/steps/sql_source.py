"""The SQL of a step: its text, and where a line of it stands."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from towpath.backends.duckdb.sql_script import SqlFault
from towpath.config.names_and_paths import find_sql_file
from towpath.errors import Fault, Place, StepFailed, did_you_mean

_PIPELINE = "pipeline.yaml"


class SqlSource(Struct, frozen=True):
    """A text of SQL, the file that it stands in, from the root, and in a declaration its step."""

    text: str
    root: Path
    file: str
    step: str | None = None

    def find_place(self, line: int) -> Place:
        """Where a line of the SQL stands, from 1."""
        # Looked up only where there is a fault: a step that reads the declaration's file for itself
        # has read what it does not declare, and would not be reused.
        before = _lines_before(self.root / self.file, self.step, self.text) if self.step else 0
        return Place(self.file, before + line if line else 0)

    def name_fault(self, fault: SqlFault) -> Fault:
        """What is wrong with the SQL, with its place."""
        return Fault(fault.what, self.find_place(fault.line), fault.hint)


def read_sql(root: Path, folder: str, step: str, sql: str) -> SqlSource:
    """The SQL of a step: of the file that it names, beside the pipeline's or from the root, or that
    of the declaration. StepFailed where the file is not there, or no text."""
    named = find_sql_file(sql)
    if named is None:
        return SqlSource(sql, root, f"{folder}/{_PIPELINE}", step)
    beside = f"{folder}/{named}"
    file = beside if (root / beside).is_file() else named
    if not (root / file).is_file():
        raise StepFailed(_missing_file(root, folder, named))
    try:
        return SqlSource((root / file).read_text(encoding="utf-8-sig"), root, file)
    except UnicodeDecodeError:
        raise StepFailed(Fault("the file is no text in UTF-8", Place(file))) from None


def _missing_file(root: Path, folder: str, named: str) -> Fault:
    near_files = [
        file.relative_to(start).as_posix()
        for start in (root / folder, root)
        for file in (start / Path(named).parent).glob("*.sql")
    ]
    hint = did_you_mean(named, near_files) or f"it is looked for in {folder}/ and at the root"
    return Fault(f"there is no SQL file {named}", hint=hint)


def _lines_before(declaration: Path, step: str, sql: str) -> int:
    """How many lines of the declaration stand before its SQL, which a block of YAML indents: where
    all lines of the text follow each other. 0 where the file has been edited, or folds them."""
    try:
        document = declaration.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    document = [line.strip() for line in document]
    sql_lines = [line.strip() for line in sql.rstrip().splitlines()]
    begin = next((i for i, line in enumerate(document) if line.startswith(f"{step}:")), 0)
    for start in range(begin, len(document) - len(sql_lines) + 1):
        lines = document[start : start + len(sql_lines)]
        if lines == sql_lines or (
            len(sql_lines) == 1 and lines[0].rstrip("'\"}").endswith(sql_lines[0])
        ):
            return start
    return begin
