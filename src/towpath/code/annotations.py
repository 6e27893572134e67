"""The plain type that an annotation asks for, read from the source: ``pandas.DataFrame``.

Nothing is imported for it. So it is the same whether a name is there at run time or for type
checkers alone, and whichever way it is spelled: under another name, in quotes, as an alias, with
``None`` beside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from towpath.code.project_code import Outside, ProjectCode, Symbol, Whole
from towpath.code.scopes import own

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


def type_asked_for(code: ProjectCode, file: str, node: ast.expr | None) -> str:
    """The plain name of the type; empty where an annotation names no single one."""
    return _Resolver(code).plain(file, node, 0) if node is not None else ""


class _Resolver:
    def __init__(self, code: ProjectCode) -> None:
        self.code = code

    def plain(self, file: str, node: ast.expr, depth: int) -> str:
        if depth > _DEEPEST:
            return ""
        match node:
            case ast.Constant(value=str() as text):
                try:
                    return self.plain(file, ast.parse(text.strip(), mode="eval").body, depth + 1)
                except SyntaxError:
                    return ""
            case ast.BinOp(op=ast.BitOr()):
                return self._single(file, list(_arms(node)), depth)
            case ast.Subscript():
                return self._subscript(file, node, depth)
            case ast.Name() | ast.Attribute():
                return self._name(file, node, depth)
            case ast.Call():
                return self._made(file, node, depth)
        return ""

    def _single(self, file: str, arms: list[ast.expr], depth: int) -> str:
        """What is left of a union without ``None``, if that is one."""
        arms = [arm for arm in arms if not _is_none(arm)]
        return self.plain(file, arms[0], depth + 1) if len(arms) == 1 else ""

    def _subscript(self, file: str, node: ast.Subscript, depth: int) -> str:
        base = self.plain(file, node.value, depth + 1)
        module, _, name = base.rpartition(".")
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if module not in _TYPING:
            return base
        if name == "Union":
            return self._single(file, inner, depth)
        if name in _WRAPPERS:
            return self.plain(file, inner[0], depth + 1)
        return "" if name == "Literal" else base

    def _name(self, file: str, node: ast.expr, depth: int) -> str:
        chain = _chain(node)
        if not chain:
            return ""
        meanings = list(self.code.meaning(file, chain))
        for meaning in meanings:
            if isinstance(meaning, Outside):
                return _normal(meaning.dotted)
        # An import inside of `if TYPE_CHECKING:` is a definition of this module too, of nothing.
        defined = (self._defined(each, depth) for each in meanings if isinstance(each, Symbol))
        if found := next(filter(None, defined), ""):
            return found
        return self._starred(file, chain, depth) if any(_is_whole(m) for m in meanings) else ""

    def _defined(self, symbol: Symbol, depth: int) -> str:
        """What a name of the project stands for: an alias for another, or a class of its own."""
        source = self.code.source(symbol.file)
        for number in reversed(source.binders.get(symbol.name, ())):
            for node in own([source.statements[number]]):
                if isinstance(node, ast.ClassDef) and node.name == symbol.name:
                    return f"{self.code.path.name(symbol.file)}.{symbol.name}"
                if (value := _alias(node, symbol.name)) is not None:
                    return self.plain(symbol.file, value, depth + 1)
        return ""

    def _made(self, file: str, node: ast.Call, depth: int) -> str:
        """``NewType("Table", pd.DataFrame)``, ``TypeVar("T", bound=pd.DataFrame)``."""
        name = self.plain(file, node.func, depth + 1).rpartition(".")[2]
        if name in ("NewType", "TypeAliasType") and len(node.args) > 1:
            return self.plain(file, node.args[1], depth + 1)
        bound = next((each.value for each in node.keywords if each.arg == "bound"), None)
        return self.plain(file, bound, depth + 1) if name == "TypeVar" and bound else ""

    def _starred(self, file: str, chain: tuple[str, ...], depth: int) -> str:
        """A name that comes with a star import of one of the project's modules."""
        for imported in self.code.source(file).imports.get("*", ()):
            found, _ = self.code.find(imported.module, imported.level, file)
            if found and found.file and self.code.source(found.file).has(chain[0]):
                node = ast.parse(".".join(chain), mode="eval").body
                return self.plain(found.file, node, depth + 1)
        return ""


def _arms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _arms(node.left)
        yield from _arms(node.right)
    else:
        yield node


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, "None")


def _is_whole(meaning: object) -> bool:
    return isinstance(meaning, Whole)


def _chain(node: ast.expr) -> tuple[str, ...]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return (node.id, *names) if isinstance(node, ast.Name) else ()


def _alias(node: ast.AST, name: str) -> ast.expr | None:
    """The value of ``name = ...``, ``name: TypeAlias = ...`` or ``type name = ...``."""
    match node:
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
            return value
        case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name:
            return value
    if type(node).__name__ == "TypeAlias" and node.name.id == name:  # type: ignore[attr-defined]
        return node.value  # type: ignore[attr-defined, no-any-return] # Python 3.12's own
    return None


def _normal(dotted: str) -> str:
    """One name for a type that a library has in several places: ``pandas.core.frame.DataFrame``."""
    package, _, rest = dotted.partition(".")
    short = f"{package}.{rest.rpartition('.')[2]}" if package in _LIBRARIES and rest else dotted
    return _OTHER_NAMES.get(short, short)
