"""What an expression that runs at import names, and what is known of calling that."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from towpath.code import harmless
from towpath.code.name_meaning import Meaning, Outside, Symbol
from towpath.code.names_used import chain_of
from towpath.code.scopes import FUNCTIONS

if TYPE_CHECKING:
    from towpath.code.import_effects import Quiet


class Naming:
    """The names of one file as code that runs sees them.

    ``local`` are those of a function that is being called, or of a class body; ``building`` is the
    first argument of a constructor.
    """

    def __init__(
        self, quiet: Quiet, file: str, local: Iterable[str] = (), building: str | None = None
    ) -> None:
        self.quiet = quiet
        self.file = file
        self.local = frozenset(local)
        self.building = building

    def _is_bound_method(self, node: ast.Attribute) -> bool:
        """``NAMES.append``, or a method of an instance that the project made."""
        chain = chain_of(node)
        meanings = self._meanings(chain or ())
        if meanings and all(isinstance(each, Outside) for each in meanings):
            return False
        if node.attr in harmless.FILLING:
            return True
        value = (
            self.quiet.value(meanings[0]) if meanings and isinstance(meanings[0], Symbol) else None
        )
        return isinstance(value, ast.Call) and self._has_method(value.func, node.attr)

    def _has_method(self, node: ast.expr, name: str) -> bool:
        """Whether the class that an expression names says how to do this."""
        symbols = (
            each for each in self._meanings(chain_of(node) or ()) if isinstance(each, Symbol)
        )
        classes = (each for each in map(self._defined, symbols) if isinstance(each, ast.ClassDef))
        return any(
            isinstance(each, FUNCTIONS) and each.name == name and not each.decorator_list
            for defined in classes
            for each in defined.body
        )

    def _builds(self, node: ast.Call) -> bool:
        """``super().__init__(...)``, and ``object.__setattr__(self, ...)`` in a constructor."""
        owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if not (isinstance(node.func, ast.Attribute) and node.func.attr.startswith("__")):
            return False
        given = node.args[:1]
        if isinstance(owner, ast.Call) and chain_of(owner.func) == ("super",):
            given = owner.args[1:]
            if not owner.args:
                return True
        elif not self._is_outside(owner):
            return False
        return any(isinstance(each, ast.Name) and each.id == self.building for each in given)

    def _is_harmless(self, node: ast.expr, returned_too: bool = False) -> bool:
        """Whether calling what this names only makes a value."""
        chain = chain_of(node)
        meanings = self._meanings(chain) if chain else []
        if not chain or (len(chain) > 1 and Symbol(self.file, chain[0]) in meanings):
            return False  # a method of something that the project made
        return bool(meanings) and all(
            (isinstance(each, Outside) and harmless.is_harmless(each.dotted))
            or (isinstance(each, Symbol) and self.quiet.is_quiet(each, returned_too))
            for each in meanings
        )

    def _is_outside(self, node: ast.expr) -> bool:
        meanings = self._meanings(chain_of(node) or ())
        return self._is_harmless(node) and all(isinstance(each, Outside) for each in meanings)

    def _outside(self, node: ast.expr) -> list[Outside]:
        meanings = self._meanings(chain_of(node) or ())
        return [each for each in meanings if isinstance(each, Outside)]

    def _is_wrapping(self, node: ast.expr) -> bool:
        """``functools.partial`` and its like hold a function, and do not call it."""
        meanings = self._meanings(chain_of(node) or ())
        return bool(meanings) and all(
            isinstance(each, Outside) and each.dotted in harmless.HOLDING for each in meanings
        )

    def _names_a_class(self, node: ast.expr) -> bool:
        symbols = (
            each for each in self._meanings(chain_of(node) or ()) if isinstance(each, Symbol)
        )
        return any(isinstance(self._defined(each), ast.ClassDef) for each in symbols)

    def _defined(self, symbol: Symbol) -> ast.AST:
        return self.quiet.definition(symbol) or ast.Pass()

    def _meanings(self, chain: tuple[str, ...]) -> list[Meaning]:
        if not chain or chain[0] in self.local:
            return []
        return list(self.quiet.view.meaning(self.file, chain))


def is_called_unseen(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a method runs without being called by its name."""
    is_special = node.name.startswith("__") or node.name in harmless.OF_BASES
    return is_special or bool(node.decorator_list)
