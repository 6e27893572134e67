"""Where the function of a step is: ``train`` beside the pipeline, ``shared.publish:to_folder``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from towpath.code.finder import Found
from towpath.code.imports import bindings, own
from towpath.code.view import Run, Symbol, View
from towpath.errors import DeclarationError, Fault, Place, did_you_mean
from towpath.spec.project_paths import module_folders

BESIDE = "steps"
"""The module beside ``pipeline.yaml`` that holds the functions without a module's name."""


@dataclass(frozen=True)
class Located:
    """A step's function.

    ``module`` and ``name`` are what a step's process imports (``steps``, ``train``), with
    ``folders`` in front of its ``sys.path``; ``file`` and ``function`` are where the definition
    stands, which is elsewhere when the module only imports it.
    """

    module: str
    name: str
    folders: tuple[Path, ...]
    file: Path
    function: str


@dataclass(frozen=True)
class Target:
    """What a ``run:`` leads to: the module named, the definition, and its node."""

    entry: str
    name: str
    symbol: Symbol
    node: ast.FunctionDef | ast.ClassDef
    runs: tuple[str, ...]


def split(run: str) -> tuple[str, str]:
    """The module and the function that a ``run:`` says; the module is empty beside the pipeline."""
    module, colon, name = run.rpartition(":")
    words = [name, *module.split(".")] if colon else [name]
    if not all(word.isidentifier() for word in words):
        hint = "say `function` or `module.path:function`"
        raise DeclarationError(Fault(f"`{run}` does not name a function", hint=hint))
    return module, name


def find(view: View, run: str) -> Target:
    """The definition of a step's function; a fault with the near name where there is none."""
    file, name, symbol, runs = _symbol(view, run, "function")
    return Target(file, name, symbol, _function(view, symbol, run), runs)


def find_class(view: View, run: str) -> Target:
    """The definition of a format's class; a fault with the near name where there is none."""
    file, name, symbol, runs = _symbol(view, run, "class")
    node = _last(view, symbol)
    if not isinstance(node, ast.ClassDef):
        place = Place(view.shown(symbol.file), getattr(node, "lineno", 0))
        hint = "write a class with `read(self, path)` and `write(self, value, path)`"
        raise DeclarationError(Fault(f"`{run}` is no class", place, hint))
    return Target(file, name, symbol, node, runs)


def methods(target: Target) -> frozenset[str] | None:
    """The names that a class defines; None where it has bases, which may define others."""
    assert isinstance(target.node, ast.ClassDef)
    if target.node.bases:
        return None
    return frozenset(bindings(target.node.body))


def _symbol(view: View, run: str, noun: str) -> tuple[str, str, Symbol, tuple[str, ...]]:
    module, name = split(run)
    found = view.finder.find((module or BESIDE).split("."), _start(view, module))
    if found is None or found.file is None or not found.file.endswith(".py"):
        _no_module(view, module)
    if not view.source(found.file).has(name):
        _no_name(view, found, name, noun)
    return found.file, name, _definition(view, found.file, name, noun), found.runs


def _start(view: View, module: str) -> tuple[str, ...]:
    """A module that is named starts at the root or in ``src/``, ``steps`` beside the pipeline."""
    if not module:
        return view.path.folders[:1]
    return tuple(str(folder) for folder in module_folders(Path(view.root)))


def starts(target: Target) -> list[Run | Symbol]:
    """Where reading begins: what the import runs, and the definition."""
    return [*(Run(file) for file in target.runs), Symbol(target.entry, target.name), target.symbol]


def _definition(view: View, file: str, name: str, noun: str) -> Symbol:
    """Follow imports and plain aliases (``train = fit``) to where a name is defined."""
    seen: list[Symbol] = []
    while True:
        meanings = [each for each in view.meaning(file, (name,)) if isinstance(each, Symbol)]
        if not meanings:
            where = Place(view.shown(file))
            owner = "step" if noun == "function" else "format"
            hint = f"a {owner}'s {noun} is one of the project's"
            raise DeclarationError(Fault(f"`{name}` is imported from outside", where, hint))
        symbol = meanings[-1]
        alias = _alias(_last(view, symbol))
        if alias is None or symbol in seen:
            return symbol
        seen.append(symbol)
        file, name = symbol.file, alias


def _alias(node: ast.AST) -> str | None:
    is_alias = isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)
    return node.value.id if is_alias else None  # type: ignore[attr-defined]


def _last(view: View, symbol: Symbol) -> ast.AST:
    """The last thing that defines a name, inside an ``if`` or ``try`` too."""
    source = view.source(symbol.file)
    last: ast.AST = source.statements[source.binders[symbol.name][-1]]
    for node in own([last]):
        if getattr(node, "name", None) == symbol.name and not isinstance(node, ast.alias):
            return node
    return last


def _function(view: View, symbol: Symbol, run: str) -> ast.FunctionDef:
    node = _last(view, symbol)
    wrong = next(_unfit(node), None)
    if wrong or not isinstance(node, ast.FunctionDef):
        what, hint = wrong or ("is not written with `def`", "write a `def` that calls it")
        place = Place(view.shown(symbol.file), getattr(node, "lineno", 0))
        raise DeclarationError(Fault(f"`{run}` {what}", place, hint))
    return node


def _unfit(node: ast.AST) -> Iterator[tuple[str, str]]:
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
    if any(isinstance(each, ast.Yield | ast.YieldFrom) for each in own(node.body)):
        yield "is a generator", "return the value instead of yielding"


def _no_module(view: View, module: str) -> NoReturn:
    folder, *_ = _start(view, module)
    if not module:
        shown = view.shown(f"{folder}/{BESIDE}.py")
        others = view.finder.modules(folder)
        near = did_you_mean(f"{BESIDE}.py", (Path(each).name for each in others))
        raise DeclarationError(Fault(f"there is no `{shown}`", Place(shown), near))
    known = [_dotted(each, folder) for each in view.finder.modules(folder)]
    hint = did_you_mean(module, known) or "modules are named from the project's root"
    raise DeclarationError(Fault(f"there is no module `{module}`", hint=hint))


def _no_name(view: View, found: Found, name: str, noun: str) -> NoReturn:
    shown = view.shown(found.file or "")
    hint = did_you_mean(name, view.source(found.file or "").names)
    raise DeclarationError(Fault(f"there is no {noun} `{name}` in `{shown}`", Place(shown), hint))


def _dotted(file: str, folder: str) -> str:
    return file[len(folder) + 1 :].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
