"""The digests of what is reached, by the names under which a person knows it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from towpath.code import normal
from towpath.code.module_source import is_definition, read_bytes
from towpath.code.name_meaning import BUILTINS, Run, Symbol, Whole
from towpath.code.reach import Loose, Node, Reach
from towpath.code.scopes import FUNCTIONS, own, read_imports
from towpath.code.widening import Widening
from towpath.errors import DeclarationError


class Labels:
    """Digests of names and of files, each computed once."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self.view = reach.view
        self._symbols: dict[tuple[Symbol, bool], str] = {}
        self._files: dict[tuple[str, Widening | None], str] = {}
        self._names: dict[str, str] = {}
        self._loads: dict[str, tuple[frozenset[int], bool]] = {}

    def of(self, closure: set[Node]) -> dict[str, str]:
        """Label to digest: ``steps.clean``, ``paths (whole module)``, ``steps (at import)``."""
        extent = next((w for w in (Widening.TEXT, Widening.DOCSTRINGS) if w in closure), None)
        whole = {each.file for each in closure if isinstance(each, Whole | Loose)}
        found = {f"{self.name(file)} (whole module)": self.of_file(file, extent) for file in whole}
        symbols: dict[str, list[Symbol]] = defaultdict(list)
        for each in closure:
            if isinstance(each, Symbol) and each.file not in whole:
                symbols[each.file].append(each)
                found[f"{self.name(each.file)}.{each.name}"] = self.of_symbol(each, extent)
        for file in {each.file for each in closure if isinstance(each, Run)} - whole:
            found.update(self._of_import(file, symbols[file], extent))
        return dict(sorted(found.items()))

    def name(self, file: str) -> str:
        """A module's dotted name; its path, where another module has that name."""
        if file not in self._names:
            name = self.view.path.name(file)
            found = self.view.finder.find(name.split("."), self.view.path.all)
            is_known = found is not None and found.file == file
            self._names[file] = name if is_known else self.view.shown(file)
        return self._names[file]

    def of_symbol(self, symbol: Symbol, extent: Widening | None) -> str:
        """The digest of the statements that define a name."""
        key = symbol, extent is not None
        if key not in self._symbols:
            numbers = self.reach.statements(symbol)
            statements = [self.view.source(symbol.file).statements[number] for number in numbers]
            notes = self._imports_of(symbol.file, numbers)
            self._symbols[key] = normal.digest(statements, *notes, docstrings=key[1])
        return self._symbols[key]

    def of_file(self, file: str, extent: Widening | None) -> str:
        """The digest of a file: of its bytes where comments count, or where it is no Python."""
        key = file, extent
        if key not in self._files:
            self._files[key] = self._of_file(file, extent)
        return self._files[key]

    def _of_file(self, file: str, extent: Widening | None) -> str:
        try:
            if extent is not Widening.TEXT and file.endswith(".py"):
                source = self.view.source(file)
                notes = [source.docstring or ""] if extent else []
                return normal.digest(source.statements, *notes, docstrings=extent is not None)
        except DeclarationError:
            pass  # a module that only might be loaded need not be Python
        return normal.of_bytes(read_bytes(Path(file), self.view.shown(file)))

    def _imports_of(self, file: str, numbers: Iterable[int]) -> list[str]:
        """Which imports the names in these statements stand for: a changed alias is a change."""
        imports = self.view.source(file).imports
        facts = [self.view.facts(file, number) for number in numbers]
        spoken = {chain[0] for each in facts for chain in each.chains | each.perhaps}
        known = sorted(spoken & imports.keys()) + ["*"] * ("*" in imports)
        return [f"{name} {each.said}" for name in known for each in imports[name]]

    def _of_import(
        self, file: str, symbols: list[Symbol], extent: Widening | None
    ) -> dict[str, str]:
        if not file.endswith(".py"):
            return {self.name(file): self.of_file(file, extent)}
        notes = self._in_order(file, symbols)
        source = self.view.source(file)
        if extent and source.docstring:
            notes.append(source.docstring)
        return {f"{self.name(file)} (at import)": normal.of_text("\n".join(notes))} if notes else {}

    def _in_order(self, file: str, symbols: list[Symbol]) -> list[str]:
        """What runs when the module is imported, in its order, where the order may matter.

        Effects stand with their content, definitions and others by the names that they bind: their
        content has labels of its own. Plain functions may stand anywhere, and so may imports,
        unless something has an effect between them.
        """
        statements = self.view.source(file).statements
        effects = self.reach.quiet.at_import(file).effects
        loads, are_loud = self._imports(file)
        bound: dict[int, set[str]] = defaultdict(set)
        fixed = {each for each in symbols if self._is_fixed(each)}
        if not (effects or are_loud or fixed):
            return []
        for symbol in symbols:
            for number in self.reach.statements(symbol):
                if symbol in fixed or not _is_movable(statements[number]):
                    bound[number].add(symbol.name)
        notes = {number: " ".join(sorted(of)) for number, of in bound.items()}
        notes.update((number, ast.unparse(statements[number])) for number in loads)
        plain = (number for number in effects if not is_definition(statements[number]))
        notes.update((number, self._of_effect(file, number)) for number in plain)
        return [note for _, note in sorted(notes.items())]

    def _of_effect(self, file: str, number: int) -> str:
        statement = self.view.source(file).statements[number]
        return normal.digest([statement], *self._imports_of(file, [number]))

    def _is_fixed(self, symbol: Symbol) -> bool:
        """Whether the place of a name's definition matters: it has several, or hides another."""
        source = self.view.source(symbol.file)
        several = len(self.reach.statements(symbol)) > 1
        return several or symbol.name in BUILTINS or "*" in source.imports

    def _imports(self, file: str) -> tuple[frozenset[int], bool]:
        """The statements that import from the project, and whether any has an effect or a star."""
        if file not in self._loads:
            loads, are_loud = set[int](), False
            for number, statement in enumerate(self.view.source(file).statements):
                imports = [each for node in own([statement]) for each in read_imports(node)]
                runs = [run for each in imports for run in self.view.runs(file, each)]
                files = [run.file for run in runs if isinstance(run, Run)]
                if files or any(each.name == "*" for each in imports):
                    loads.add(number)
                    are_loud |= not files or any(map(self.reach.is_loud, files))
                    are_loud |= any(each.name == "*" for each in imports)
            self._loads[file] = frozenset(loads), are_loud
        return self._loads[file]


def _is_movable(statement: ast.stmt) -> bool:
    """A function whose definition runs nothing and reads nothing."""
    if not isinstance(statement, FUNCTIONS):
        return False
    defaults = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
    return not statement.decorator_list and all(isinstance(each, ast.Constant) for each in defaults)
