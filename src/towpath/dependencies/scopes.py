"""What a piece of code binds in its own scope, imports among it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})

_DEFINITIONS = frozenset({*FUNCTIONS, ast.ClassDef})
_CAPTURES = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_BINDING = _DEFINITIONS.union(_CAPTURES, (ast.Import, ast.ImportFrom, ast.Name, ast.MatchMapping))
_LEAVES = frozenset({ast.Lambda, ast.Name, ast.Constant, ast.Pass, ast.Import, ast.ImportFrom})


@dataclass(frozen=True)
class Import:
    """One name that an import binds.

    ``import a.b`` binds ``a``, which ``opens`` the module ``a``; ``import a.b as c`` binds ``c``
    and opens ``a.b``; ``from .m import n as c`` has level 1, module ``m`` and name ``n``; a star
    has the name ``*``.
    """

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
        return tuple(_plain_import(alias) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        return tuple(
            Import(module, alias.asname or alias.name, module, alias.name, node.level)
            for alias in node.names
        )
    return ()


def _plain_import(alias: ast.alias) -> Import:
    top = alias.name.partition(".")[0]
    return Import(alias.name, alias.asname or top, alias.name if alias.asname else top)


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
        if kind in _DEFINITIONS:
            stack += at_definition(node)  # type: ignore[arg-type]
        elif kind in COMPREHENSIONS:
            stack += (
                walrus.target for walrus in ast.walk(node) if isinstance(walrus, ast.NamedExpr)
            )
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
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return (node.name,)
    if isinstance(node, _CAPTURES):
        return (node.name,) if node.name else ()
    if isinstance(node, ast.MatchMapping):
        return (node.rest,) if node.rest else ()
    return ()
