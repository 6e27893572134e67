"""Which names of its module, and of others, a piece of code speaks of: scopes are respected."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from msgspec import Struct, field

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
COMPREHENSIONS = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})

_CAPTURES = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_BINDING = {*DEFINITIONS, *_CAPTURES, ast.Import, ast.ImportFrom, ast.Name, ast.MatchMapping}
_LEAVES = frozenset({ast.Lambda, ast.Name, ast.Constant, ast.Pass, ast.Import, ast.ImportFrom})


class Import(Struct, frozen=True):
    """One name that an import binds. ``import a.b`` binds ``a`` and ``opens`` it; ``import a.b as
    c`` binds ``c`` and opens ``a.b``; ``from .m import n as c`` has level 1; a star has the name
    ``*``."""

    module: str
    bound: str
    opens: str
    name: str | None = None
    level: int = 0

    @property
    def said(self) -> str:
        """One word for the digest: what the bound name means."""
        return f"{'.' * self.level}{self.opens}{f':{self.name}' if self.name else ''}"


def read_imports(node: ast.AST) -> tuple[Import, ...]:
    """The names that one import statement binds; nothing for any other node."""
    if isinstance(node, ast.Import):
        tops = ((alias, alias.name.partition(".")[0]) for alias in node.names)
        return tuple(
            Import(alias.name, alias.asname or top, alias.name if alias.asname else top)
            for alias, top in tops
        )
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        return tuple(
            Import(module, alias.asname or alias.name, module, alias.name, node.level)
            for alias in node.names
        )
    return ()


def find_bindings(body: Iterable[ast.AST]) -> dict[str, tuple[Import, ...]]:
    """The names that these statements bind in their own scope, with the imports that bind them."""
    bound: dict[str, tuple[Import, ...]] = {}
    for node in own_nodes(body):
        if node.__class__ in _BINDING:
            for imported in read_imports(node):
                bound[imported.bound] = (*bound.get(imported.bound, ()), imported)
            for name in _bound_names(node):
                bound.setdefault(name, ())
    return bound


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of this scope: what is inside nested functions and classes has its own."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        kind = node.__class__
        if kind in DEFINITIONS:
            stack += at_definition(node)  # type: ignore[arg-type]
        elif kind in COMPREHENSIONS:
            stack += (part.target for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
        elif kind not in _LEAVES:
            stack += ast.iter_child_nodes(node)


def at_definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[ast.expr]:
    """What runs when a function or class is defined, the body of a class apart."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
    defaults = [default for default in node.args.kw_defaults if default is not None]
    return [*node.decorator_list, *node.args.defaults, *defaults]


def list_parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    """Every parameter in the order of the call, the starred ones last."""
    yield from arguments.posonlyargs
    yield from arguments.args
    yield from arguments.kwonlyargs
    yield from (arg for arg in (arguments.vararg, arguments.kwarg) if arg)


def _bound_names(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, DEFINITIONS):
        return (node.name,)
    if isinstance(node, _CAPTURES):
        return (node.name,) if node.name else ()
    if isinstance(node, ast.MatchMapping):
        return (node.rest,) if node.rest else ()
    return ()


#: A name with the attributes behind it: ``shared.clean.drop`` is three.
Chain: TypeAlias = tuple[str, ...]

_WATCHED_WORDS = """
__subclasses__ __globals__ __builtins__ __doc__ __code__ f_globals f_locals f_back f_lineno gi_frame
cr_frame tb_frame tb_lineno model_json_schema
"""
#: Attributes of any object whatever that lead out of what can be read.
_WATCHED = frozenset(_WATCHED_WORDS.split())

_LOADERS = frozenset({"import_module", "__import__"})

#: Methods of a table that read names of whoever calls them out of a text.
_EVALUATORS = frozenset({"eval", "query"})

#: Functions that are told an attribute by a text.
_GETTERS = frozenset({"attrgetter", "getattr", "methodcaller", "__getattribute__"})


class UsedNames(Struct, frozen=True, eq=False):
    """What a piece of code names. ``chains`` begin with a name of the module (or a builtin),
    ``perhaps`` with one that a class body may bind first; ``values`` are those not just called;
    ``uses`` are names that a function imported for itself; ``modules`` are loaded by a literal
    name, with ``loaders``; ``signs`` make reading unsure."""

    chains: set[Chain] = field(default_factory=set)
    perhaps: set[Chain] = field(default_factory=set)
    values: set[Chain] = field(default_factory=set)
    uses: set[tuple[Import, Chain]] = field(default_factory=set)
    imports: list[Import] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    loaders: set[Chain] = field(default_factory=set)
    signs: set[str] = field(default_factory=set)


class Scope(Struct, frozen=True):
    """The names of one function, comprehension or class, and the scope around it."""

    names: dict[str, tuple[Import, ...] | None]  # None: declared global
    around: Scope | None
    of_class: bool = False

    def find_scope(self, name: str) -> Scope | None:
        scope: Scope | None = self
        while scope and name not in scope.names:
            scope = scope.around
        return scope


def read_names(*nodes: ast.AST) -> UsedNames:
    reading = _Reading(UsedNames())
    for node in nodes:
        reading.visit(node, None)
    return reading.facts


def attributes_of(node: ast.AST) -> tuple[ast.AST, Chain]:
    """What an expression begins with, and the attributes behind it."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return node, tuple(reversed(attributes))


def chain_of(node: ast.AST) -> Chain | None:
    """``shared.table.TABLE`` as its names; None for what does not begin with a name."""
    first, attributes = attributes_of(node)
    return (first.id, *attributes) if isinstance(first, ast.Name) else None


class _Reading:
    """One walk over a tree; the handlers stand in a table by the node's type."""

    def __init__(self, facts: UsedNames) -> None:
        self.facts = facts

    def visit(self, node: ast.AST, scope: Scope | None) -> None:
        handler = _HANDLERS.get(node.__class__)
        if handler:
            handler(self, node, scope)
        else:
            for child in ast.iter_child_nodes(node):
                self.visit(child, scope)

    def note_name(self, chain: Chain, scope: Scope | None, called: bool = False) -> None:
        """Note a name that is read: the module's, a local import's, or nobody's concern."""
        if not called:
            self.facts.values.add(chain)
        home = scope.find_scope(chain[0]) if scope else None
        imported = home.names[chain[0]] if home else None
        if imported is None:
            self.facts.chains.add(chain)
        elif home and home.of_class:
            self.facts.perhaps.add(chain)
        for binding in imported or ():
            self.facts.uses.add((binding, chain[1:]))
        if scope is None and chain[0] in ("locals", "vars", "dir"):
            self.facts.signs.add("globals")  # at the top of a module they are globals()

    def name(self, node: ast.Name, scope: Scope | None, called: bool = False) -> None:
        if isinstance(node.ctx, ast.Store):
            home = scope.find_scope(node.id) if scope else None
            if home is None or home.names[node.id] is not None:
                return
        self.note_name((node.id,), scope, called)

    def visit_attribute(
        self, node: ast.Attribute, scope: Scope | None, called: bool = False
    ) -> None:
        value, attributes = attributes_of(node)
        self.facts.signs.update(_WATCHED.intersection(attributes))
        used = attributes[:-1] if called else attributes
        if isinstance(node.ctx, ast.Load) and not _EVALUATORS.isdisjoint(used):
            self.facts.signs.add("expression")  # query = frame.query; query("age > @limit")
        if isinstance(value, ast.Name):
            self.note_name((value.id, *attributes), scope, called)
        else:
            self.visit(value, scope)

    def visit_import(self, node: ast.Import | ast.ImportFrom, scope: Scope | None) -> None:
        for binding in read_imports(node):
            self.facts.imports.append(binding)
            if scope and (scope.of_class or scope.names.get(binding.bound, ()) is None):
                self.facts.uses.add((binding, ()))  # an attribute of the class, or a global

    def call(self, node: ast.Call, scope: Scope | None) -> None:
        called: str = getattr(node.func, "attr", getattr(node.func, "id", ""))
        argument = node.args[0] if node.args else None
        rest: list[ast.AST] = [node.func, *node.args, *node.keywords]
        if called in _LOADERS and len(rest) == 2 and _is_text(argument):
            self.facts.modules.add(argument.value)  # type: ignore[union-attr]
            self.facts.loaders.add(chain_of(node.func) or ("__import__",))
            return
        if called in _EVALUATORS and isinstance(node.func, ast.Attribute) and rest[1:]:
            self.read_expression(argument, scope)
        self._note_signs(node, called)
        if isinstance(node.func, ast.Name):
            self.name(node.func, scope, called=True)
        elif isinstance(node.func, ast.Attribute):
            self.visit_attribute(node.func, scope, called=True)
        else:
            self.visit(node.func, scope)
        for part in rest[1:]:
            self.visit(part, scope)

    def _note_signs(self, node: ast.Call, called: str) -> None:
        given_names = {keyword.arg for keyword in node.keywords}
        # `level=` says whose frame pandas looks into, be it inside of `**options`.
        may_look_up = called in _EVALUATORS and isinstance(node.func, ast.Attribute)
        if may_look_up and not given_names.isdisjoint({"level", None}):
            self.facts.signs.add("frames")
        texts = [part.value for part in node.args if isinstance(part, ast.Constant)]
        words = {word for text in texts if isinstance(text, str) for word in text.split(".")}
        if called in _GETTERS and not _EVALUATORS.isdisjoint(words):
            self.facts.signs.add("expression")
        if "allow_pickle" in given_names:
            self.facts.signs.add("pickle")

    def visit_constant(self, node: ast.Constant, _scope: Scope | None) -> None:
        """``attrgetter("__doc__")`` and ``"{0.__doc__}".format`` name an attribute in a text."""
        if isinstance(node.value, str) and "_" in node.value:
            self.facts.signs.update(_WATCHED.intersection(re.findall(r"\w+", node.value)))

    def visit_statement(self, node: ast.Expr, scope: Scope | None) -> None:
        """A text that stands alone is a docstring or a remark."""
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value, scope)

    def visit_pattern(self, node: ast.MatchClass, scope: Scope | None) -> None:
        """``case object(__doc__=text)`` reads attributes."""
        self.facts.signs.update(_WATCHED.intersection(node.kwd_attrs))
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)

    def read_expression(self, argument: ast.expr | None, scope: Scope | None) -> None:
        """``frame.query("age > @limit")`` reads ``limit`` out of the caller's frame."""
        if not (_is_text(argument) or isinstance(argument, ast.JoinedStr)):
            self.facts.signs.add("expression")
            return
        if isinstance(argument, ast.JoinedStr):
            self.facts.signs.add("template")
        for part in ast.walk(argument):  # type: ignore[arg-type]
            if _is_text(part):
                if part.value.rstrip().endswith("@"):  # type: ignore[attr-defined]
                    self.facts.signs.add("expression")  # f"age > @{name}"
                for word in re.findall(r"@\s*([^\W\d]\w*)", part.value):  # type: ignore[attr-defined]
                    self.note_name((word,), scope)

    def enter_generic(self, node: Any, scope: Scope | None) -> Scope | None:
        """The scope of ``def f[T]`` and ``class A[T]`` (Python 3.12)."""
        types = getattr(node, "type_params", ())
        inner = Scope({parameter.name: () for parameter in types}, scope) if types else scope
        for parameter in types:
            self.visit(parameter, inner)
        return inner

    def visit_function(self, node: Any, scope: Scope | None) -> None:
        scope = self.enter_generic(node, scope)
        for part in at_definition(node):
            self.visit(part, scope)
        for argument in list_parameters(node.args):
            self.annotation(argument.annotation, scope)
        self.annotation(node.returns, scope)
        inner = self.enter_function(node.args, node.body, scope)
        for statement in node.body:
            self.visit(statement, inner)

    def visit_lambda(self, node: ast.Lambda, scope: Scope | None) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default, scope)
        self.visit(node.body, self.enter_function(node.args, [node.body], scope))

    def enter_function(
        self, arguments: ast.arguments, body: list[Any], scope: Scope | None
    ) -> Scope:
        names: dict[str, tuple[Import, ...] | None] = dict(find_bindings(body))
        names.update((argument.arg, ()) for argument in list_parameters(arguments))
        for node in own_nodes(statement for statement in body if isinstance(statement, ast.stmt)):
            if isinstance(node, ast.Global):
                names.update(dict.fromkeys(node.names))
            elif isinstance(node, ast.Nonlocal):
                for name in node.names:
                    names.pop(name, None)
        while scope and scope.of_class:
            scope = scope.around
        return Scope(names, scope)

    def visit_class(self, node: ast.ClassDef, scope: Scope | None) -> None:
        outer = self.enter_generic(node, scope)
        for part in at_definition(node):
            self.visit(part, outer)
        inner = Scope(dict(find_bindings(node.body)), outer, of_class=True)
        for statement in node.body:
            self.visit(statement, inner)

    def visit_comprehension(self, node: Any, scope: Scope | None) -> None:
        first: ast.comprehension = node.generators[0]
        self.visit(first.iter, scope)
        inner = Scope(dict(find_bindings([part.target for part in node.generators])), scope)
        for child in ast.iter_child_nodes(node):
            if child is first:
                for part in (first.target, *first.ifs):
                    self.visit(part, inner)
            else:
                self.visit(child, inner)

    def alias(self, node: Any, scope: Scope | None) -> None:
        """``type Rows[T] = list[T]`` (Python 3.12)."""
        self.visit(node.value, self.enter_generic(node, scope))

    def visit_annotated(self, node: ast.AnnAssign, scope: Scope | None) -> None:
        self.annotation(node.annotation, scope)
        for part in (node.target, node.value):
            if part is not None:
                self.visit(part, scope)

    def annotation(self, node: ast.expr | None, scope: Scope | None) -> None:
        """An annotation, quoted or not."""
        if node is None:
            return
        self.visit(node, scope)
        for part in ast.walk(node):
            if _is_text(part):
                try:
                    self.visit(ast.parse(part.value, mode="eval").body, scope)  # type: ignore[attr-defined]
                except (SyntaxError, ValueError):
                    continue  # Literal["not a type"]


def _is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


_HANDLERS: dict[type[ast.AST], Callable[[_Reading, Any, Scope | None], None]] = {
    ast.Name: _Reading.name,
    ast.Attribute: _Reading.visit_attribute,
    ast.Import: _Reading.visit_import,
    ast.ImportFrom: _Reading.visit_import,
    ast.Call: _Reading.call,
    ast.Constant: _Reading.visit_constant,
    ast.Expr: _Reading.visit_statement,
    ast.MatchClass: _Reading.visit_pattern,
    ast.Lambda: _Reading.visit_lambda,
    ast.ClassDef: _Reading.visit_class,
    ast.AnnAssign: _Reading.visit_annotated,
    **dict.fromkeys(FUNCTIONS, _Reading.visit_function),
    **dict.fromkeys(COMPREHENSIONS, _Reading.visit_comprehension),
}
if sys.version_info >= (3, 12):
    _HANDLERS[ast.TypeAlias] = _Reading.alias
