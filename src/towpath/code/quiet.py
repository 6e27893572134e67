"""What of a module, when it is imported, does more than give names to values."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from towpath.code import harmless
from towpath.code.imports import FUNCTIONS, at_definition, bindings
from towpath.code.source import is_definition
from towpath.code.view import Outside, Symbol, View

CONTAINERS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)


@dataclass
class Doing:
    """What statements do beside binding names: ``loud`` is anything at all; ``changed`` are
    containers of the module that are filled in place."""

    loud: bool = False
    changed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class AtImport:
    """Statements (by number) with effects, and those that only fill a container, by its name."""

    effects: tuple[int, ...]
    fills: Mapping[str, tuple[int, ...]]


class Quiet:
    """Judges import-time code; in doubt a statement is loud, and so belongs to every digest."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._judged: dict[tuple[Symbol, bool], bool] = {}
        self._modules: dict[str, AtImport] = {}

    def at_import(self, file: str) -> AtImport:
        """The judgement on a module, statement by statement."""
        if file not in self._modules:
            effects, fills = [], dict[str, tuple[int, ...]]()
            for number, statement in enumerate(self.view.source(file).statements):
                doing = _Judge(self, file).body([statement])
                if doing.loud:
                    effects.append(number)
                for name in () if doing.loud else doing.changed:
                    fills[name] = (*fills.get(name, ()), number)
            self._modules[file] = AtImport(tuple(effects), fills)
        return self._modules[file]

    def is_quiet(self, symbol: Symbol, returned_too: bool = False) -> bool:
        """Whether calling a function or class of the project only makes a value.

        ``returned_too``: the functions inside it are called as well (``@retry(3)``).
        """
        key = symbol, returned_too
        if key not in self._judged:
            self._judged[key] = False  # a circle is loud
            self._judged[key] = self._judge(symbol, returned_too)
        return self._judged[key]

    def _judge(self, symbol: Symbol, returned_too: bool) -> bool:
        source = self.view.source(symbol.file)
        numbers = source.binders.get(symbol.name, ())
        if len(numbers) != 1 or symbol.name in source.imports:
            return False
        node = source.statements[numbers[0]]
        judge = _Judge(self, symbol.file)
        if isinstance(node, ast.ClassDef):
            return judge.is_quiet_class(node)
        return isinstance(node, ast.FunctionDef) and judge.is_quiet_call(node, returned_too)

    def is_fresh(self, file: str, name: str) -> bool:
        """Whether a name is only ever one container that this module wrote down itself."""
        source = self.view.source(file)
        numbers = source.binders.get(name, ())
        if name in source.imports or not numbers:
            return False
        first = source.statements[numbers[0]]
        others = (source.statements[number] for number in numbers[1:])
        return (
            isinstance(first, ast.Assign | ast.AnnAssign)
            and isinstance(first.value, (*CONTAINERS, ast.Constant, ast.Tuple))
            and not (isinstance(first, ast.Assign) and len(first.targets) > 1)
            and all(isinstance(other, ast.AugAssign) for other in others)
        )


class _Judge:
    """One walk over code that runs at import; ``local`` are the names of a called function."""

    def __init__(self, quiet: Quiet, file: str, local: Iterable[str] = ()) -> None:
        self.quiet = quiet
        self.file = file
        self.local = frozenset(local)
        self.doing = Doing()

    def body(self, statements: Iterable[ast.AST]) -> Doing:
        for each in statements:
            self.node(each)
        return self.doing

    def node(self, node: ast.AST) -> None:
        """Any node that runs: what is not known to be harmless is loud."""
        if is_definition(node):
            self.definition(node)  # type: ignore[arg-type]
        elif isinstance(node, ast.Call):
            self.call(node)
        elif isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            self.change(node)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self.fill(node.target.id)
            self.node(node.value)
        elif isinstance(node, harmless.LOUD):
            self.doing.loud = True
        elif not isinstance(node, ast.Lambda):
            self.body(ast.iter_child_nodes(node))

    def definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.decorator(decorator)
        self.body(each for each in at_definition(node) if each not in node.decorator_list)
        if isinstance(node, ast.ClassDef):
            inner = _Judge(self.quiet, self.file, {*self.local, *bindings(node.body)})
            ok = all(self.is_quiet_base(each) for each in node.bases)
            keywords = (
                each.arg != "metaclass" or self._is_harmless(each.value) for each in node.keywords
            )
            if not (ok and all(keywords)) or inner.body(node.body).loud:
                self.doing.loud = True

    def decorator(self, node: ast.expr) -> None:
        if isinstance(node, ast.Call):
            self.call(node, returned_too=True)
        elif isinstance(node, ast.Attribute) and node.attr in ("setter", "getter", "deleter"):
            return
        elif not self._is_harmless(node):
            self.doing.loud = True

    def call(self, node: ast.Call, returned_too: bool = False) -> None:
        if not (self._is_harmless(node.func, returned_too) or self._is_method(node)):
            self.doing.loud = True
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in ("sorted", "min", "max") and any(each.arg == "key" for each in node.keywords):
            self.doing.loud = True
        self.body((*node.args, *node.keywords))
        if not isinstance(node.func, ast.Name):
            self.body(ast.iter_child_nodes(node.func))

    def _is_method(self, node: ast.Call) -> bool:
        """A method of a literal, of a harmless value, or one that fills a fresh container."""
        if not isinstance(node.func, ast.Attribute):
            return False
        owner = node.func.value
        if isinstance(owner, ast.Name):
            if owner.id in self.local or not self.quiet.is_fresh(self.file, owner.id):
                return False
            if node.func.attr in harmless.FILLING:
                self.doing.changed.add(owner.id)
            return node.func.attr in harmless.FILLING | harmless.READING
        if isinstance(owner, ast.Constant | ast.JoinedStr):
            return True
        while isinstance(owner, ast.Attribute | ast.Call):
            if isinstance(owner, ast.Call) and self._outside(owner.func):
                return True
            owner = owner.func if isinstance(owner, ast.Call) else owner.value
        return False

    def _is_harmless(self, node: ast.expr, returned_too: bool = False) -> bool:
        """Whether calling what this names only makes a value."""
        meanings = self._meanings(node)
        return bool(meanings) and all(
            (isinstance(each, Outside) and harmless.is_harmless(each.dotted))
            or (isinstance(each, Symbol) and self.quiet.is_quiet(each, returned_too))
            for each in meanings
        )

    def _outside(self, node: ast.expr) -> bool:
        return all(
            isinstance(each, Outside) for each in self._meanings(node)
        ) and self._is_harmless(node)

    def _meanings(self, node: ast.expr) -> list[object]:
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self.local:
            return []
        found = list(self.quiet.view.meaning(self.file, (node.id, *attributes)))
        if attributes and any(each == Symbol(self.file, node.id) for each in found):
            return []  # a method of something that the project made
        return list(found)

    def change(self, node: ast.Attribute | ast.Subscript) -> None:
        owner = node.value
        if isinstance(node, ast.Subscript) and isinstance(owner, ast.Name):
            self.fill(owner.id)
            self.node(node.slice)
        elif not (self.local and isinstance(owner, ast.Name) and owner.id == "self"):
            self.doing.loud = True

    def fill(self, name: str) -> None:
        if name in self.local:
            return
        if self.quiet.is_fresh(self.file, name):
            self.doing.changed.add(name)
        else:
            self.doing.loud = True

    def is_quiet_base(self, node: ast.expr) -> bool:
        """A base whose subclasses are nobody's concern."""
        if isinstance(node, ast.Subscript):  # Generic[T]
            node = node.value
        return self._is_harmless(node)

    def is_quiet_class(self, node: ast.ClassDef) -> bool:
        """Whether making a subclass or an instance, or using it with operators, does only that."""
        judge = _Judge(self.quiet, self.file)
        judge.definition(node)
        called = [each for each in node.body if isinstance(each, FUNCTIONS)]
        called = [each for each in called if each.name.startswith("__") or each.decorator_list]
        return not judge.doing.loud and all(
            each.name not in harmless.OF_SUBCLASSES
            and judge.is_quiet_call(each, False, plain=False)
            for each in called
        )

    def is_quiet_call(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, returned_too: bool, plain: bool = True
    ) -> bool:
        """Whether the body of a function only makes values; ``plain``: it may not be decorated."""
        if plain and node.decorator_list:
            return False
        inner = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        judge = _Judge(self.quiet, self.file, {*self.local, *inner, *bindings(node.body)})
        if judge.body(node.body).loud or judge.doing.changed:
            return False
        nested = [each for each in node.body if isinstance(each, FUNCTIONS)]
        return not returned_too or all(judge.is_quiet_call(each, False) for each in nested)
