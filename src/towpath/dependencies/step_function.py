"""Where the function of a step is: ``train`` beside the pipeline, ``shared.publish:to_folder``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from towpath.config.source_folders import module_folders
from towpath.dependencies.names_used import chain_of, list_parameters, own_nodes
from towpath.dependencies.project_code import (
    ImportedModule,
    OutsideName,
    ProjectCode,
    Symbol,
    WholeModule,
)
from towpath.errors import DeclarationError, Fault, Place, did_you_mean

#: The module beside ``pipeline.yaml`` that holds the functions without a module's name.
_BESIDE = "steps"
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


class Definition(Struct, frozen=True):
    """What a ``run:`` leads to: the name in the module that it says, the symbol that this stands
    for, its node, and the files that importing the module runs."""

    named: Symbol
    symbol: Symbol
    node: ast.FunctionDef | ast.ClassDef
    runs: tuple[str, ...]

    def starts(self) -> tuple[ImportedModule | Symbol, ...]:
        return (*(ImportedModule(file) for file in self.runs), self.named, self.symbol)


def find_function(code: ProjectCode, run: str) -> Definition:
    named, symbol, runs = _find_symbol(code, run, "function")
    node = _last_definition(code, symbol)
    wrong = next(_unfit_reasons(node), None)
    if wrong or not isinstance(node, ast.FunctionDef):
        what, hint = wrong or ("is not written with `def`", "write a `def` that calls it")
        place = Place(code.show_path(symbol.file), getattr(node, "lineno", 0))
        raise DeclarationError(Fault(f"`{run}` {what}", place, hint))
    return Definition(named, symbol, node, runs)


def find_class(code: ProjectCode, run: str) -> Definition:
    named, symbol, runs = _find_symbol(code, run, "class")
    node = _last_definition(code, symbol)
    if not isinstance(node, ast.ClassDef):
        place = Place(code.show_path(symbol.file), getattr(node, "lineno", 0))
        hint = "write a class with `read(self, path)` and `write(self, value, path)`"
        raise DeclarationError(Fault(f"`{run}` is no class", place, hint))
    return Definition(named, symbol, node, runs)


def _split_run(run: str) -> tuple[str, str]:
    """The module and the function that a ``run:`` says; the module is empty beside the pipeline."""
    module, colon, name = run.rpartition(":")
    words = [name, *module.split(".")] if colon else [name]
    if not all(word.isidentifier() for word in words):
        hint = "say `function` or `module.path:function`"
        raise DeclarationError(Fault(f"`{run}` does not name a function", hint=hint))
    return module, name


def _find_symbol(code: ProjectCode, run: str, noun: str) -> tuple[Symbol, Symbol, tuple[str, ...]]:
    module, name = _split_run(run)
    # A module that is named starts at the root or in `src/`, `steps` beside the pipeline.
    roots = [str(folder) for folder in module_folders(Path(code.root))]
    folders = roots if module else code.path.folders[:1]
    found_module = code.finder.find_module((module or _BESIDE).split("."), folders)
    if found_module is None or found_module.file is None or not found_module.file.endswith(".py"):
        folder = folders[0]
        if not module:
            shown = code.show_path(f"{folder}/{_BESIDE}.py")
            others = code.finder.list_modules(folder)
            near = did_you_mean(f"{_BESIDE}.py", (Path(file).name for file in others))
            raise DeclarationError(Fault(f"there is no `{shown}`", Place(shown), near))
        module_names = [_dotted_name(file, folder) for file in code.finder.list_modules(folder)]
        hint = did_you_mean(module, module_names) or "modules are named from the project's root"
        raise DeclarationError(Fault(f"there is no module `{module}`", hint=hint))
    if not code.source(found_module.file).has(name):
        shown = code.show_path(found_module.file)
        near = did_you_mean(name, code.source(found_module.file).names)
        what = f"there is no {noun} `{name}` in `{shown}`"
        raise DeclarationError(Fault(what, Place(shown), near))
    symbol = _follow_definition(code, found_module.file, name, noun)
    return Symbol(found_module.file, name), symbol, found_module.runs


def _follow_definition(code: ProjectCode, file: str, name: str, noun: str) -> Symbol:
    """Follow imports and plain aliases (``train = fit``) to where a name is defined."""
    followed: list[Symbol] = []
    while True:
        meanings = [m for m in code.meanings_of_name(file, (name,)) if isinstance(m, Symbol)]
        if not meanings:
            where = Place(code.show_path(file))
            owner = "step" if noun == "function" else "format"
            hint = f"a {owner}'s {noun} is one of the project's"
            raise DeclarationError(Fault(f"`{name}` is imported from outside", where, hint))
        symbol = meanings[-1]
        match _last_definition(code, symbol):
            case ast.Assign(value=ast.Name(id=alias)) if symbol not in followed:
                followed.append(symbol)
                file, name = symbol.file, alias
            case _:
                return symbol


def _last_definition(code: ProjectCode, symbol: Symbol) -> ast.AST:
    """The last thing that defines a name, inside an ``if`` or ``try`` too."""
    source = code.source(symbol.file)
    last: ast.AST = source.statements[source.binders[symbol.name][-1]]
    for node in own_nodes([last]):
        if getattr(node, "name", None) == symbol.name and not isinstance(node, ast.alias):
            return node
    return last


def _unfit_reasons(node: ast.AST) -> Iterator[tuple[str, str]]:
    # A step's arguments come by name, and its result is a value.
    if isinstance(node, ast.AsyncFunctionDef):
        yield "is an async function", "write a `def` that calls `asyncio.run`"
    if isinstance(node, ast.ClassDef):
        yield "is a class", "write a `def` that makes and uses it"
    if not isinstance(node, ast.FunctionDef):
        return
    if node.args.vararg:
        yield f"takes `*{node.args.vararg.arg}`", "name each argument: a step's come by name"
    if node.args.kwarg:
        yield f"takes `**{node.args.kwarg.arg}`", "name each argument, so that each can be checked"
    if node.args.posonlyargs:
        yield f"takes `{node.args.posonlyargs[0].arg}` by position only", "take away the `/`"
    if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in own_nodes(node.body)):
        yield "is a generator", "return the value instead of yielding"


def _dotted_name(file: str, folder: str) -> str:
    return file[len(folder) + 1 :].removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class StepArgument(Struct, frozen=True):
    """``asks`` is the plain type of the annotation, ``pandas.DataFrame``; empty for no one."""

    name: str
    required: bool
    asks: str = ""


class StepSignature(Struct, frozen=True):
    """A step's function: ``file`` is from the project's root, ``line`` that of ``def``."""

    file: str
    line: int
    function: str
    arguments: tuple[StepArgument, ...]


def read_step_signature(code: ProjectCode, symbol: Symbol, node: ast.FunctionDef) -> StepSignature:
    """The signature as it is written; decorators are taken to keep it."""
    types = _TypeResolver(code)
    positional = node.args.args
    named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    optional = {part.arg for part in positional[len(positional) - len(node.args.defaults) :]}
    optional |= {parameter.arg for parameter, default in named if default is not None}
    arguments = (
        StepArgument(
            part.arg, part.arg not in optional, types.resolve(symbol.file, part.annotation)
        )
        for part in list_parameters(node.args)
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
            case ast.Name() | ast.Attribute():
                return self._resolve_name(file, node, depth)
            case ast.Call():
                return self._new_type(file, node, depth)
        return ""

    def _resolve_union(self, file: str, arms: list[ast.expr], depth: int) -> str:
        types = [arm for arm in arms if ast.unparse(arm) not in ("None", "'None'")]
        return self.resolve(file, types[0], depth + 1) if len(types) == 1 else ""

    def _resolve_name(self, file: str, node: ast.expr, depth: int) -> str:
        chain = chain_of(node)
        meanings = list(self.code.meanings_of_name(file, chain)) if chain else []
        for meaning in meanings:
            if isinstance(meaning, OutsideName):
                # A library has a type in several places: `pandas.core.frame.DataFrame`.
                package, _, rest = meaning.dotted.partition(".")
                is_moved = bool(rest) and package in _LIBRARIES
                short = f"{package}.{rest.rpartition('.')[2]}" if is_moved else meaning.dotted
                return _OTHER_NAMES.get(short, short)
        # An import inside of `if TYPE_CHECKING:` is a definition of this module too, of nothing.
        symbols = (meaning for meaning in meanings if isinstance(meaning, Symbol))
        types = (self._resolve_symbol(symbol, depth) for symbol in symbols)
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


def _alias_value(node: ast.AST, name: str) -> ast.expr | None:
    match node:
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
            return value
        case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name:
            return value
    if type(node).__name__ == "TypeAlias" and node.name.id == name:  # type: ignore[attr-defined]
        return node.value  # type: ignore[attr-defined, no-any-return] # Python 3.12's own
    return None
