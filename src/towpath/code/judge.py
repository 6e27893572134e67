"""One walk over code that runs when a module is imported: does it only make values?"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from towpath.code import harmless
from towpath.code.imports import FUNCTIONS, at_definition, bindings, children, parameters
from towpath.code.names import chain_of
from towpath.code.source import is_definition
from towpath.code.view import Meaning, Outside, Symbol, Whole

if TYPE_CHECKING:
    from towpath.code.quiet import Quiet

_BUILDING = frozenset({"__init__", "__post_init__"})


@dataclass
class Doing:
    """What statements do beside binding names.

    ``loud`` is anything at all; ``changed`` are containers of the module that are filled in place.
    """

    loud: bool = False
    changed: set[str] = field(default_factory=set)


class Judge:
    """The walk. ``local`` are the names of a function that is being called, or of a class body;
    ``building`` is the first argument of a constructor, whose attributes may be set."""

    def __init__(
        self, quiet: Quiet, file: str, local: Iterable[str] = (), building: str | None = None
    ) -> None:
        self.quiet = quiet
        self.file = file
        self.local = frozenset(local)
        self.building = building
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
        elif isinstance(node, ast.AugAssign):
            self.augment(node)
        elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            self.place(node)
        elif isinstance(node, harmless.LOUD):
            self.doing.loud = True
        elif not isinstance(node, harmless.LATER):
            self.body(children(node))

    def place(self, node: ast.Name | ast.Attribute | ast.Subscript) -> None:
        """A name, an attribute or an item: read, or changed."""
        if not isinstance(node.ctx, ast.Load):
            self.change(node)
        elif isinstance(node, ast.Subscript):
            if self._names_a_class(node.value) and not self._is_harmless(node.value):
                self.doing.loud = True
            self.body((node.value, node.slice))
        elif (chain := chain_of(node)) is None:
            self.body(children(node))
        elif chain[0] not in self.local and any(map(self._is_suspect, self._meanings(chain))):
            self.doing.loud = True

    def _is_suspect(self, meaning: Meaning) -> bool:
        if not isinstance(meaning, Symbol):
            return isinstance(meaning, Whole)
        return self.quiet.is_suspect(self.file, meaning)

    def change(self, node: ast.Name | ast.Attribute | ast.Subscript) -> None:
        if isinstance(node, ast.Name):
            return
        owner = node.value
        is_item = isinstance(node, ast.Subscript) and isinstance(owner, ast.Name)
        if isinstance(node, ast.Subscript):
            self.node(node.slice)
        if is_item and owner.id not in self.local and self._is_fresh(owner.id):  # type: ignore[attr-defined]
            self.doing.changed.add(owner.id)  # type: ignore[attr-defined]
        elif not (isinstance(owner, ast.Name) and owner.id == self.building) or is_item:
            self.doing.loud = True

    def augment(self, node: ast.AugAssign) -> None:
        """``NAMES += [...]`` fills a container of the module; anything else may fill any."""
        target = node.target
        if (
            isinstance(target, ast.Name)
            and target.id not in self.local
            and self._is_fresh(target.id)
        ):
            self.doing.changed.add(target.id)
        else:
            self.doing.loud = True
        self.node(node.value)

    def _is_fresh(self, name: str) -> bool:
        return self.quiet.is_fresh(self.file, name)

    def definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.decorator(decorator)
        self.body(each for each in at_definition(node) if each not in node.decorator_list)
        if isinstance(node, ast.ClassDef):
            bases = [_plain_base(each) for each in node.bases]
            bases += [each.value for each in node.keywords if each.arg == "metaclass"]
            inner = Judge(self.quiet, self.file, {*self.local, *bindings(node.body)})
            inner.body(node.body)
            self.doing.changed |= inner.doing.changed
            if inner.doing.loud or not all(self._is_harmless(each) for each in bases):
                self.doing.loud = True

    def decorator(self, node: ast.expr) -> None:
        if isinstance(node, ast.Call):
            self.call(node, returned_too=True)
        elif not isinstance(node, ast.Attribute) or node.attr not in harmless.OF_PROPERTIES:
            self.doing.loud |= not self._is_harmless(node)

    def call(self, node: ast.Call, returned_too: bool = False) -> None:
        outside = self._is_outside(node.func) or self._is_method(node)
        if not outside and not self._is_harmless(node.func, returned_too):
            self.doing.loud = True
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.node(each)
            if outside and not self._is_wrapping(node.func):
                self.callback(each)
        if not isinstance(node.func, ast.Name):
            self.node(node.func)

    def callback(self, node: ast.expr) -> None:
        """What is handed to a library may be called by it."""
        for each in ast.walk(node):
            if isinstance(each, ast.Lambda):
                names = {*self.local, *(argument.arg for argument in parameters(each.args))}
                inner = Judge(self.quiet, self.file, names).body([each.body])
                self.doing.loud |= inner.loud or bool(inner.changed)
            chain = chain_of(each)
            for meaning in self._meanings(chain) if chain else ():
                if isinstance(meaning, Symbol) and is_definition(self._defined(meaning)):
                    self.doing.loud |= not self.quiet.is_quiet(meaning)

    def _is_method(self, node: ast.Call) -> bool:
        """A method of a literal, of a harmless value, or one that fills a fresh container."""
        if not isinstance(node.func, ast.Attribute):
            return False
        owner = node.func.value
        if isinstance(owner, ast.Name):
            if owner.id in self.local or not self._is_fresh(owner.id):
                return False
            if node.func.attr in harmless.FILLING:
                self.doing.changed.add(owner.id)
            return node.func.attr in harmless.FILLING | harmless.READING
        while isinstance(owner, ast.Attribute | ast.Call):
            if isinstance(owner, ast.Call) and self._is_outside(owner.func):
                return True
            owner = owner.func if isinstance(owner, ast.Call) else owner.value
        return isinstance(owner, ast.Constant | ast.JoinedStr)

    def _is_harmless(self, node: ast.expr, returned_too: bool = False) -> bool:
        """Whether calling what this names only makes a value."""
        chain = chain_of(node)
        meanings = self._meanings(chain) if chain else []
        if not chain or (len(chain) > 1 and Symbol(self.file, chain[0]) in meanings):
            return False  # a method of something that the project made
        return bool(meanings) and all(
            (isinstance(each, Outside) and harmless.is_harmless(each.dotted))
            or (isinstance(each, Symbol) and self.quiet.is_quiet(each, returned_too))
            for each in meanings
        )

    def _is_outside(self, node: ast.expr) -> bool:
        meanings = self._meanings(chain_of(node) or ())
        return self._is_harmless(node) and all(isinstance(each, Outside) for each in meanings)

    def _is_wrapping(self, node: ast.expr) -> bool:
        """``functools.partial`` and its like hold a function, and do not call it."""
        meanings = self._meanings(chain_of(node) or ())
        return all(
            isinstance(each, Outside) and each.dotted in harmless.HOLDING for each in meanings
        )

    def _names_a_class(self, node: ast.expr) -> bool:
        symbols = (
            each for each in self._meanings(chain_of(node) or ()) if isinstance(each, Symbol)
        )
        return any(isinstance(self._defined(each), ast.ClassDef) for each in symbols)

    def _defined(self, symbol: Symbol) -> ast.AST:
        return self.quiet.definition(symbol) or ast.Pass()

    def _meanings(self, chain: tuple[str, ...]) -> list[Meaning]:
        if not chain or chain[0] in self.local:
            return []
        return list(self.quiet.view.meaning(self.file, chain))

    def is_quiet_class(self, node: ast.ClassDef) -> bool:
        """Whether making a subclass or an instance, or using it with operators, does only that."""
        doing = self.body([node])
        methods = [each for each in node.body if isinstance(each, FUNCTIONS)]
        called = [each for each in methods if each.name.startswith("__") or each.decorator_list]
        if doing.loud or doing.changed or any(m.name in harmless.OF_SUBCLASSES for m in called):
            return False
        return all(self.is_quiet_call(each, False, plain=False) for each in called)

    def is_quiet_call(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, returned_too: bool, plain: bool = True
    ) -> bool:
        """Whether the body of a function only makes values; ``plain``: it may not be decorated."""
        if plain and node.decorator_list:
            return False
        names = [each.arg for each in parameters(node.args)]
        building = names[0] if names and node.name in _BUILDING else None
        local = {*self.local, *names, *bindings(node.body)}
        judge = Judge(self.quiet, self.file, local, building)
        if judge.body(node.body).loud or judge.doing.changed:
            return False
        nested = [each for each in node.body if isinstance(each, FUNCTIONS)]
        return not returned_too or all(judge.is_quiet_call(each, False) for each in nested)


def _plain_base(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node  # Generic[T]
