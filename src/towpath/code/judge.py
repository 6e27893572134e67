"""One walk over code that runs when a module is imported: does it only make values?"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from towpath.code import harmless
from towpath.code.module_source import is_definition
from towpath.code.name_meaning import Meaning, Outside, Symbol, Whole
from towpath.code.names_used import chain_of
from towpath.code.naming import Naming, is_called_unseen
from towpath.code.scopes import FUNCTIONS, at_definition, bindings, children, parameters

if TYPE_CHECKING:
    from towpath.code.import_effects import Quiet

_BUILDING = frozenset({"__init__", "__post_init__"})
_SORTING = frozenset({"max", "min", "sorted"})
_PUTTING = frozenset({"add", "append", "appendleft", "insert", "setdefault"})


@dataclass
class Doing:
    """What statements do beside binding names.

    ``loud`` is anything at all; ``changed`` are containers of the module that are filled in place.
    """

    loud: bool = False
    changed: set[str] = field(default_factory=set)


class Judge(Naming):
    """The walk. ``local`` are the names of a function that is being called, or of a class body;
    ``building`` is the first argument of a constructor, whose attributes may be set."""

    def __init__(
        self, quiet: Quiet, file: str, local: Iterable[str] = (), building: str | None = None
    ) -> None:
        super().__init__(quiet, file, local, building)
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
        elif isinstance(node, harmless.LOUD) or self._puts_away(node):
            self.doing.loud = True
            self.body(children(node))
        elif not isinstance(node, harmless.LATER):
            self.body(children(node))

    def _puts_away(self, node: ast.AST) -> bool:
        """``TABLE["a"] = zip(...)``: no name tells then that the value ends."""
        return (
            isinstance(node, ast.Assign)
            and any(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets)
            and self.quiet.endings.holds(self.file, node.value)
        )

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
        is_list = isinstance(node.value, ast.List | ast.Tuple)
        self.doing.loud |= is_list and self.quiet.endings.holds(self.file, node.value)
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
            named = (each for each in node.body if isinstance(each, FUNCTIONS))
            named = (each for each in named if each.name in harmless.OF_BASES)
            self.doing.loud |= not all(
                inner.is_quiet_call(each, False, plain=False) for each in named
            )
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
        if outside and self._writes(node, returned_too):
            self.doing.loud = True
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.node(each)
            if outside and not self._is_holding(node.func):
                self.callback(each)
        called = (each.value for each in node.keywords if each.arg in harmless.CALLED)
        if outside and not all(map(self._is_quiet_value, called)):
            self.doing.loud = True
        if not isinstance(node.func, ast.Name):
            self.node(node.func)

    def _writes(self, node: ast.Call, is_decorator: bool) -> bool:
        """Whether a harmless function of a library is told to change what it is given."""
        dotted = {each.dotted for each in self._outside(node.func)}
        if any(keyword.arg in harmless.INTO for keyword in node.keywords):
            return True
        if not dotted.isdisjoint(harmless.INTO_SECOND | _SORTING):
            is_open = any(isinstance(each, ast.Starred) for each in node.args)
            is_open |= any(each.arg is None for each in node.keywords)
            if dotted.isdisjoint(_SORTING) and (is_open or len(node.args) > 1):
                return True
            return any(each.arg is None for each in node.keywords)
        return bool(node.args) and not is_decorator and not dotted.isdisjoint(harmless.CHANGING)

    def callback(self, node: ast.expr) -> None:
        """What is handed to a library may be called by it."""
        for each in ast.walk(node):
            if isinstance(each, ast.Lambda):
                self.doing.loud |= not self._is_quiet_lambda(each)
            elif isinstance(each, ast.Attribute):
                self.doing.loud |= self._is_bound_method(each)
            chain = chain_of(each)
            for meaning in self._meanings(chain) if chain else ():
                if isinstance(meaning, Symbol):
                    self.doing.loud |= not self._is_quiet_name(meaning)

    def _is_quiet_lambda(self, node: ast.Lambda) -> bool:
        names = {*self.local, *(argument.arg for argument in parameters(node.args))}
        inner = Judge(self.quiet, self.file, names).body([node.body])
        return not inner.loud and not inner.changed

    def _is_quiet_name(self, symbol: Symbol) -> bool:
        """Whether a name, if it is one of a function at all, is one of a quiet function."""
        if is_definition(self._defined(symbol)):
            return self.quiet.is_quiet(symbol)
        value = self.quiet.value(symbol)
        judge = Judge(self.quiet, symbol.file)
        if isinstance(value, ast.Lambda):
            return judge._is_quiet_lambda(value)
        if isinstance(value, ast.Attribute):
            return not judge._is_bound_method(value)
        if isinstance(value, ast.Call) and judge._is_wrapping(value.func):
            return judge._is_quiet_value(value)
        return True

    def _is_quiet_value(self, node: ast.expr) -> bool:
        """Whether a value that is called for certain (``key=...``) only makes values."""
        if isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.Lambda):
            return self._is_quiet_lambda(node)
        if isinstance(node, ast.Call):
            return self._is_quiet_made(node)
        chain = chain_of(node)
        meanings = self._meanings(chain) if chain else []
        if not chain or (len(chain) > 1 and any(isinstance(each, Symbol) for each in meanings)):
            return False
        return bool(meanings) and all(map(self._is_quiet_meaning, meanings))

    def _is_quiet_meaning(self, meaning: Meaning) -> bool:
        if isinstance(meaning, Outside):
            return harmless.is_harmless(meaning.dotted)
        if not isinstance(meaning, Symbol):
            return False
        if is_definition(self._defined(meaning)):
            return self.quiet.is_quiet(meaning)
        value = self.quiet.value(meaning)
        return value is not None and Judge(self.quiet, meaning.file)._is_quiet_value(value)

    def _is_quiet_made(self, node: ast.Call) -> bool:
        """``itemgetter(1)``, ``methodcaller("lower")``, ``partial(function)``."""
        dotted = {each.dotted for each in self._outside(node.func)}
        if dotted == {"operator.methodcaller"}:
            name = node.args[0] if node.args else None
            return isinstance(name, ast.Constant) and name.value in harmless.READING
        if dotted == {"functools.partial"}:
            return all(map(self._is_quiet_value, node.args[:1]))
        return bool(dotted) and dotted <= {"operator.attrgetter", "operator.itemgetter"}

    def _is_method(self, node: ast.Call) -> bool:
        """A method of a literal, of a harmless value, or one that fills a fresh container."""
        if not isinstance(node.func, ast.Attribute):
            return False
        owner, name = node.func.value, node.func.attr
        if isinstance(owner, ast.Name) and not self._builds(node):
            if owner.id in self.local or not self._is_fresh(owner.id):
                return False
            if name in harmless.FILLING:
                self.doing.changed.add(owner.id)
                return name not in _PUTTING or not any(
                    self.quiet.endings.holds(self.file, each) for each in node.args
                )
            return name in harmless.READING
        if self._builds(node):
            return True
        while isinstance(owner, ast.Attribute | ast.Call):
            if isinstance(owner, ast.Call) and self._is_outside(owner.func):
                return name in harmless.READING
            owner = owner.func if isinstance(owner, ast.Call) else owner.value
        return isinstance(owner, ast.Constant | ast.JoinedStr)

    def _is_holding(self, node: ast.expr) -> bool:
        """Whether a call keeps what it is given: ``partial(f)``, ``STEPS.append(f)``."""
        owner = node.value if isinstance(node, ast.Attribute) else None
        is_fresh = isinstance(owner, ast.Name) and owner.id not in self.local
        return self._is_wrapping(node) or (is_fresh and self._is_fresh(owner.id))  # type: ignore[union-attr]

    def is_quiet_class(self, node: ast.ClassDef) -> bool:
        """Whether making a subclass or an instance, or using it with operators, does only that."""
        doing = self.body([node])
        methods = [each for each in node.body if isinstance(each, FUNCTIONS)]
        called = [each for each in methods if is_called_unseen(each)]
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
