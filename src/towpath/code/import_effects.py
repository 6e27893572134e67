"""What of a module, when it is imported, does more than give names to values."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from towpath.code.ending import Endings
from towpath.code.judge import Doing, Judge
from towpath.code.module_source import is_definition
from towpath.code.name_meaning import Outside, Symbol, View
from towpath.code.scopes import at_definition, bindings, own

_CONTAINERS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
_CONSTANT = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop, ast.Load)


@dataclass(frozen=True)
class AtImport:
    """Statements (by number) with effects, and those that only fill a container, by its name.

    ``suspects`` are names that an effect has touched: what they hold may do anything.
    """

    effects: tuple[int, ...]
    fills: Mapping[str, tuple[int, ...]]
    suspects: frozenset[str]


class Quiet:
    """Judges import-time code; in doubt a statement is loud, and so belongs to every digest."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.endings = Endings(view, self.definition)
        self._calls: dict[tuple[Symbol, bool], bool] = {}
        self._modules: dict[str, AtImport] = {}
        self._open: dict[str, set[str]] = {}

    def at_import(self, file: str) -> AtImport:
        """The judgement on a module, statement by statement."""
        if file not in self._modules:
            self._open[file] = set()
            self._modules[file] = self._settle(file)
            del self._open[file]
        return self._modules[file]

    def _settle(self, file: str) -> AtImport:
        """Judge again until no statement turns loud by what another loud one touched."""
        statements = self.view.source(file).statements
        suspects, effects = self._open[file], set[int]()
        while True:
            doings = self._judge_all(file, statements, effects)
            loud = {number for number, doing in doings.items() if doing.loud}
            if not loud:
                break
            effects |= loud
            for number in loud:
                suspects |= self._touched(file, statements[number])
            self._calls.clear()
        fills: dict[str, tuple[int, ...]] = {}
        for number, doing in doings.items():
            for name in doing.changed:
                fills[name] = (*fills.get(name, ()), number)
        return AtImport(tuple(sorted(effects)), fills, frozenset(suspects))

    def _judge_all(
        self, file: str, statements: tuple[ast.stmt, ...], known: set[int]
    ) -> dict[int, Doing]:
        rest = ((number, each) for number, each in enumerate(statements) if number not in known)
        return {number: Judge(self, file).body([each]) for number, each in rest}

    def _touched(self, file: str, statement: ast.stmt) -> set[str]:
        """The names of the module that a statement binds or reads when it runs."""
        read = {node.id for node in _running([statement]) if isinstance(node, ast.Name)}
        return {
            name
            for name in read | bindings([statement]).keys()
            if not self._is_constant(file, name)
            and not all(isinstance(each, Outside) for each in self.view.meaning(file, (name,)))
        }

    def is_suspect(self, file: str, symbol: Symbol) -> bool:
        """Whether what a name holds may do anything, for the one who reads it in ``file``.

        So it is always in a circle of imports, since there a module may be half made.
        """
        if self.endings.is_ending(symbol):
            return True
        if symbol.file == file and file in self._open:
            return symbol.name in self._open[file]
        if symbol.file != file and file in self.view.loaded(symbol.file):
            return True
        return symbol.name in self.at_import(symbol.file).suspects

    def is_quiet(self, symbol: Symbol, returned_too: bool = False) -> bool:
        """Whether calling a function or class of the project only makes a value.

        ``returned_too``: the functions inside it are called as well (``@retry(3)``).
        """
        key = symbol, returned_too
        if key not in self._calls:
            self._calls[key] = False  # a circle is loud
            self._calls[key] = self._is_quiet(symbol, returned_too)
        return self._calls[key]

    def _is_quiet(self, symbol: Symbol, returned_too: bool) -> bool:
        node = self.definition(symbol)
        judge = Judge(self, symbol.file)
        if isinstance(node, ast.ClassDef):
            return judge.is_quiet_class(node)
        return isinstance(node, ast.FunctionDef) and judge.is_quiet_call(node, returned_too)

    def definition(self, symbol: Symbol) -> ast.stmt | None:
        """The one statement that defines a name; None where there are several, or none."""
        source = self.view.source(symbol.file)
        numbers = source.binders.get(symbol.name, ())
        is_one = len(numbers) == 1 and symbol.name not in source.imports
        return source.statements[numbers[0]] if is_one else None

    def value(self, symbol: Symbol) -> ast.expr | None:
        """The one value that a plain assignment gives to a name."""
        values = self._values(symbol.file, symbol.name)
        return values[0] if len(values) == 1 else None

    def is_fresh(self, file: str, name: str) -> bool:
        """Whether a name is only ever one value that this module wrote down itself."""
        first = next(iter(self._values(file, name)), None)
        return isinstance(first, (*_CONTAINERS, ast.Constant, ast.Tuple))

    def _is_constant(self, file: str, name: str) -> bool:
        """Whether nothing can change what a name holds: numbers, texts, and tuples of them."""
        values = self._values(file, name)
        return bool(values) and all(
            isinstance(node, _CONSTANT) for value in values for node in ast.walk(value)
        )

    def _values(self, file: str, name: str) -> list[ast.expr]:
        """What plain assignments give to a name; nothing if anything else binds it."""
        source = self.view.source(file)
        nodes = [source.statements[number] for number in source.binders.get(name, ())]
        values = [_assigned(node, name, later=node is not nodes[0]) for node in nodes]
        known = [value for value in values if value is not None]
        return known if len(known) == len(nodes) and name not in source.imports else []


def _assigned(node: ast.stmt, name: str, later: bool) -> ast.expr | None:
    """The value in ``name = value``, or later in ``name += value``."""
    if later and not isinstance(node, ast.AugAssign):
        return None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        target = node.target
    else:
        return None
    return node.value if isinstance(target, ast.Name) and target.id == name else None


def _running(nodes: Iterable[ast.AST]) -> Iterable[ast.AST]:
    """What runs of these statements, bodies of classes among it."""
    for node in own(nodes):
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _running(node.body)
        elif is_definition(node):
            yield from ast.walk(ast.Tuple(at_definition(node), ast.Load()))  # type: ignore[arg-type]
