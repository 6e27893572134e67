"""What a function reaches: the graph of names over the files of a project."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from msgspec import Struct

from towpath.dependencies.names_used import (
    DEFINITIONS,
    FUNCTIONS,
    chain_of,
    list_parameters,
    read_names,
)
from towpath.dependencies.project_code import (
    BUILTINS,
    ImportedModule,
    ImportedPackage,
    Meaning,
    OutsideName,
    ProjectCode,
    Symbol,
    WholeModule,
)
from towpath.dependencies.widening_tables import Widening, widening_of_name
from towpath.errors import DeclarationError


class PossibleModule(Struct, frozen=True):
    """A module that dynamic code may load: it counts whole, if it can be read or not."""

    file: str


Node: TypeAlias = Meaning | PossibleModule


class Reach:
    """The edges between what is named, each found once, and what a start reaches over them."""

    def __init__(self, code: ProjectCode) -> None:
        self.code = code
        self.effects = ImportEffects(code)
        self._edges: dict[Node, tuple[Node, ...]] = {}
        self._have_effects: dict[str, bool] = {}

    def find_closure(self, starts: Iterable[Node], *, is_sure: bool = False) -> set[Node]:
        """All that is reached from ``starts``; with ``is_sure`` without what dynamic code may load
        of all that could be imported."""
        reached: set[Node] = set()
        waiting = list(starts)
        while waiting:
            node = waiting.pop()
            if node not in reached and not (is_sure and isinstance(node, PossibleModule)):
                reached.add(node)
                # The steps of a pipeline share most of their code: an edge is looked for once.
                if node not in self._edges:
                    self._edges[node] = tuple(dict.fromkeys(self._find_edges(node)))
                waiting.extend(self._edges[node])
        return reached

    def binding_statements(self, symbol: Symbol) -> tuple[int, ...]:
        # What else may fill its value is an effect, and so reached by all that the module holds.
        return self.code.source(symbol.file).binders.get(symbol.name, ())

    def has_effects(self, file: str) -> bool:
        if file not in self._have_effects:
            nodes = self.find_closure([ImportedModule(file)])
            files = (node.file for node in nodes if isinstance(node, ImportedModule))
            self._have_effects[file] = any(map(self.effects.of_module, files))
        return self._have_effects[file]

    def files(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """The files of the project among these nodes, from its root, sorted."""
        kinds = Symbol | ImportedModule | WholeModule | PossibleModule
        return tuple(sorted({self.code.show_path(n.file) for n in nodes if isinstance(n, kinds)}))

    @staticmethod
    def package_names(closure: Iterable[Node]) -> frozenset[str]:
        """The top names of modules that are neither the project's nor Python's."""
        outside = (node for node in closure if isinstance(node, OutsideName | ImportedPackage))
        tops = frozenset(node.dotted.partition(".")[0] for node in outside)
        return tops - sys.stdlib_module_names - BUILTINS

    def carried_nodes(self, closure: Iterable[Node]) -> Iterator[Node]:
        """What objects made by this code may name: classes, functions that are values, widened."""
        # A pickle holds functions by name too: `FunctionTransformer(func=clean)`.
        for node in closure:
            if isinstance(node, WholeModule | PossibleModule):
                yield node
            elif isinstance(node, Symbol):
                if self._is_kind(node, ast.ClassDef):
                    yield node
                yield from self._function_values(node)

    def _function_values(self, symbol: Symbol) -> Iterator[Symbol]:
        for number in self.binding_statements(symbol):
            names = self.code.used_names(symbol.file, number)
            chains = names.values & names.chains
            values = [self.code.meanings_of_name(symbol.file, chain) for chain in chains]
            values += [self.code.of_import(symbol.file, *use) for use in names.uses]
            for meaning in (meaning for meanings in values for meaning in meanings):
                if isinstance(meaning, Symbol) and self._is_kind(meaning, *FUNCTIONS):
                    yield meaning

    def _is_kind(self, symbol: Symbol, *kinds: type[ast.stmt]) -> bool:
        statements = self.code.source(symbol.file).statements
        return any(isinstance(statements[n], kinds) for n in self.binding_statements(symbol))

    def _find_edges(self, node: Node) -> Iterator[Node]:
        match node:
            case Symbol(file=file):
                yield ImportedModule(file)
                for number in self.binding_statements(node):
                    yield from self._from_statement(file, number)
            case ImportedModule(file=file):
                yield from self._from_import(file)
            case WholeModule(file=file):
                yield ImportedModule(file)
                # Whole is also what it imports, wherever in it.
                source = self.code.source(file)
                named = (self._from_statement(file, n) for n in range(len(source.statements)))
                loaded = (self.code.runs(file, imported) for imported in source.loads)
                for meaning in chain.from_iterable((*named, *loaded)):
                    if isinstance(meaning, ImportedModule):
                        yield WholeModule(meaning.file)
                    yield meaning
            case PossibleModule(file=file):
                yield from self._from_possible(file)
            case Widening.TEXT:
                yield Widening.PROJECT
            case Widening.PROJECT:
                for folder in self.code.path.all:
                    yield from map(PossibleModule, self.code.finder.list_modules(folder))

    def _from_statement(self, file: str, number: int) -> Iterator[Node]:
        for meaning in self.code.meanings_of(file, self.code.used_names(file, number)):
            reached: Node | None = meaning
            if isinstance(meaning, OutsideName):
                yield meaning
                reached = widening_of_name(meaning.dotted, meaning.is_module)
            if reached:
                yield WholeModule(file) if reached is Widening.MODULE else reached

    def _from_import(self, file: str) -> Iterator[Node]:
        # Importing a module runs its effects, and what it imports.
        source = self.code.source(file)
        for number in self.effects.of_module(file):
            statement = source.statements[number]
            if isinstance(statement, DEFINITIONS):
                yield Symbol(file, statement.name)
            yield from self._from_statement(file, number)
        for imported in source.loads:
            yield from self.code.runs(file, imported)
            if imported.name == "*":
                yield from self.code.modules_of_star(file, imported)

    def _from_possible(self, file: str) -> Iterator[Node]:
        # Only its packages are followed: every other module of the project counts as well.
        try:
            source = self.code.source(file)
        except DeclarationError:  # it need not be Python, for nobody has said that it is loaded
            return
        for imported in read_names(*source.statements).imports:
            meanings = self.code.runs(file, imported)
            yield from (meaning for meaning in meanings if isinstance(meaning, ImportedPackage))


# What of a module, when it is imported, may do more than give names to values. The rule is short,
# and errs towards running again: a statement at the top of a module that is no plain definition,
# import or literal belongs to all that the module holds. Nothing is known of what a call does, be
# it `Path("a")`: a table of harmless calls had 400 rows, and each was one way to a stale result.

_WRAPPING_NAMES = """
abc.abstractmethod classmethod contextlib.contextmanager dataclasses.dataclass functools.cache
functools.cached_property functools.lru_cache functools.total_ordering functools.wraps property
staticmethod typing.overload
"""
#: Decorators that only wrap, so that what they decorate matters to those who name it. Each other
#: one may register: a step that reads the table into which it writes names only the table.
_WRAPPING = frozenset(_WRAPPING_NAMES.split())

_BASE_NAMES = """
abc.ABC enum.Enum enum.Flag enum.IntEnum enum.IntFlag enum.StrEnum torch.nn.Module typing.Generic
typing.NamedTuple typing.Protocol typing.TypedDict object str bytes int float dict list tuple set
frozenset
"""
_EXCEPTIONS = (
    name for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)  # fmt: skip
#: Bases that keep no list of their subclasses, as do those of ``sklearn.base``.
_BASES = frozenset((*_BASE_NAMES.split(), *_EXCEPTIONS))

#: Methods that run where a subclass is defined.
_HOOKS = frozenset({"__class_getitem__", "__init_subclass__"})

_PARTS_OF_LITERALS = (
    ast.BinOp, ast.BoolOp, ast.Compare, ast.Constant, ast.Dict, ast.FormattedValue, ast.IfExp,
    ast.JoinedStr, ast.List, ast.Set, ast.Slice, ast.Subscript, ast.Tuple, ast.UnaryOp,
    ast.boolop, ast.cmpop, ast.expr_context, ast.operator, ast.unaryop,
)  # fmt: skip


class ImportEffects:
    """Finds the statements with an effect, each module's once; in doubt a statement has one."""

    def __init__(self, code: ProjectCode) -> None:
        self.code = code
        self._modules: dict[str, tuple[int, ...]] = {}
        self._classes: dict[Symbol, bool] = {}
        self._constants: dict[Symbol, bool] = {}

    def of_module(self, file: str) -> tuple[int, ...]:
        if file not in self._modules:
            statements = enumerate(self.code.source(file).statements)
            self._modules[file] = tuple(n for n, s in statements if not self._is_plain(file, s))
        return self._modules[file]

    def _is_plain(self, file: str, node: ast.AST) -> bool:
        """Whether a statement only binds names: a definition, an import, a literal."""
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._is_plain_function(file, node)
            case ast.ClassDef():
                return self._is_plain_class(file, node)
            case ast.Assign(targets=targets, value=value):
                is_named = all(isinstance(target, ast.Name) for target in targets)
                return is_named and self._is_value(file, value)
            case ast.AnnAssign(target=ast.Name(), annotation=annotation, value=value):
                is_value = value is None or self._is_value(file, value)
                return is_value and _calls_nothing(annotation)
            case ast.If(test=test, body=body, orelse=otherwise):
                # What is asked must be no object of the project: its `__bool__` would run.
                return self._is_constant(file, test) and self._are_plain(file, (*body, *otherwise))
            case ast.Try(body=body, handlers=handlers, orelse=otherwise, finalbody=last):
                types = [handler.type for handler in handlers if handler.type]
                handled = (statement for handler in handlers for statement in handler.body)
                are_values = all(self._is_value(file, error_type) for error_type in types)
                return are_values and self._are_plain(file, (*body, *handled, *otherwise, *last))
        # `type X = ...` of Python 3.12, which 3.11's `ast` lacks; read when it is asked for.
        return type(node).__name__ == "TypeAlias"

    def _are_plain(self, file: str, statements: Iterable[ast.stmt]) -> bool:
        return all(self._is_plain(file, statement) for statement in statements)

    def _is_value(self, file: str, node: ast.expr) -> bool:
        """Whether an expression writes a value down, or gives another name to one."""
        match node:
            case ast.Name():
                return True
            case ast.Lambda(args=arguments):
                return self._are_plain_parameters(file, arguments)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return all(self._is_value(file, part) for part in parts)
            case ast.Dict(keys=keys, values=values):  # a key's own `__hash__` runs
                is_open = any(key is None or not self._is_constant(file, key) for key in keys)
                return not is_open and all(self._is_value(file, part) for part in values)
        return self._is_constant(file, node)

    def _is_constant(self, file: str, node: ast.AST) -> bool:
        """Whether an expression is made of literals, of names of packages, and of names that stand
        for literals: then no operator, property, hash or format of the project's runs."""
        if isinstance(node, ast.Name | ast.Attribute):
            return all(
                isinstance(meaning, OutsideName)
                or (isinstance(node, ast.Name) and self._stands_for_literal(meaning))
                for meaning in self._meanings_of(file, node)
            )
        parts = (self._is_constant(file, part) for part in ast.iter_child_nodes(node))
        return isinstance(node, _PARTS_OF_LITERALS) and all(parts)

    def _stands_for_literal(self, meaning: Meaning) -> bool:
        if not isinstance(meaning, Symbol):
            return False
        if meaning not in self._constants:
            self._constants[meaning] = False  # a circle of names is none
            node = self._find_definition(meaning)
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                is_plain = self._is_plain(meaning.file, node)
                self._constants[meaning] = is_plain and self._is_constant(meaning.file, node.value)
        return self._constants[meaning]

    def _meanings_of(self, file: str, node: ast.expr) -> tuple[Meaning, ...]:
        """What a dotted name means; anything at all where it begins with no name."""
        chain = chain_of(node)
        return tuple(self.code.meanings_of_name(file, chain)) if chain else (WholeModule(file),)

    def _are_plain_parameters(self, file: str, arguments: ast.arguments) -> bool:
        defaults = (*arguments.defaults, *arguments.kw_defaults)
        return all(default is None or self._is_value(file, default) for default in defaults)

    def _is_wrapping(self, file: str, decorator: ast.expr) -> bool:
        """Whether a decorator keeps nothing: by the table, or one that only defines a function."""
        called, calls = decorator, 1
        if isinstance(decorator, ast.Call):
            called, calls = decorator.func, 2
            values = (*decorator.args, *(keyword.value for keyword in decorator.keywords))
            if not all(self._is_value(file, value) for value in values):
                return False
        if isinstance(called, ast.Attribute) and called.attr in ("setter", "getter", "deleter"):
            return True  # a property hands them out
        return all(
            meaning.dotted in _WRAPPING
            if isinstance(meaning, OutsideName)
            else isinstance(meaning, Symbol)
            and self._only_defines(meaning.file, self._find_definition(meaning), calls)
            for meaning in self._meanings_of(file, called)
        )

    def _only_defines(self, file: str, node: ast.AST | None, calls: int) -> bool:
        """Whether a call of this function only defines functions and returns a name; ``calls`` is
        2 for ``@retry(3)``, where the function that it returns is called as well."""
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            return False
        inner = {part.name: part for part in node.body if isinstance(part, FUNCTIONS)}
        for statement in node.body:
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    is_quiet = self._is_plain(file, statement)
                case ast.Return(value=ast.Name(id=name)):
                    is_quiet = calls == 1 or self._only_defines(file, inner.get(name), calls - 1)
                case ast.Return(value=ast.Lambda()):
                    is_quiet = calls == 1
                case ast.Expr(value=ast.Constant()):
                    is_quiet = True
                case _:
                    is_quiet = False
            if not is_quiet:
                return False
        return True

    def _is_plain_function(self, file: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        annotations = [part.annotation for part in list_parameters(node.args)]
        return (
            all(self._is_wrapping(file, part) for part in node.decorator_list)
            and self._are_plain_parameters(file, node.args)
            and all(map(_calls_nothing, (*annotations, node.returns)))
        )

    def _is_plain_class(self, file: str, node: ast.ClassDef) -> bool:
        """Whether the definition of a class runs nothing but its body, and that is plain."""
        bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        meanings = [meaning for base in bases for meaning in self._meanings_of(file, base)]
        return (
            not node.keywords
            and not _makes_members(node, meanings)
            and all(self._is_wrapping(file, part) for part in node.decorator_list)
            and all(map(self._is_quiet_base, meanings))
            and all(self._is_plain_member(file, part) for part in node.body)
        )

    def _is_plain_member(self, file: str, node: ast.stmt) -> bool:
        # A value in the body of a class must be a constant: another may have `__set_name__`.
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call) and isinstance(node, ast.AnnAssign):
            return self._is_field(file, value) and _calls_nothing(node.annotation)
        if isinstance(node, ast.If | ast.Try):
            return False
        return self._is_plain(file, node) and (value is None or self._is_constant(file, value))

    def _is_field(self, file: str, node: ast.Call) -> bool:
        # `field(default_factory=list)` calls nothing before there is an instance.
        is_field = self._meanings_of(file, node.func) == (OutsideName("dataclasses.field"),)
        are_plain = (
            self._is_value(file, keyword.value)
            if keyword.arg == "default_factory"
            else self._is_constant(file, keyword.value)
            for keyword in node.keywords
        )
        return is_field and not node.args and all(are_plain)

    def _is_quiet_base(self, meaning: Meaning) -> bool:
        """Whether a base keeps no list of its subclasses, and runs nothing where they are made."""
        if isinstance(meaning, OutsideName):
            return meaning.dotted in _BASES or meaning.dotted.startswith("sklearn.base.")
        if not isinstance(meaning, Symbol):
            return False
        if meaning not in self._classes:
            self._classes[meaning] = False  # a class is no base of itself
            base = self._find_definition(meaning)
            self._classes[meaning] = (
                isinstance(base, ast.ClassDef)
                and _HOOKS.isdisjoint(_method_names(base))
                and self._is_plain_class(meaning.file, base)
            )
        return self._classes[meaning]

    def _find_definition(self, symbol: Symbol) -> ast.stmt | None:
        """The one statement that defines a name; None where there are several, or none."""
        source = self.code.source(symbol.file)
        numbers = source.binders.get(symbol.name, ())
        is_one = len(numbers) == 1 and symbol.name not in source.imports
        return source.statements[numbers[0]] if is_one else None


def _calls_nothing(annotation: ast.expr | None) -> bool:
    parts = ast.walk(annotation) if annotation else ()
    return not any(isinstance(part, ast.Call) for part in parts)


def _makes_members(node: ast.ClassDef, meanings: Sequence[Meaning]) -> bool:
    # An enumeration makes its members at once, by methods of its own or of its bases.
    outside = (meaning.dotted for meaning in meanings if isinstance(meaning, OutsideName))
    return any(name.startswith("enum.") for name in outside) and (
        any(name.startswith("_") for name in _method_names(node))
        or any(isinstance(part, Symbol) for part in meanings)
    )


def _method_names(node: ast.ClassDef) -> list[str]:
    return [statement.name for statement in node.body if isinstance(statement, FUNCTIONS)]
