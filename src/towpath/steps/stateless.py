"""Whether the project's code in this process is of a kind that can keep nothing between two calls.

Then a second step finds all as the first one did. It is asked of very small code only, so this
knows few things, each of them harmless, and takes whatever else it meets for one that is not:
a global that is not plain and immutable, a module that may have settings, a function that could
change what outlives its call.
"""

from __future__ import annotations

import functools
import opcode
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path, PosixPath, PurePosixPath
from types import CodeType, FunctionType, ModuleType
from typing import Any

MODULES = frozenset(
    {
        "__future__", "abc", "collections", "dataclasses", "datetime", "enum", "functools",
        "itertools", "json", "math", "pathlib", "re", "statistics", "string", "textwrap", "typing",
    }
)  # fmt: skip
"""Modules of the standard library that hold nothing which a step may set."""

_PLAIN = frozenset(
    {type(None), bool, int, float, complex, str, bytes, re.Pattern, PosixPath, PurePosixPath}
)

_OF_A_MODULE = frozenset(
    {
        "__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__cached__",
        "__builtins__",
    }
)  # fmt: skip

_CHANGES = frozenset(
    opcode.opmap[name]
    for name in ("IMPORT_NAME", "STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL")
)

_REACHES = frozenset(
    {
        "eval", "exec", "compile", "globals", "vars", "getattr", "setattr", "delattr", "os", "sys",
        "builtins", "warnings", "register",
    }
)  # fmt: skip
"""Names by which a function comes to what is not its own; so does each with two underscores."""


def is_project(root: Path, began_with: frozenset[str]) -> bool:
    """Whether all code of the project below ``root`` that this process imported is such.

    :param began_with: the modules that were there before the first step.
    """
    return _is_project(root, began_with, len(sys.modules))


@functools.lru_cache(1)
def _is_project(root: Path, began_with: frozenset[str], _count: int) -> bool:
    """Looked into once, and again when there are more modules: code like this changes nothing."""
    came = sys.modules.keys() - began_with
    own = _of_the_project(root, came)
    return _knows(came - own.keys()) and all(
        name in _OF_A_MODULE or _holds_nothing(value, own)
        for module in own.values()
        for name, value in vars(module).items()
    )


def _of_the_project(root: Path, names: Iterable[str]) -> dict[str, ModuleType]:
    start = f"{root}{os.sep}"
    files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in names}
    return {
        name: sys.modules[name]
        for name, file in files.items()
        if file.startswith(start) and "site-packages" not in file
    }


def _knows(names: Iterable[str]) -> bool:
    """Whether these modules are known to have no settings; a leading underscore is that of the
    part of a module that is written in C."""
    tops = {name.partition(".")[0] for name in names}
    return all(
        top in MODULES or top.removeprefix("_") in MODULES or top == "towpath" for top in tops
    )


def _holds_nothing(value: Any, own: dict[str, ModuleType]) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind in (tuple, frozenset):
        return all(_holds_nothing(each, own) for each in value)
    if kind is ModuleType:
        return own.get(value.__name__) is value or _knows([value.__name__])
    if kind is FunctionType and any(value.__globals__ is vars(module) for module in own.values()):
        return _is_plain(value, own)
    return kind.__module__ == "__future__" or _is_known(value)


def _is_plain(function: FunctionType, own: dict[str, ModuleType]) -> bool:
    """Whether a function of the project has nothing that stays, and changes nothing that does."""
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    return (
        function.__closure__ is None
        and not vars(function)
        and all(_holds_nothing(each, own) for each in defaults)
        and _changes_nothing(function.__code__)
    )


def _changes_nothing(code: CodeType) -> bool:
    named = _REACHES.isdisjoint(code.co_names) and not any(n[:2] == "__" for n in code.co_names)
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return named and _CHANGES.isdisjoint(code.co_code[::2]) and all(map(_changes_nothing, inner))


def _is_known(value: Any) -> bool:
    """Whether this is a function or class of one of the modules that are known, or built in."""
    module = getattr(value, "__module__", None)
    name = getattr(value, "__name__", None)
    if not (isinstance(module, str) and isinstance(name, str)):
        return False
    held = getattr(sys.modules.get(module), name, None)
    return held is value and (module == "builtins" or _knows([module]))
