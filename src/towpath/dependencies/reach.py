"""What a function reaches: the graph of names over the files of a project."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from towpath.dependencies.import_effects import ImportEffects
from towpath.dependencies.names_used import read_names
from towpath.dependencies.project_code import (
    BUILTINS,
    ImportedModule,
    ImportedPackage,
    Meaning,
    OutsideName,
    ProjectCode,
    Symbol,
    WholeModule,
)
from towpath.dependencies.scopes import FUNCTIONS
from towpath.dependencies.widening import Widening, widening_of_name
from towpath.errors import DeclarationError


@dataclass(frozen=True)
class PossibleModule:
    """A module that dynamic code may load: it counts whole, if it can be read or not."""

    file: str


Node: TypeAlias = Meaning | PossibleModule


class Reach:
    """The edges between what is named, each found once, and what a start reaches over them."""

    def __init__(self, code: ProjectCode) -> None:
        self.code = code
        self.effects = ImportEffects(code)
        self._edges: dict[Node, tuple[Node, ...]] = {}
        self._have_effects: dict[str, bool] = {}

    def find_closure(self, starts: Iterable[Node]) -> set[Node]:
        """Everything reached from here."""
        reached: set[Node] = set()
        waiting = list(starts)
        while waiting:
            node = waiting.pop()
            if node not in reached:
                reached.add(node)
                waiting.extend(self.edges_of(node))
        return reached

    def edges_of(self, node: Node) -> tuple[Node, ...]:
        """What one node reaches at once."""
        if node not in self._edges:
            self._edges[node] = tuple(dict.fromkeys(self._find_edges(node)))
        return self._edges[node]

    def binding_statements(self, symbol: Symbol) -> tuple[int, ...]:
        """The statements that bind a name, in their order; what else may fill its value is an
        effect, and so reached by all that the module holds."""
        return self.code.source(symbol.file).binders.get(symbol.name, ())

    def has_effects(self, file: str) -> bool:
        """Whether importing this module has an effect, there or in what it imports."""
        if file not in self._have_effects:
            nodes = self.find_closure([ImportedModule(file)])
            files = (node.file for node in nodes if isinstance(node, ImportedModule))
            self._have_effects[file] = any(map(self.effects.of_module, files))
        return self._have_effects[file]

    def files(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """The files of the project among these nodes, from its root, sorted."""
        kinds = Symbol | ImportedModule | WholeModule | PossibleModule
        return tuple(sorted({self.code.show_path(n.file) for n in nodes if isinstance(n, kinds)}))

    @staticmethod
    def package_names(closure: Iterable[Node]) -> frozenset[str]:
        """The top names of modules that are neither the project's nor Python's."""
        outside = (node for node in closure if isinstance(node, OutsideName | ImportedPackage))
        tops = frozenset(node.dotted.partition(".")[0] for node in outside)
        return tops - sys.stdlib_module_names - BUILTINS

    @staticmethod
    def imported_packages(closure: Iterable[Node]) -> frozenset[str]:
        """The modules that are imported and are not the project's, by their whole names."""
        return frozenset(node.dotted for node in closure if isinstance(node, ImportedPackage))

    def carried_nodes(self, closure: Iterable[Node]) -> Iterator[Node]:
        """What objects made by this code may name: classes, functions that are values, widened."""
        for node in closure:
            if isinstance(node, WholeModule | PossibleModule):
                yield node
            elif isinstance(node, Symbol):
                if self._is_kind(node, ast.ClassDef):
                    yield node
                yield from self._function_values(node)

    def _function_values(self, symbol: Symbol) -> Iterator[Symbol]:
        for number in self.binding_statements(symbol):
            names = self.code.used_names(symbol.file, number)
            values = [
                self.code.meanings_of_name(symbol.file, v) for v in names.values & names.chains
            ]
            values += [self.code.of_import(symbol.file, *use) for use in names.uses]
            for meaning in (meaning for meanings in values for meaning in meanings):
                if isinstance(meaning, Symbol) and self._is_kind(meaning, *FUNCTIONS):
                    yield meaning

    def _is_kind(self, symbol: Symbol, *kinds: type[ast.stmt]) -> bool:
        statements = self.code.source(symbol.file).statements
        return any(
            isinstance(statements[number], kinds) for number in self.binding_statements(symbol)
        )

    def _find_edges(self, node: Node) -> Iterator[Node]:
        match node:
            case Symbol(file=file):
                yield ImportedModule(file)
                for number in self.binding_statements(node):
                    yield from self._from_statement(file, number)
            case ImportedModule(file=file):
                yield from self._from_import(file)
            case WholeModule(file=file):
                yield ImportedModule(file)
                yield from self._from_whole(file)
            case PossibleModule(file=file):
                yield from self._from_possible(file)
            case Widening.TEXT:
                yield Widening.PROJECT
            case Widening.PROJECT:
                for folder in self.code.path.all:
                    yield from map(PossibleModule, self.code.finder.list_modules(folder))

    def _from_statement(self, file: str, number: int) -> Iterator[Node]:
        for meaning in self.code.meanings_of(file, self.code.used_names(file, number)):
            reached: Node | None = meaning
            if isinstance(meaning, OutsideName):
                yield meaning
                reached = widening_of_name(meaning.dotted, meaning.is_module)
            if reached:
                yield WholeModule(file) if reached is Widening.MODULE else reached

    def _from_import(self, file: str) -> Iterator[Node]:
        """Importing a module runs its effects, and what it imports."""
        source = self.code.source(file)
        for number in self.effects.of_module(file):
            statement = source.statements[number]
            if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                yield Symbol(file, statement.name)
            yield from self._from_statement(file, number)
        for imported in source.loads:
            yield from self.code.runs(file, imported)
            if imported.name == "*":
                yield from self.code.modules_of_star(file, imported)

    def _from_whole(self, file: str) -> Iterator[Node]:
        """A whole module, and whole what it imports, wherever in it."""
        source = self.code.source(file)
        for number in range(len(source.statements)):
            for meaning in self._from_statement(file, number):
                if isinstance(meaning, ImportedModule):
                    yield WholeModule(meaning.file)
                yield meaning
        for imported in source.loads:
            for meaning in self.code.runs(file, imported):
                if isinstance(meaning, ImportedModule):
                    yield WholeModule(meaning.file)
                else:
                    yield meaning

    def _from_possible(self, file: str) -> Iterator[Node]:
        """Of a module that may be loaded only its packages are followed: all others count too."""
        try:
            source = self.code.source(file)
        except DeclarationError:
            return
        for imported in read_names(*source.statements).imports:
            meanings = self.code.runs(file, imported)
            yield from (meaning for meaning in meanings if isinstance(meaning, ImportedPackage))
