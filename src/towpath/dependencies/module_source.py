"""One file of code, parsed once: its statements and who binds which name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from towpath.backends.git import large_files
from towpath.dependencies.scopes import FUNCTIONS, Import, find_bindings, own_nodes, read_imports
from towpath.errors import DeclarationError, Fault, Place


@dataclass(frozen=True, eq=False)
class ModuleSource:
    """The statements that run when a module is imported, and the names that they bind.

    ``binders`` gives for a name the statements (by number, in order) that define it, apart from
    one plain import; ``imports`` gives for a name the imports that bind it; ``loads`` is every
    import that runs with the module.
    """

    statements: tuple[ast.stmt, ...]
    binders: Mapping[str, tuple[int, ...]]
    imports: Mapping[str, tuple[Import, ...]]
    loads: tuple[Import, ...]
    docstring: str | None

    def has(self, name: str) -> bool:
        return name in self.binders or name in self.imports

    @cached_property
    def has_names_in_texts(self) -> bool:
        """Whether a text of the module speaks of a name as ``"@limit"`` does."""
        nodes = (node for statement in self.statements for node in ast.walk(statement))
        texts = (node.value for node in nodes if isinstance(node, ast.Constant))
        return any(isinstance(text, str) and re.search(r"(?<!\w)@", text) for text in texts)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.binders, *self.imports)


def parse_module(content: bytes, shown: str) -> ModuleSource:
    """Read a file's content; a syntax error is a fault at its line."""
    try:
        return _parse_content(content)
    except SyntaxError as error:
        place = Place(shown, error.lineno or 0, error.offset or 0)
        raise DeclarationError(Fault(f"this is not Python: {error.msg}", place)) from None
    except (ValueError, RecursionError) as error:
        raise DeclarationError(Fault(f"this is not Python: {error}", Place(shown))) from None


def read_code(file: Path, shown: str) -> bytes:
    """A file's content; one that cannot be read is a fault.

    A text's lines end in a line feed, however Git laid it out (``core.autocrlf``): the same commit
    is the same code on every machine.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        why = (error.strerror or "unreadable").lower()
        raise DeclarationError(Fault(f"`{shown}` cannot be read: {why}", Place(shown))) from None
    if large_files.is_pointer(content):
        what = f"`{shown}` is a pointer of Git LFS, and not the file"
        raise DeclarationError(Fault(what, Place(shown), large_files.PULL))
    return content if b"\0" in content else content.replace(b"\r\n", b"\n")


@lru_cache(maxsize=4096)
def _parse_content(content: bytes) -> ModuleSource:
    tree = ast.parse(content)
    statements = tuple(entry for entry in tree.body if not _runs_as_script(entry))
    bound: dict[str, list[int]] = defaultdict(list)
    imports: dict[str, tuple[Import, ...]] = {}
    for number, statement in enumerate(statements):
        for name, imported in find_bindings([statement]).items():
            bound[name].append(number)
            if imported:
                imports[name] = (*imports.get(name, ()), *imported)
    if b"global" in content:
        _add_globals(statements, bound)
    binders = {name: tuple(sorted(set(numbers))) for name, numbers in bound.items()}
    for name in imports:
        if len(binders[name]) == 1 and _is_import(statements[binders[name][0]]):
            del binders[name]
    loads = tuple(entry for node in _running_nodes(statements) for entry in read_imports(node))
    return ModuleSource(statements, binders, imports, loads, ast.get_docstring(tree))


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _running_nodes(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported, bodies of classes among them."""
    for node in own_nodes(statements):
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _running_nodes(node.body)


def _add_globals(statements: tuple[ast.stmt, ...], bound: dict[str, list[int]]) -> None:
    """A function that declares a name global may define it."""
    for number, statement in enumerate(statements):
        for node in ast.walk(statement):
            if isinstance(node, ast.Global):
                for name in node.names:
                    bound[name].append(number)


def _runs_as_script(statement: ast.stmt) -> bool:
    """``if __name__ == "__main__":`` never runs in a step."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and ast.unparse(statement.test) in ("__name__ == '__main__'", "'__main__' == __name__")
    )


def is_definition(node: ast.AST) -> bool:
    """Whether the node is a function or a class."""
    return isinstance(node, (*FUNCTIONS, ast.ClassDef))
