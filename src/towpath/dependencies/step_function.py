"""Where the function of a step is: ``train`` beside the pipeline, ``shared.publish:to_folder``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from towpath.config.project_paths import module_folders
from towpath.dependencies.module_search import FoundModule
from towpath.dependencies.project_code import ImportedModule, ProjectCode, Symbol
from towpath.dependencies.scopes import find_bindings, own_nodes
from towpath.errors import DeclarationError, Fault, Place, did_you_mean

_BESIDE = "steps"
"""The module beside ``pipeline.yaml`` that holds the functions without a module's name."""


@dataclass(frozen=True)
class Definition:
    """What a ``run:`` leads to: the name in the module that it says, the symbol that this stands
    for, its node, and the files that importing the module runs."""

    named: Symbol
    symbol: Symbol
    node: ast.FunctionDef | ast.ClassDef
    runs: tuple[str, ...]

    def starts(self) -> tuple[ImportedModule | Symbol, ...]:
        """Where reading begins: what the import runs, and the definition."""
        return (*(ImportedModule(file) for file in self.runs), self.named, self.symbol)


def find_function(code: ProjectCode, run: str) -> Definition:
    """The definition of a step's function; a fault with the near name where there is none."""
    named, symbol, runs = _find_symbol(code, run, "function")
    return Definition(named, symbol, _require_function(code, symbol, run), runs)


def find_class(code: ProjectCode, run: str) -> Definition:
    """The definition of a format's class; a fault with the near name where there is none."""
    named, symbol, runs = _find_symbol(code, run, "class")
    node = _last_definition(code, symbol)
    if not isinstance(node, ast.ClassDef):
        place = Place(code.show_path(symbol.file), getattr(node, "lineno", 0))
        hint = "write a class with `read(self, path)` and `write(self, value, path)`"
        raise DeclarationError(Fault(f"`{run}` is no class", place, hint))
    return Definition(named, symbol, node, runs)


def method_names(definition: Definition) -> frozenset[str] | None:
    """The names that a class defines; None where it has bases, which may define others."""
    assert isinstance(definition.node, ast.ClassDef)
    return None if definition.node.bases else frozenset(find_bindings(definition.node.body))


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
    found_module = code.finder.find_module(
        (module or _BESIDE).split("."), _start_folders(code, module)
    )
    if found_module is None or found_module.file is None or not found_module.file.endswith(".py"):
        _no_module(code, module)
    if not code.source(found_module.file).has(name):
        _no_name(code, found_module, name, noun)
    return (
        Symbol(found_module.file, name),
        _follow_definition(code, found_module.file, name, noun),
        found_module.runs,
    )


def _start_folders(code: ProjectCode, module: str) -> tuple[str, ...]:
    """A module that is named starts at the root or in ``src/``, ``steps`` beside the pipeline."""
    if not module:
        return code.path.folders[:1]
    return tuple(str(folder) for folder in module_folders(Path(code.root)))


def _follow_definition(code: ProjectCode, file: str, name: str, noun: str) -> Symbol:
    """Follow imports and plain aliases (``train = fit``) to where a name is defined."""
    followed: list[Symbol] = []
    while True:
        meanings = [
            meaning
            for meaning in code.meanings_of_name(file, (name,))
            if isinstance(meaning, Symbol)
        ]
        if not meanings:
            where = Place(code.show_path(file))
            owner = "step" if noun == "function" else "format"
            hint = f"a {owner}'s {noun} is one of the project's"
            raise DeclarationError(Fault(f"`{name}` is imported from outside", where, hint))
        symbol = meanings[-1]
        alias = _aliased_name(_last_definition(code, symbol))
        if alias is None or symbol in followed:
            return symbol
        followed.append(symbol)
        file, name = symbol.file, alias


def _aliased_name(node: ast.AST) -> str | None:
    is_alias = isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)
    return node.value.id if is_alias else None  # type: ignore[attr-defined]


def _last_definition(code: ProjectCode, symbol: Symbol) -> ast.AST:
    """The last thing that defines a name, inside an ``if`` or ``try`` too."""
    source = code.source(symbol.file)
    last: ast.AST = source.statements[source.binders[symbol.name][-1]]
    for node in own_nodes([last]):
        if getattr(node, "name", None) == symbol.name and not isinstance(node, ast.alias):
            return node
    return last


def _require_function(code: ProjectCode, symbol: Symbol, run: str) -> ast.FunctionDef:
    node = _last_definition(code, symbol)
    wrong = next(_unfit_reasons(node), None)
    if wrong or not isinstance(node, ast.FunctionDef):
        what, hint = wrong or ("is not written with `def`", "write a `def` that calls it")
        place = Place(code.show_path(symbol.file), getattr(node, "lineno", 0))
        raise DeclarationError(Fault(f"`{run}` {what}", place, hint))
    return node


def _unfit_reasons(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Why a definition cannot be a step: its arguments come by name, its result as a value."""
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


def _no_module(code: ProjectCode, module: str) -> NoReturn:
    folder, *_ = _start_folders(code, module)
    if not module:
        shown = code.show_path(f"{folder}/{_BESIDE}.py")
        others = code.finder.list_modules(folder)
        near = did_you_mean(f"{_BESIDE}.py", (Path(file).name for file in others))
        raise DeclarationError(Fault(f"there is no `{shown}`", Place(shown), near))
    module_names = [_dotted_name(file, folder) for file in code.finder.list_modules(folder)]
    hint = did_you_mean(module, module_names) or "modules are named from the project's root"
    raise DeclarationError(Fault(f"there is no module `{module}`", hint=hint))


def _no_name(code: ProjectCode, module: FoundModule, name: str, noun: str) -> NoReturn:
    shown = code.show_path(module.file or "")
    hint = did_you_mean(name, code.source(module.file or "").names)
    raise DeclarationError(Fault(f"there is no {noun} `{name}` in `{shown}`", Place(shown), hint))


def _dotted_name(file: str, folder: str) -> str:
    return file[len(folder) + 1 :].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
