"""The code of a notebook: its cells as Python, as far as reading tells; nothing is executed."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

from msgspec import Struct

from towpath.errors import DeclarationError, Fault, Place

NOTEBOOK = ".ipynb"
#: The tag of the cell whose values a run replaces, and that of the cell which replaces them.
PARAMETERS, INJECTED = "parameters", "injected-parameters"
MAY_FAIL = "raises-exception"  # the tag of a cell behind whose error the others go on

_LINE_MAGIC = re.compile(r"^(\s*)((?:[A-Za-z_][\w., ]*=\s*)?)([%!].*|[\w.]+\?{1,2}|\?{1,2}[\w.]+)$")
_PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
_OPEN_AND_SAVE = "open it in Jupyter, and save it"


class NotebookCell(Struct, frozen=True, dict=True):
    """A cell of code. ``number`` counts all cells of the notebook from 1, those of text too."""

    number: int
    source: str
    tags: frozenset[str] = frozenset()

    @cached_property
    def python(self) -> str:
        """The cell as plain Python; what is for IPython alone stands in it as text."""
        if self.source.startswith("%%") and not self.source.startswith(_PYTHON_MAGICS):
            return f"print({self.source!r})"
        return _plain_lines(self.source)

    def parse(self) -> ast.Module:
        """The cell's statements. SyntaxError where it is neither Python nor IPython."""
        try:
            return ast.parse(self.source)  # `%` may begin a line of a long expression or of a text
        except SyntaxError:
            return ast.parse(self.python)


class Notebook(Struct, frozen=True):
    """The cells of code of a notebook, without what an earlier execution left in it."""

    language: str
    cells: tuple[NotebookCell, ...]

    @property
    def marks(self) -> tuple[str, ...]:
        """The tags by which a run does otherwise, each with its cell's place among the others."""
        return tuple(
            f"cell {place}: {tag}"
            for place, cell in enumerate(self.cells)
            for tag in sorted(cell.tags & {PARAMETERS, MAY_FAIL})
        )

    @property
    def python(self) -> str:
        """All of its code as one module."""
        return "\n\n".join(
            cell.source if _is_plain(cell.source) else cell.python for cell in self.cells
        )


@lru_cache(maxsize=64)
def parse_notebook(content: bytes, shown: str) -> Notebook:
    """The notebook that a file holds. DeclarationError, at ``shown``, for what is none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unreadable(shown, f"this is no notebook: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("nbformat"), int):
        raise _unreadable(shown, "this is no notebook: it does not say its `nbformat`")
    if document["nbformat"] < 4 or not isinstance(document.get("cells"), list):
        version = document["nbformat"]
        raise _unreadable(shown, f"a notebook of format {version} cannot be executed")
    return Notebook(_read_language(document), tuple(_read_cells(document["cells"], shown)))


def _unreadable(shown: str, what: str) -> DeclarationError:
    return DeclarationError(Fault(what, Place(shown), _OPEN_AND_SAVE))


def _read_language(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    for key, name in (("kernelspec", "language"), ("language_info", "name")):
        section = metadata.get(key) if isinstance(metadata, dict) else None
        language = section.get(name) if isinstance(section, dict) else None
        if isinstance(language, str) and language:
            return language.lower()
    return "python"


def _read_cells(cells: list[Any], shown: str) -> Iterator[NotebookCell]:
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict):
            raise _unreadable(shown, f"this is no notebook: cell {number} is no mapping")
        if cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise _unreadable(shown, f"this is no notebook: cell {number} has no text")
        metadata = cell.get("metadata")
        tags = metadata.get("tags") if isinstance(metadata, dict) else None
        tag_words = frozenset(map(str, tags if isinstance(tags, list) else ()))
        if INJECTED not in tag_words:  # left by an earlier execution, and replaced by the next
            yield NotebookCell(number, source, tag_words)


def _is_plain(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _plain_lines(source: str) -> str:
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        lines[0] = f"print({lines[0]!r})"
    # A call, for a text that stands alone would be left out of a digest as a docstring is.
    return "\n".join(
        _LINE_MAGIC.sub(lambda m: f"{m[1]}{m[2]}print({m[3]!r})", line) for line in lines
    )
