"""The signature of a step's function, read from the source: what each argument asks for.

Nothing is imported for it. So an annotation is the same whether its name is there at run time or
for type checkers alone, and whichever way it is spelled: under another name, in quotes, as an
alias, with ``None`` beside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from towpath.dependencies.names_used import chain_of
from towpath.dependencies.project_code import OutsideName, ProjectCode, Symbol, WholeModule
from towpath.dependencies.scopes import list_parameters, own_nodes

_DEEPEST = 20  # aliases of aliases; a circle ends here too
_TYPING = ("typing", "typing_extensions")
_WRAPPERS = frozenset({"Optional", "Annotated", "Final", "Required", "ReadOnly", "ClassVar"})
_LIBRARIES = frozenset({"pandas", "polars", "pyarrow", "numpy", "pathlib"})
_OTHER_NAMES = {
    "numpy.NDArray": "numpy.ndarray",
    "typing.Dict": "dict",
    "typing.List": "list",
    "typing.Text": "str",
}


@dataclass(frozen=True)
class StepArgument:
    """One argument; ``asks`` is the plain type of its annotation, ``pandas.DataFrame``; empty where
    that names no single one."""

    name: str
    required: bool
    asks: str = ""


@dataclass(frozen=True)
class StepSignature:
    """A step's function: ``file`` is from the project's root, ``line`` that of ``def``."""

    file: str
    line: int
    function: str
    arguments: tuple[StepArgument, ...]


def read_step_signature(code: ProjectCode, symbol: Symbol, node: ast.FunctionDef) -> StepSignature:
    """The signature as it is written; decorators are taken to keep it."""
    types = _TypeResolver(code)
    positional = node.args.args
    optional = {
        argument.arg for argument in positional[len(positional) - len(node.args.defaults) :]
    }
    named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    optional |= {parameter.arg for parameter, default in named if default is not None}
    arguments = (
        StepArgument(
            argument.arg,
            argument.arg not in optional,
            types.resolve(symbol.file, argument.annotation),
        )
        for argument in list_parameters(node.args)
    )
    return StepSignature(code.show_path(symbol.file), node.lineno, node.name, tuple(arguments))


class _TypeResolver:
    def __init__(self, code: ProjectCode) -> None:
        self.code = code

    def resolve(self, file: str, node: ast.expr | None, depth: int = 0) -> str:
        """The plain name of the type that an annotation asks for; empty for no single one."""
        if depth > _DEEPEST:
            return ""
        match node:
            case ast.Constant(value=str() as text):
                try:
                    return self.resolve(file, ast.parse(text.strip(), mode="eval").body, depth + 1)
                except SyntaxError:
                    return ""
            case ast.BinOp(op=ast.BitOr()):
                return self._resolve_union(file, list(_union_arms(node)), depth)
            case ast.Subscript():
                return self._resolve_subscript(file, node, depth)
            case ast.Name() | ast.Attribute():
                return self._resolve_name(file, node, depth)
            case ast.Call():
                return self._new_type(file, node, depth)
        return ""

    def _resolve_union(self, file: str, arms: list[ast.expr], depth: int) -> str:
        """What is left of a union without ``None``, if that is one."""
        types = [arm for arm in arms if not _is_none(arm)]
        return self.resolve(file, types[0], depth + 1) if len(types) == 1 else ""

    def _resolve_subscript(self, file: str, node: ast.Subscript, depth: int) -> str:
        base = self.resolve(file, node.value, depth + 1)
        module, _, name = base.rpartition(".")
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if module not in _TYPING:
            return base
        if name == "Union":
            return self._resolve_union(file, inner, depth)
        if name in _WRAPPERS:
            return self.resolve(file, inner[0], depth + 1)
        return "" if name == "Literal" else base

    def _resolve_name(self, file: str, node: ast.expr, depth: int) -> str:
        chain = chain_of(node)
        meanings = list(self.code.meanings_of_name(file, chain)) if chain else []
        for meaning in meanings:
            if isinstance(meaning, OutsideName):
                return _shorten_type(meaning.dotted)
        # An import inside of `if TYPE_CHECKING:` is a definition of this module too, of nothing.
        types = (
            self._resolve_symbol(symbol, depth) for symbol in meanings if isinstance(symbol, Symbol)
        )
        if plain := next(filter(None, types), ""):
            return plain
        is_starred = any(isinstance(meaning, WholeModule) for meaning in meanings)
        return self._resolve_starred(file, node, depth) if is_starred else ""

    def _resolve_symbol(self, symbol: Symbol, depth: int) -> str:
        """What a name of the project stands for: an alias for another, or a class of its own."""
        source = self.code.source(symbol.file)
        for number in reversed(source.binders.get(symbol.name, ())):
            for node in own_nodes([source.statements[number]]):
                if isinstance(node, ast.ClassDef) and node.name == symbol.name:
                    return f"{self.code.path.name(symbol.file)}.{symbol.name}"
                if (value := _alias_value(node, symbol.name)) is not None:
                    return self.resolve(symbol.file, value, depth + 1)
        return ""

    def _new_type(self, file: str, node: ast.Call, depth: int) -> str:
        """``NewType("Table", pd.DataFrame)``, ``TypeVar("T", bound=pd.DataFrame)``."""
        name = self.resolve(file, node.func, depth + 1).rpartition(".")[2]
        if name in ("NewType", "TypeAliasType") and len(node.args) > 1:
            return self.resolve(file, node.args[1], depth + 1)
        bound = next((keyword.value for keyword in node.keywords if keyword.arg == "bound"), None)
        return self.resolve(file, bound, depth + 1) if name == "TypeVar" else ""

    def _resolve_starred(self, file: str, node: ast.expr, depth: int) -> str:
        """A name that comes with a star import of one of the project's modules."""
        first = (chain_of(node) or ("",))[0]
        for imported in self.code.source(file).imports.get("*", ()):
            module, _ = self.code.find_import(imported.module, imported.level, file)
            if module and module.file and self.code.source(module.file).has(first):
                return self.resolve(module.file, node, depth + 1)
        return ""


def _union_arms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _union_arms(node.left)
        yield from _union_arms(node.right)
    else:
        yield node


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, "None")


def _alias_value(node: ast.AST, name: str) -> ast.expr | None:
    """The value of ``name = ...``, ``name: TypeAlias = ...`` or ``type name = ...``."""
    match node:
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
            return value
        case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name:
            return value
    if type(node).__name__ == "TypeAlias" and node.name.id == name:  # type: ignore[attr-defined]
        return node.value  # type: ignore[attr-defined, no-any-return] # Python 3.12's own
    return None


def _shorten_type(dotted: str) -> str:
    """One name for a type that a library has in several places: ``pandas.core.frame.DataFrame``."""
    package, _, rest = dotted.partition(".")
    short = f"{package}.{rest.rpartition('.')[2]}" if package in _LIBRARIES and rest else dotted
    return _OTHER_NAMES.get(short, short)
