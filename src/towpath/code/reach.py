"""What a function reaches: the graph of names over the files of a project."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from towpath.code import names_used, widening
from towpath.code.import_effects import Quiet
from towpath.code.name_meaning import BUILTINS, Loads, Meaning, Outside, Run, Symbol, View, Whole
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

    def __init__(self, view: View) -> None:
        self.view = view
        self.quiet = Quiet(view)
        self._edges: dict[Node, tuple[Node, ...]] = {}
        self._loud: dict[str, bool] = {}

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
        """The statements that make a name what it is, in their order."""
        binders = self.view.source(symbol.file).binders.get(symbol.name, ())
        fills = self.quiet.at_import(symbol.file).fills.get(symbol.name, ())
        return tuple(sorted({*binders, *fills}))

    def _spoken(self, file: str, number: int) -> Iterator[Node]:
        for meaning in self.view.spoken(file, self.view.facts(file, number)):
            said: Node | None = meaning
            if isinstance(meaning, Outside):
                yield meaning
                said = widening.of_name(meaning.dotted, meaning.is_module)
            if said:
                yield Whole(file) if said is Widening.MODULE else said

    def _run(self, file: str) -> Iterator[Node]:
        """Importing a module runs its effects, and what it imports."""
        for number in self.quiet.at_import(file).effects:
            statement = self.view.source(file).statements[number]
            if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                yield Symbol(file, statement.name)
            yield from self._spoken(file, number)
        for imported in self.view.source(file).loads:
            yield from self.view.runs(file, imported)
            if imported.name == "*":
                yield from self.view.star(file, imported)

    def _whole(self, file: str) -> Iterator[Node]:
        """A whole module, and whole what it imports, wherever in it."""
        for number in range(len(self.view.source(file).statements)):
            for meaning in self._spoken(file, number):
                if isinstance(meaning, Run):
                    yield Whole(meaning.file)
                yield meaning
        for imported in self.view.source(file).loads:
            for meaning in self.view.runs(file, imported):
                yield Whole(meaning.file) if isinstance(meaning, Run) else meaning

    def _loose(self, file: str) -> Iterator[Node]:
        """Of a module that may be loaded only its packages are followed: all others count too."""
        try:
            source = self.view.source(file)
        except DeclarationError:
            return
        for imported in names_used.read(*source.statements).imports:
            yield from (each for each in self.view.runs(file, imported) if isinstance(each, Loads))

    def _widened(self, widening: Widening) -> Iterator[Node]:
        if widening is Widening.TEXT:
            yield Widening.PROJECT
        elif widening is Widening.PROJECT:
            for folder in self.view.path.all:
                yield from (Loose(file) for file in self.view.finder.modules(folder))

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
            facts = self.view.facts(symbol.file, number)
            handed = [
                self.view.meaning(symbol.file, chain) for chain in facts.values & facts.chains
            ]
            handed += [self.view.of_import(symbol.file, *use) for use in facts.uses]
            for each in (each for meanings in handed for each in meanings):
                if isinstance(each, Symbol) and self._is(each, *FUNCTIONS):
                    yield each

    def _is(self, symbol: Symbol, *kinds: type[ast.stmt]) -> bool:
        statements = self.view.source(symbol.file).statements
        return any(isinstance(statements[number], kinds) for number in self.statements(symbol))

    def is_loud(self, file: str) -> bool:
        """Whether importing this module has an effect, there or in what it imports."""
        if file not in self._loud:
            runs = (each for each in self.closure([Run(file)]) if isinstance(each, Run))
            self._loud[file] = any(self.quiet.at_import(each.file).effects for each in runs)
        return self._loud[file]
