"""Values that end when they are read: who reads ``zip(...)`` twice finds nothing left."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from towpath.code import harmless
from towpath.code.name_meaning import Outside, Symbol, View
from towpath.code.names_used import chain_of
from towpath.code.scopes import COMPREHENSIONS, FUNCTIONS, children, own

_LITERALS = (ast.Dict, ast.List, ast.Set, ast.Tuple)
_READ_ONCE = (ast.Name, ast.Constant, ast.Lambda, ast.JoinedStr, ast.Compare, ast.Starred)
_BINDING = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Return, ast.withitem)


class Endings:
    """Finds the names that hold such values; in doubt a name holds one."""

    def __init__(self, view: View, definition: Callable[[Symbol], ast.stmt | None]) -> None:
        self.view = view
        self.definition = definition
        self._symbols: dict[Symbol, bool] = {}
        self._made: dict[Symbol, bool] = {}

    def is_ending(self, symbol: Symbol) -> bool:
        """Whether reading what a name holds may leave less of it."""
        if symbol not in self._symbols:
            source = self.view.source(symbol.file)
            nodes = (source.statements[number] for number in source.binders.get(symbol.name, ()))
            self._symbols[symbol] = self._any_bound(symbol.file, nodes)
        return self._symbols[symbol]

    def _any_bound(self, file: str, statements: Iterable[ast.AST]) -> bool:
        for node in own(statements):
            if isinstance(node, ast.ClassDef) and self._any_bound(file, node.body):
                return True
            if isinstance(node, _BINDING) and not _is_unpacked(node):
                value = node.context_expr if isinstance(node, ast.withitem) else node.value
                if value is not None and self.holds(file, value):
                    return True
        return False

    def holds(self, file: str, node: ast.AST) -> bool:
        """Whether the value of an expression is, or keeps, one that ends."""
        if isinstance(node, ast.GeneratorExp):
            return True
        if isinstance(node, _READ_ONCE):
            return False
        if isinstance(node, ast.Call):
            return self._made_by(file, node)
        parts = children(node)
        if node.__class__ in COMPREHENSIONS:
            parts = [each for each in parts if not isinstance(each, ast.comprehension)]
        return any(self.holds(file, each) for each in parts)

    def _made_by(self, file: str, node: ast.Call) -> bool:
        if isinstance(node.func, ast.Attribute) and node.func.attr in harmless.ENDING:
            return True
        meanings = list(self.view.meaning(file, chain_of(node.func) or ("",)))
        known = [each.dotted for each in meanings if isinstance(each, Outside)]
        kept: list[ast.expr] = [each for each in node.args if isinstance(each, _LITERALS)]
        if any(map(_is_iterator, known)):
            return True
        if len(known) < len(meanings) or not harmless.KEEPING.isdisjoint(known):
            kept = node.args
        symbols = (each for each in meanings if isinstance(each, Symbol))
        kept = [*kept, *(each.value for each in node.keywords)]
        return any(self.holds(file, each) for each in kept) or any(map(self._makes, symbols))

    def _makes(self, symbol: Symbol) -> bool:
        """Whether a function returns, or an instance of a class has, such a value."""
        if symbol not in self._made:
            self._made[symbol] = False  # a circle adds nothing
            node = self.definition(symbol)
            inner = node.body if isinstance(node, (*FUNCTIONS, ast.ClassDef)) else []
            methods = [each for each in inner if isinstance(each, FUNCTIONS)]
            bodies = [inner, *(each.body for each in methods)]
            self._made[symbol] = any(self._any_bound(symbol.file, body) for body in bodies)
        return self._made[symbol]


def _is_unpacked(node: ast.AST) -> bool:
    """``first, *rest = enumerate(...)`` has read it to its end, at once."""
    if not isinstance(node, ast.Assign) or isinstance(node.value, _LITERALS):
        return False
    return all(isinstance(each, ast.Tuple | ast.List) for each in node.targets)


def _is_iterator(dotted: str) -> bool:
    return dotted in harmless.ITERATORS or dotted.partition(".")[0] in harmless.ITERATORS
