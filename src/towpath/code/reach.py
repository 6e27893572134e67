"""What a function reaches: the graph of names over the files of a project."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from towpath.code import names_used, widening
from towpath.code.import_effects import ImportEffects
from towpath.code.project_code import (
    BUILTINS,
    Loads,
    Meaning,
    Outside,
    ProjectCode,
    Run,
    Symbol,
    Whole,
)
from towpath.code.scopes import FUNCTIONS
from towpath.code.widening import Widening
from towpath.errors import DeclarationError


@dataclass(frozen=True)
class Loose:
    """A module that dynamic code may load: it counts whole, if it can be read or not."""

    file: str


Node: TypeAlias = Meaning | Loose


class Reach:
    """The edges between what is named, each found once, and what a start reaches over them."""

    def __init__(self, code: ProjectCode) -> None:
        self.code = code
        self.effects = ImportEffects(code)
        self._edges: dict[Node, tuple[Node, ...]] = {}
        self._effects: dict[str, bool] = {}

    def closure(self, starts: Iterable[Node]) -> set[Node]:
        """Everything reached from here."""
        seen: set[Node] = set()
        waiting = list(starts)
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting.extend(self.edges(node))
        return seen

    def edges(self, node: Node) -> tuple[Node, ...]:
        """What one node reaches at once."""
        if node not in self._edges:
            self._edges[node] = tuple(dict.fromkeys(self._find(node)))
        return self._edges[node]

    def _find(self, node: Node) -> Iterator[Node]:
        if isinstance(node, Symbol):
            yield Run(node.file)
            for number in self.statements(node):
                yield from self._spoken(node.file, number)
        elif isinstance(node, Run):
            yield from self._run(node.file)
        elif isinstance(node, Whole):
            yield Run(node.file)
            yield from self._whole(node.file)
        elif isinstance(node, Loose):
            yield from self._loose(node.file)
        elif isinstance(node, Widening):
            yield from self._widened(node)

    def statements(self, symbol: Symbol) -> tuple[int, ...]:
        """The statements that bind a name, in their order; what else may fill its value is an
        effect, and so reached by all that the module holds."""
        return self.code.source(symbol.file).binders.get(symbol.name, ())

    def _spoken(self, file: str, number: int) -> Iterator[Node]:
        for meaning in self.code.spoken(file, self.code.facts(file, number)):
            said: Node | None = meaning
            if isinstance(meaning, Outside):
                yield meaning
                said = widening.of_name(meaning.dotted, meaning.is_module)
            if said:
                yield Whole(file) if said is Widening.MODULE else said

    def _run(self, file: str) -> Iterator[Node]:
        """Importing a module runs its effects, and what it imports."""
        for number in self.effects.of_module(file):
            statement = self.code.source(file).statements[number]
            if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                yield Symbol(file, statement.name)
            yield from self._spoken(file, number)
        for imported in self.code.source(file).loads:
            yield from self.code.runs(file, imported)
            if imported.name == "*":
                yield from self.code.star(file, imported)

    def _whole(self, file: str) -> Iterator[Node]:
        """A whole module, and whole what it imports, wherever in it."""
        for number in range(len(self.code.source(file).statements)):
            for meaning in self._spoken(file, number):
                if isinstance(meaning, Run):
                    yield Whole(meaning.file)
                yield meaning
        for imported in self.code.source(file).loads:
            for meaning in self.code.runs(file, imported):
                yield Whole(meaning.file) if isinstance(meaning, Run) else meaning

    def _loose(self, file: str) -> Iterator[Node]:
        """Of a module that may be loaded only its packages are followed: all others count too."""
        try:
            source = self.code.source(file)
        except DeclarationError:
            return
        for imported in names_used.read(*source.statements).imports:
            yield from (each for each in self.code.runs(file, imported) if isinstance(each, Loads))

    def _widened(self, widening: Widening) -> Iterator[Node]:
        if widening is Widening.TEXT:
            yield Widening.PROJECT
        elif widening is Widening.PROJECT:
            for folder in self.code.path.all:
                yield from (Loose(file) for file in self.code.finder.modules(folder))

    def packages(self, closure: Iterable[Node]) -> frozenset[str]:
        """The top names of modules that are neither the project's nor Python's."""
        dotted = (each.dotted for each in closure if isinstance(each, Outside | Loads))
        tops = frozenset(each.partition(".")[0] for each in dotted)
        return tops - sys.stdlib_module_names - BUILTINS

    @staticmethod
    def loads(closure: Iterable[Node]) -> frozenset[str]:
        """The modules that are imported and are not the project's, by their whole names."""
        return frozenset(each.dotted for each in closure if isinstance(each, Loads))

    def carried(self, closure: Iterable[Node]) -> Iterator[Node]:
        """What objects made by this code may name: classes, functions that are values, widened."""
        for node in closure:
            if isinstance(node, Whole | Loose):
                yield node
            elif isinstance(node, Symbol):
                if self._is(node, ast.ClassDef):
                    yield node
                yield from self._values(node)

    def _values(self, symbol: Symbol) -> Iterator[Node]:
        for number in self.statements(symbol):
            facts = self.code.facts(symbol.file, number)
            handed = [
                self.code.meaning(symbol.file, chain) for chain in facts.values & facts.chains
            ]
            handed += [self.code.of_import(symbol.file, *use) for use in facts.uses]
            for each in (each for meanings in handed for each in meanings):
                if isinstance(each, Symbol) and self._is(each, *FUNCTIONS):
                    yield each

    def _is(self, symbol: Symbol, *kinds: type[ast.stmt]) -> bool:
        statements = self.code.source(symbol.file).statements
        return any(isinstance(statements[number], kinds) for number in self.statements(symbol))

    def has_effects(self, file: str) -> bool:
        """Whether importing this module has an effect, there or in what it imports."""
        if file not in self._effects:
            runs = (each for each in self.closure([Run(file)]) if isinstance(each, Run))
            self._effects[file] = any(self.effects.of_module(each.file) for each in runs)
        return self._effects[file]
