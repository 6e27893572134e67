"""The code of a project as one step sees it: modules by file, names by what they mean."""

from __future__ import annotations

import ast
import builtins
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from towpath.backends.git import large_files
from towpath.dependencies.module_search import FoundModule, ModuleFinder, SearchPath
from towpath.dependencies.names_used import (
    Chain,
    Import,
    UsedNames,
    find_bindings,
    own_nodes,
    read_imports,
    read_names,
)
from towpath.dependencies.notebook_source import NOTEBOOK, Notebook, parse_notebook
from towpath.dependencies.widening_tables import SIGNS, Widening
from towpath.errors import DeclarationError, Fault, Place
from towpath.regular_files import read_regular_file

_OF_MODULES = """
__name__ __file__ __package__ __spec__ __path__ __loader__ __cached__ __class__ __annotations__
__debug__
"""
#: Names that every module has, and that say nothing of its code.
OF_MODULES = frozenset(_OF_MODULES.split())

BUILTINS = frozenset(dir(builtins)) | OF_MODULES


class Symbol(Struct, frozen=True):
    file: str
    name: str


class ImportedModule(Struct, frozen=True):
    file: str


class WholeModule(Struct, frozen=True):
    """Anything in a module may matter, with what it imports."""

    file: str


class OutsideName(Struct, frozen=True):
    """A name that is not the project's: of a package, of the standard library, a builtin.
    ``is_module``: the module itself is handed about, and anything of it may be used."""

    dotted: str
    is_module: bool = False


class ImportedPackage(Struct, frozen=True):
    dotted: str


Meaning: TypeAlias = (
    Symbol | ImportedModule | WholeModule | OutsideName | ImportedPackage | Widening
)


class ProjectCode:
    """Reads each file once; knows what a name in a module means. ``program`` is a file that is run,
    and not imported."""

    def __init__(
        self, root: Path, path: SearchPath, finder: ModuleFinder, program: str = ""
    ) -> None:
        self.root = str(root)
        self.program = program
        self.path = path
        self.finder = finder
        self._sources: dict[str, ModuleSource] = {}
        self._used_names: dict[tuple[str, int], UsedNames] = {}

    def show_path(self, file: str) -> str:
        """A file's path from the project's root, for people."""
        return file.removeprefix(f"{self.root}/")

    def source(self, file: str) -> ModuleSource:
        if file not in self._sources:
            is_run = file == self.program or file.endswith(NOTEBOOK)
            content = self.read_python(file)
            self._sources[file] = parse_module(content, self.show_path(file), is_run)
        return self._sources[file]

    def notebook_marks(self, file: str) -> tuple[str, ...]:
        """What is said of a notebook's cells beside their code, and changes what they do."""
        return self._notebook(file).marks

    def _notebook(self, file: str) -> Notebook:
        shown = self.show_path(file)
        return parse_notebook(read_code(Path(file), shown), shown)

    def read_python(self, file: str) -> bytes:
        """The statements of a file, as Python has them; none of one that is no Python."""
        if not file.endswith((".py", NOTEBOOK)):
            return b""
        if file.endswith(".py"):
            return read_code(Path(file), self.show_path(file))
        return self._notebook(file).python.encode("utf-8", "replace")

    def used_names(self, file: str, number: int) -> UsedNames:
        key = file, number
        if key not in self._used_names:
            self._used_names[key] = read_names(self.source(file).statements[number])
        return self._used_names[key]

    def find_import(
        self, module: str, level: int, file: str
    ) -> tuple[FoundModule | None, list[str]]:
        """The module that an import in ``file`` speaks of, and what of its name is none."""
        parts = [part for part in module.split(".") if part]
        portions = self.path.all
        if level:
            folder = Path(file).parents[min(level, len(Path(file).parents)) - 1]
            portions = (str(folder),)
            if not parts:
                inside = folder / "__init__.py"
                package = str(inside) if inside.is_file() else None
                return FoundModule((package,) if package else (), package, portions), []
        found_module, count = self.finder.find_longest(parts, portions)
        return found_module, parts[count:]

    def meanings_of_name(
        self, file: str, chain: Chain, seen: frozenset[Symbol] = frozenset()
    ) -> Iterator[Meaning]:
        """All that a name at the top of a module may mean, with what its attributes lead to."""
        source, (name, *rest) = self.source(file), chain
        symbol = Symbol(file, name)
        if symbol in seen:
            return
        if name in source.binders:
            yield symbol
        for imported in source.imports.get(name, ()):
            yield from self.of_import(file, imported, tuple(rest), seen | {symbol})
        if not source.has(name):
            yield from self._meanings_of_unbound(file, chain)

    def _meanings_of_unbound(self, file: str, chain: Chain) -> Iterator[Meaning]:
        """A builtin, a name out of a star import, or one that nobody can tell."""
        source = self.source(file)
        if chain[0] == "__doc__":
            yield Widening.DOCSTRINGS
        elif chain[0] in BUILTINS:
            yield OutsideName(".".join(chain))
        elif not any(
            self.find_import(star.module, star.level, file)[0] is None
            for star in source.imports.get("*", ())
        ):
            yield WholeModule(file)

    def of_import(
        self, file: str, imported: Import, rest: Chain, seen: frozenset[Symbol] = frozenset()
    ) -> Iterator[Meaning]:
        """What a name bound by an import means, with the attributes behind it."""
        taken = (imported.name,) if imported.name else ()
        module, missing = self.find_import(imported.opens, imported.level, file)
        chain = (*missing, *taken, *rest)
        if module is None or not (module.file or imported.level):
            dotted = ".".join((imported.opens, *taken, *rest))
            yield OutsideName(dotted, is_module=not (taken or rest))
        if module and imported.name != "*":
            yield from self.meanings_of_attribute(module, chain, seen)

    def meanings_of_attribute(
        self, module: FoundModule, chain: Chain, seen: frozenset[Symbol] = frozenset()
    ) -> Iterator[Meaning]:
        """What an attribute of a module means: a name in it, a module below it, or both."""
        if not chain:  # the module itself is handed about: anything of it may be used
            yield from map(WholeModule, self._all_of(module))
            return
        inner = self.finder.find_module(chain[:1], module.portions)
        if inner:
            yield from (ImportedModule(file) for file in inner.runs)
            yield from self.meanings_of_attribute(inner, chain[1:], seen)
        if not module.file:
            return
        if self.source(module.file).has(chain[0]):
            yield from self.meanings_of_name(module.file, chain, seen)
        elif chain[0] == "__doc__":
            yield Widening.DOCSTRINGS
        elif not inner and chain[0] not in OF_MODULES:
            yield from (WholeModule(file) for file in self._all_of(module))

    def _all_of(self, module: FoundModule) -> Iterator[str]:
        if module.file:
            yield module.file
        for folder in module.portions:
            yield from self.finder.list_modules(folder)

    def runs(self, file: str, imported: Import) -> Iterator[Meaning]:
        module, missing = self.find_import(imported.module, imported.level, file)
        if module is None or not (module.file or imported.level):
            yield ImportedPackage(imported.module)
        if module is None:
            return
        yield from (ImportedModule(run_file) for run_file in module.runs)
        if imported.name and not missing:
            inner = self.finder.find_module([imported.name], module.portions)
            yield from (ImportedModule(run_file) for run_file in (inner.runs if inner else ()))

    def meanings_of(self, file: str, names: UsedNames) -> Iterator[Meaning]:
        for chain in names.chains:
            yield from self.meanings_of_name(file, chain)
        for chain in names.perhaps:
            if self.source(file).has(chain[0]):
                yield from self.meanings_of_name(file, chain)
        for imported, rest in names.uses:
            yield from self.of_import(file, imported, rest)
        for imported in names.imports:
            yield from self.runs(file, imported)
            if imported.name == "*":
                yield from self.modules_of_star(file, imported)
        for chain in names.loaders:
            meanings = self.meanings_of_name(file, chain)
            yield from (meaning for meaning in meanings if not isinstance(meaning, OutsideName))
        for module in names.modules:
            name = module.lstrip(".")
            loaded = Import(name, name, name, level=len(module) - len(name))
            yield from (*self.runs(file, loaded), *self.of_import(file, loaded, ()))
        yield from map(SIGNS.__getitem__, names.signs & SIGNS.keys())
        if "template" in names.signs and self.source(file).has_names_in_texts:
            yield Widening.MODULE  # f"age > {limit}", where limit may be "@LIMIT"

    def modules_of_star(self, file: str, imported: Import) -> Iterator[Meaning]:
        module, _ = self.find_import(imported.module, imported.level, file)
        yield from map(WholeModule, self._all_of(module) if module else ())


class ModuleSource(Struct, frozen=True, eq=False, dict=True):
    """The statements that run when a module is imported, and the names that they bind. ``binders``
    are the statements (by number) that define a name, one plain import apart; ``imports`` the
    imports that bind it; ``loads`` every import that runs with the module."""

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


def parse_module(content: bytes, shown: str, is_run: bool = False) -> ModuleSource:
    """Read a file's content, as imported or as run as a program; a syntax error is a fault at
    its line."""
    try:
        return _parse_content(content, is_run)
    except SyntaxError as error:
        place = Place(shown, error.lineno or 0, error.offset or 0)
        raise DeclarationError(Fault(f"this is not Python: {error.msg}", place)) from None
    except (ValueError, RecursionError) as error:
        raise DeclarationError(Fault(f"this is not Python: {error}", Place(shown))) from None


def read_code(file: Path, shown: str) -> bytes:
    """A file's content, or a fault. Its lines end in a line feed, however Git laid it out
    (``core.autocrlf``): the same commit is the same code on every machine."""
    try:
        content = read_regular_file(file)
    except OSError as error:
        why = (error.strerror or "unreadable").lower()
        raise DeclarationError(Fault(f"`{shown}` cannot be read: {why}", Place(shown))) from None
    if large_files.is_pointer(content):
        what = f"`{shown}` is a pointer of Git LFS, and not the file"
        raise DeclarationError(Fault(what, Place(shown), large_files.PULL))
    return content if b"\0" in content else content.replace(b"\r\n", b"\n")


@lru_cache(maxsize=4096)
def _parse_content(content: bytes, is_run: bool) -> ModuleSource:
    tree = ast.parse(content)
    statements = tuple(tree.body if is_run else _imported_statements(tree))
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
        first, *others = binders[name]
        if not others and isinstance(statements[first], ast.Import | ast.ImportFrom):
            del binders[name]
    loads = tuple(entry for node in _running_nodes(statements) for entry in read_imports(node))
    return ModuleSource(statements, binders, imports, loads, ast.get_docstring(tree))


def _running_nodes(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported, bodies of classes among them."""
    for node in own_nodes(statements):
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _running_nodes(node.body)


def _add_globals(statements: tuple[ast.stmt, ...], bound: dict[str, list[int]]) -> None:
    # A function that declares a name global may define it.
    for number, statement in enumerate(statements):
        for node in ast.walk(statement):
            if isinstance(node, ast.Global):
                for name in node.names:
                    bound[name].append(number)


def _imported_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    return (entry for entry in tree.body if not _runs_as_script(entry))


def _runs_as_script(statement: ast.stmt) -> bool:
    # Where a module is imported, as those of a step's function are, this part never runs.
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and ast.unparse(statement.test) in ("__name__ == '__main__'", "'__main__' == __name__")
    )
