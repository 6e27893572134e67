"""What a piece of code speaks of, and the scopes in which it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from towpath.code.scopes import Import

Chain: TypeAlias = tuple[str, ...]
"""A name with the attributes behind it: ``shared.clean.drop`` is three."""

_WATCHED = """
__subclasses__ __globals__ __builtins__ __doc__ __code__ f_globals f_locals f_back f_lineno gi_frame
cr_frame tb_frame tb_lineno model_json_schema
"""
WATCHED = frozenset(_WATCHED.split())
"""Attributes of any object whatever that lead out of what can be read."""

LOADERS = frozenset({"import_module", "__import__"})

EVALUATORS = frozenset({"eval", "query"})
"""Methods of a table that read names of whoever calls them out of a text."""

GETTERS = frozenset({"attrgetter", "getattr", "methodcaller", "__getattribute__"})
"""Functions that are told an attribute by a text."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What a piece of code names.

    ``chains`` begin with a name of the module (or a builtin), ``perhaps`` with one that a class
    body may bind first; ``values`` are those of both that are not just called; ``uses`` are names
    that a function imported for itself, with attributes; ``imports`` is every import inside;
    ``modules`` are loaded by a literal name, with ``loaders``; ``signs`` make reading unsure.
    """

    chains: set[Chain] = field(default_factory=set)
    perhaps: set[Chain] = field(default_factory=set)
    values: set[Chain] = field(default_factory=set)
    uses: set[tuple[Import, Chain]] = field(default_factory=set)
    imports: list[Import] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    loaders: set[Chain] = field(default_factory=set)
    signs: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Scope:
    """The names of one function, comprehension or class, and the scope around it."""

    names: dict[str, tuple[Import, ...] | None]  # None: declared global
    around: Scope | None
    of_class: bool = False

    def find(self, name: str) -> Scope | None:
        scope: Scope | None = self
        while scope and name not in scope.names:
            scope = scope.around
        return scope
