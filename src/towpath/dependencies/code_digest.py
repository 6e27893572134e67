"""The digests of what a function reaches, by the names under which a person knows it.

The digest of a definition is one of what it says, without comments, docstrings and formatting.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from towpath.dependencies.names_used import (
    DEFINITIONS,
    FUNCTIONS,
    at_definition,
    own_nodes,
    read_imports,
)
from towpath.dependencies.notebook_source import NOTEBOOK
from towpath.dependencies.project_code import (
    BUILTINS,
    ImportedModule,
    Symbol,
    WholeModule,
    read_code,
)
from towpath.dependencies.reach import Node, PossibleModule, Reach
from towpath.dependencies.widening_tables import Widening
from towpath.errors import DeclarationError, Fault, did_you_mean

_UNSAID = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_SIGNS = "*?["  # of a pattern
_SKIPPED = frozenset({"__pycache__", ".git", ".dvc", ".towpath"})


def digest_code(nodes: Iterable[ast.AST], *notes: str, docstrings: bool = False) -> str:
    """32 hexadecimal digits over what these nodes say, and over the notes."""
    words: list[str] = []
    for node in nodes:
        _write_node(node, words.append, docstrings)
    return digest_text("".join((*words, *(f"\n{note}" for note in notes))))


def digest_text(text: str) -> str:
    return digest_bytes(text.encode("utf-8", "surrogatepass"))


def digest_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


class CodeDigests:
    """Digests of names and of files, each computed once."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self.code = reach.code
        self._symbols: dict[tuple[Symbol, bool], str] = {}
        self._files: dict[tuple[str, Widening | None], str] = {}
        self._labels: dict[str, str] = {}
        self._loads: dict[str, tuple[frozenset[int], bool]] = {}

    def of_closure(self, closure: set[Node]) -> dict[str, str]:
        """Label to digest: ``steps.clean``, ``paths (whole module)``, ``steps (at import)``."""
        extent = next((w for w in (Widening.TEXT, Widening.DOCSTRINGS) if w in closure), None)
        whole = {node.file for node in closure if isinstance(node, WholeModule | PossibleModule)}
        digests = {
            f"{self._module_label(file)} (whole module)": self._digest_file(file, extent)
            for file in whole
        }
        symbols: dict[str, list[Symbol]] = defaultdict(list)
        for node in closure:
            if isinstance(node, Symbol) and node.file not in whole:
                symbols[node.file].append(node)
                key = node, extent is not None
                if key not in self._symbols:
                    numbers = self.reach.binding_statements(node)
                    source = self.code.source(node.file)
                    statements = [source.statements[number] for number in numbers]
                    notes = self._imports_of(node.file, numbers)
                    self._symbols[key] = digest_code(statements, *notes, docstrings=key[1])
                digests[f"{self._module_label(node.file)}.{node.name}"] = self._symbols[key]
        for file in {node.file for node in closure if isinstance(node, ImportedModule)} - whole:
            digests.update(self._at_import(file, symbols[file], extent))
        return dict(sorted(digests.items()))

    def _module_label(self, file: str) -> str:
        # Two modules may have one name, beside the pipeline and at the root: then its path.
        if file not in self._labels:
            path = self.code.path
            name = path.name(file)
            module = self.code.finder.find_module(name.split("."), path.all)
            is_first = module is not None and module.file == file
            self._labels[file] = name if is_first else self.code.show_path(file)
        return self._labels[file]

    def _digest_file(self, file: str, extent: Widening | None) -> str:
        """The digest of a file: of its bytes where comments count, or where it is no Python."""
        key = file, extent
        if key not in self._files:
            self._files[key] = self._read_file(file, extent)
        return self._files[key]

    def _read_file(self, file: str, extent: Widening | None) -> str:
        try:
            if extent is not Widening.TEXT and file.endswith((".py", NOTEBOOK)):
                source = self.code.source(file)
                notes = [source.docstring or ""] if extent else []
                notes += self.code.notebook_marks(file) if file.endswith(NOTEBOOK) else ()
                return digest_code(source.statements, *notes, docstrings=extent is not None)
        except DeclarationError:
            pass  # a module that only might be loaded need not be Python
        if file.endswith(NOTEBOOK):  # what its cells gave stands in the file too
            marks = "\n".join(self.code.notebook_marks(file)).encode()
            return digest_bytes(self.code.read_python(file) + marks)
        return digest_bytes(read_code(Path(file), self.code.show_path(file)))

    def _imports_of(self, file: str, numbers: Iterable[int]) -> list[str]:
        # A changed alias changes no name in the statement, and yet what it means.
        imports = self.code.source(file).imports
        facts = [self.code.used_names(file, number) for number in numbers]
        used = {chain[0] for fact in facts for chain in fact.chains | fact.perhaps}
        names = sorted(used & imports.keys()) + ["*"] * ("*" in imports)
        return [f"{name} {imported.said}" for name in names for imported in imports[name]]

    def _at_import(
        self, file: str, symbols: list[Symbol], extent: Widening | None
    ) -> dict[str, str]:
        if not file.endswith(".py"):
            return {self._module_label(file): self._digest_file(file, extent)}
        notes = self._in_order(file, symbols)
        source = self.code.source(file)
        if extent and source.docstring:
            notes.append(source.docstring)
        label = f"{self._module_label(file)} (at import)"
        return {label: digest_text("\n".join(notes))} if notes else {}

    def _in_order(self, file: str, symbols: list[Symbol]) -> list[str]:
        """What runs when the module is imported, where the order may matter. Effects stand with
        their content, definitions by the names that they bind: their content has labels of its own.
        Plain functions may stand anywhere, and imports where nothing between them has an effect."""
        statements = self.code.source(file).statements
        effects = self.reach.effects.of_module(file)
        loads, have_effects = self._import_statements(file)
        fixed = set(filter(self._is_fixed, symbols))
        if not (effects or have_effects or fixed):
            return []
        bound: dict[int, set[str]] = defaultdict(set)
        for symbol, number in self._bindings(symbols):
            if symbol in fixed or not _is_movable(statements[number]):
                bound[number].add(symbol.name)
        notes = {number: " ".join(sorted(names)) for number, names in bound.items()}
        notes.update((number, ast.unparse(statements[number])) for number in loads)
        for number in effects:
            if not isinstance(statements[number], DEFINITIONS):
                imports = self._imports_of(file, [number])
                notes[number] = digest_code([statements[number]], *imports)
        return [note for _, note in sorted(notes.items())]

    def _bindings(self, symbols: list[Symbol]) -> Iterator[tuple[Symbol, int]]:
        """Each name with the numbers of the statements that bind it."""
        for symbol in symbols:
            for number in self.reach.binding_statements(symbol):
                yield symbol, number

    def _is_fixed(self, symbol: Symbol) -> bool:
        """Whether the place of a name's definition matters: it has several, or hides another."""
        source = self.code.source(symbol.file)
        is_several = len(self.reach.binding_statements(symbol)) > 1
        return is_several or symbol.name in BUILTINS or "*" in source.imports

    def _import_statements(self, file: str) -> tuple[frozenset[int], bool]:
        """The statements that import from the project, and whether any has an effect or a star."""
        if file not in self._loads:
            loads, have_effects = set[int](), False
            for number, statement in enumerate(self.code.source(file).statements):
                imports = [name for node in own_nodes([statement]) for name in read_imports(node)]
                runs = [run for name in imports for run in self.code.runs(file, name)]
                files = [run.file for run in runs if isinstance(run, ImportedModule)]
                is_star = any(imported.name == "*" for imported in imports)
                if files or is_star:
                    loads.add(number)
                    have_effects |= is_star or any(map(self.reach.has_effects, files))
            self._loads[file] = frozenset(loads), have_effects
        return self._loads[file]


def _is_movable(statement: ast.stmt) -> bool:
    """A function whose definition runs nothing and reads nothing."""
    if not isinstance(statement, FUNCTIONS):
        return False
    evaluated = at_definition(statement)
    return not statement.decorator_list and all(isinstance(e, ast.Constant) for e in evaluated)


def _write_node(node: ast.AST, say: Callable[[str], None], docstrings: bool) -> None:
    # The names of fields stand in the text, since `ast` leaves out other empty ones in each Python:
    # the digest must be the same in all of them.
    if node.__class__ is ast.Name:
        say(f"Name({node.id})")
        return
    say(node.__class__.__name__)
    say("(")
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None and not isinstance(node, ast.Constant):
            continue
        if value == [] or name in _UNSAID:
            continue
        say(f" {name}=")
        if isinstance(value, list):
            _write_list(value, say, docstrings)
        elif isinstance(value, ast.AST):
            _write_node(value, say, docstrings)
        else:
            say(repr(value))
    say(")")


def _write_list(items: list[object], say: Callable[[str], None], docstrings: bool) -> None:
    say("[")
    for place, item in enumerate(items):
        if isinstance(item, ast.AST):
            if _is_idle(item) and not (docstrings and place == 0):
                continue
            _write_node(item, say, docstrings)
        else:
            say(repr(item))
        say(",")
    say("]")


def _is_idle(node: ast.AST) -> bool:
    # It says something, and does nothing.
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Pass)


def digest_named(root: Path, folder: str, extra: Iterable[str]) -> dict[str, str]:
    """A digest for each pattern, beside the pipeline or from the root, or a fault for each."""
    digests: dict[str, str] = {}
    faults: list[Fault] = []
    for pattern in extra:
        if files := find_files(root, folder, pattern):
            is_literal = not any(sign in pattern for sign in _SIGNS)
            is_itself = is_literal and [file.name for file in files] == [Path(pattern).name]
            digests[pattern] = _digest_files(root, files, is_itself)
        else:
            faults.append(_missing_fault(root, folder, pattern))
    if faults:
        raise DeclarationError(*faults)
    return digests


def find_files(root: Path, folder: str, pattern: str) -> list[Path]:
    """The files that a pattern means, sorted; none where it matches nothing."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        what = f"`code: {pattern}` leads out of the project"
        raise DeclarationError(Fault(what, hint="name it from the project's root"))
    for start in (root / folder, root):
        files = [file for path in _match_pattern(start, pattern) for file in _files_below(path)]
        if files:
            return sorted(set(files))
    return []


def _match_pattern(start: Path, pattern: str) -> Iterable[Path]:
    if any(sign in pattern for sign in _SIGNS):
        return start.glob(pattern)
    path = start / pattern
    return [path] if path.exists() else []


def _files_below(path: Path) -> Iterable[Path]:
    if path.is_file():
        yield path
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        yield from (Path(folder, name) for name in files)


def _digest_files(root: Path, files: list[Path], is_itself: bool) -> str:
    """The digest of what a pattern means: of files with their names, but of one that it names
    itself."""
    digests = [(f.relative_to(root).as_posix(), digest_bytes(read_code(f, str(f)))) for f in files]
    if is_itself:
        return digests[0][1]
    return digest_text("\n".join(f"{digest} {name}" for name, digest in digests))


def _missing_fault(root: Path, folder: str, pattern: str) -> Fault:
    parents = ((start / pattern).parent for start in (root / folder, root))
    siblings = [file.name for parent in parents if parent.is_dir() for file in parent.iterdir()]
    near = did_you_mean(Path(pattern).name, siblings)
    hint = near or "name it beside pipeline.yaml or from the root"
    return Fault(f"`code: {pattern}` matches no file", hint=hint)
