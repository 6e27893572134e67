"""The signature of a step's function, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from towpath.code.annotations import type_asked_for
from towpath.code.project_code import Outside, ProjectCode, Symbol
from towpath.code.scopes import parameters


@dataclass(frozen=True)
class Argument:
    """One argument; ``annotation`` is dotted text with imports resolved (``pandas.DataFrame``),
    ``asks`` the plain type that it asks for, behind aliases and ``None``; empty for none."""

    name: str
    annotation: str | None
    required: bool
    asks: str = field(default="", compare=False)


@dataclass(frozen=True)
class Signature:
    """A step's function: ``file`` is from the project's root, ``line`` that of ``def``."""

    file: str
    line: int
    function: str
    arguments: tuple[Argument, ...]
    returns: str | None


def of_function(code: ProjectCode, symbol: Symbol, node: ast.FunctionDef) -> Signature:
    """The signature as it is written; decorators are taken to keep it."""
    return Signature(
        file=code.shown(symbol.file),
        line=node.lineno,
        function=node.name,
        arguments=tuple(_arguments(code, symbol.file, node.args)),
        returns=_annotation(code, symbol.file, node.returns),
    )


def _arguments(code: ProjectCode, file: str, arguments: ast.arguments) -> Iterator[Argument]:
    with_default = len(arguments.args) - len(arguments.defaults)
    optional = {each.arg for each in arguments.args[max(with_default, 0) :]}
    optional |= {
        each.arg
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    for each in parameters(arguments):
        annotation = _annotation(code, file, each.annotation)
        asks = type_asked_for(code, file, each.annotation)
        yield Argument(each.arg, annotation, each.arg not in optional, asks)


def _annotation(code: ProjectCode, file: str, node: ast.expr | None) -> str | None:
    if node is None:
        return None
    if not isinstance(node, ast.Name | ast.Attribute):
        node = ast.parse(ast.unparse(node), mode="eval").body  # a copy, to be changed in place
    return ast.unparse(_Dotted(code, file).visit(node))


class _Dotted(ast.NodeTransformer):
    """Replaces each name by what it stands for, and quoted annotations by what they say."""

    def __init__(self, code: ProjectCode, file: str) -> None:
        self.code = code
        self.file = file

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, str):
            return node
        try:
            return self.visit(ast.parse(node.value, mode="eval").body)  # type: ignore[no-any-return]
        except SyntaxError:
            return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        value = self.visit(node.value)
        if ast.unparse(value) in ("typing.Literal", "typing_extensions.Literal"):
            return ast.Subscript(value, node.slice, node.ctx)
        return ast.Subscript(value, self.visit(node.slice), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self._resolved(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._resolved(node)

    def _resolved(self, node: ast.expr) -> ast.AST:
        chain: list[str] = []
        value = node
        while isinstance(value, ast.Attribute):
            chain.insert(0, value.attr)
            value = value.value
        if not isinstance(value, ast.Name):
            return node
        for meaning in self.code.meaning(self.file, (value.id, *chain)):
            if isinstance(meaning, Outside):
                return ast.Name(meaning.dotted)
            if isinstance(meaning, Symbol):
                return ast.Name(f"{self.code.path.name(meaning.file)}.{meaning.name}")
        return node
