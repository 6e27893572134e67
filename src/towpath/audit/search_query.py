"""The language of a search: an expression over the facts of versions, or of runs."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from msgspec import Struct

from towpath.audit import stage_history
from towpath.config import expression
from towpath.config.expression import Reference, of_node
from towpath.errors import UsageError, did_you_mean
from towpath.registry import VersionNumber

Kind: TypeAlias = Literal["text", "number", "bool", "time", "version", "author", "stages", "any"]
_Item = TypeVar("_Item")


class QueryTerm(Struct, frozen=True):
    """A side of a comparison: what it is, and how to get its value, which is None where a thing
    that is searched has no such fact. A ``constant`` has the same ``value`` for all."""

    kind: Kind
    get: Callable[[Any], Any]
    words: str
    value: Any = None
    constant: bool = False


class Vocabulary(Struct, frozen=True):
    """The words of a search: ``fields`` with their kinds, ``tables`` with the ``names`` that are
    used in them, ``aliases`` of both. ``noun`` is what is searched, ``example`` a search.

    ``get_table`` is a table of one thing, empty where it has none.
    """

    noun: str
    example: str
    fields: Mapping[str, tuple[Kind, Callable[[Any], Any]]]
    tables: Mapping[str, Kind]
    aliases: Mapping[str, str]
    names: Mapping[str, frozenset[str]]
    get_table: Callable[[Any, str], Mapping[str, Any]]

    def find_term(self, reference: Reference) -> QueryTerm:
        """What a reference stands for. Raises ``UsageError`` with the near name."""
        head = self.aliases.get(reference.name, reference.name)
        rest = ".".join(str(key) for key in (reference.output, *reference.keys) if key is not None)
        if head in self.fields and not rest:
            kind, get = self.fields[head]
            return QueryTerm(kind, get, head)
        if head in self.tables and rest:
            table, name, names = head, rest, sorted(self.names[head])
            if name not in names:
                near = did_you_mean(name, names) or f"there is {', '.join(names[:9])}"
                hint = near if names else f"no {self.noun} has {table}"
                raise UsageError(f"no {self.noun} has `{table}.{name}`", hint=hint)
        else:
            table, name = self._table_of(f"{head}.{rest}" if rest else head)
        words = f"{table}.{name}"
        return QueryTerm(
            self.tables[table], lambda facts: self.get_table(facts, table).get(name), words
        )

    def find_sort_term(self, sort: str) -> QueryTerm:
        """The fact to order by, with or without a ``-`` before it."""
        try:
            reference = expression.parse_value_reference(sort.removeprefix("-"))
        except ValueError:
            hint = "--sort metrics.mse"
            raise UsageError(f"`{sort}` is no fact to sort by", hint=hint) from None
        return self.find_term(reference)

    def _table_of(self, name: str) -> tuple[str, str]:
        """Of a name without its table: where only one table has it, that one."""
        tables = [table for table, names in self.names.items() if name in names]
        if len(tables) == 1:
            return tables[0], name
        if tables:
            hint = " or ".join(f"{table}.{name}" for table in tables)
            raise UsageError(f"`{name}` is in {' and in '.join(tables)}", hint=f"write {hint}")
        short = dict.fromkeys(entry for names in self.names.values() for entry in names)
        full = [f"{table}.{entry}" for table, names in self.names.items() for entry in names]
        all_names = ", ".join([*self.fields, *(f"{table}.<name>" for table in self.tables)])
        hint = did_you_mean(name, [*self.fields, *short, *full]) or f"there is {all_names}"
        raise UsageError(f"nothing is called `{name}`", hint=hint)


def parse_version_word(text: object) -> VersionNumber:
    number = VersionNumber.parse(str(text))
    if number is None:
        raise UsageError(f"`{text}` is no version", hint='write version == "v1.2.0"')
    return number


Test: TypeAlias = Callable[[Any], bool]
_Sides: TypeAlias = tuple[Callable[[Any], Any], Callable[[Any], Any]]

_STRING_OR_DATE = re.compile(
    rf"""("[^"]*"|'[^']*')|(?<![\w.-])({stage_history.MOMENT})(?![\w.-])"""
)


class SearchQuery(Struct, frozen=True):
    """An expression that was understood: what it asks of a thing, and the facts it names."""

    test: Test
    terms: tuple[QueryTerm, ...]
    named_stages: tuple[str, ...]


def parse_query(text: str, vocabulary: Vocabulary) -> SearchQuery:
    """Understand an expression; ``UsageError`` in words, with the near name, where it is none."""
    # A date needs no quotes from a person; to Python 2026-01-01 is a difference of numbers.
    quoted = _STRING_OR_DATE.sub(lambda match: match[1] or f'"{match[2]}"', text)
    try:
        condition = expression.parse_condition(quoted)
    except ValueError as fault:
        hint = f"such as: {vocabulary.example}"
        raise UsageError(str(fault).replace("condition", "search"), hint=hint) from None
    terms = {reference: vocabulary.find_term(reference) for reference in condition.references}
    # A line break in an expression, from a file or a here document, is a blank and no error.
    tree = ast.parse(" ".join(quoted.split()), mode="eval").body
    test = _Compiler(terms).compile_truth(tree)
    stages = []  # the words that stages are compared with
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Compare)):
        parts = [node.left, *node.comparators]
        if "stage" in [terms[reference].words for part in parts if (reference := of_node(part))]:
            leaves = (leaf for part in parts for leaf in ast.walk(part))
            values = [leaf.value for leaf in leaves if isinstance(leaf, ast.Constant)]
            stages += [value for value in values if isinstance(value, str)]
    return SearchQuery(test, tuple(terms.values()), tuple(stages))


class _Compiler(Struct, frozen=True):
    """Makes functions of an expression's parts, which ``config.expression`` has found allowed."""

    terms: dict[Reference, QueryTerm]

    def compile_truth(self, node: ast.expr) -> Test:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.compile_truth(value) for value in values]
                return lambda facts: all(part(facts) for part in parts)
            case ast.BoolOp(values=values):
                choices = [self.compile_truth(value) for value in values]
                return lambda facts: any(choice(facts) for choice in choices)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.compile_truth(operand)
                return lambda facts: not inner(facts)
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [self.compile_term(side) for side in (left, *others)]
                pairs = [_compare_pair(op, *sides[n : n + 2]) for n, op in enumerate(ops)]
                return lambda facts: all(pair(facts) for pair in pairs)
        term = self.compile_term(node)
        if term.kind != "bool":
            raise UsageError(f"`{term.words}` is neither true nor false", hint="compare it")
        return lambda facts: bool(term.get(facts))

    def _compute_term(
        self, work: Callable[[Any, Any], Any], left: QueryTerm, right: ast.expr, node: ast.expr
    ) -> QueryTerm:
        other = self.compile_term(right)

        def compute_value(facts: Any) -> Any:
            values = left.get(facts), other.get(facts)
            # Not of text or a list: `"a" * 3000000000` would fill the memory.
            if not all(isinstance(value, int | float) for value in values):
                return None  # of what has no such fact, or where it is no number
            try:
                return work(*values)
            except (ArithmeticError, ValueError):
                return None

        return QueryTerm("number", compute_value, ast.unparse(node))

    def compile_term(self, node: ast.expr) -> QueryTerm:
        if reference := of_node(node):
            return self.terms[reference]
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                work = expression.ARITHMETIC[type(op)]
                return self._compute_term(work, self.compile_term(left), right, node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()) | ast.Constant():
                return _constant_term(ast.literal_eval(node), ast.unparse(node))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._compute_term(operator.sub, _constant_term(0, "0"), operand, node)
            case ast.List() | ast.Tuple():
                values = [self._literal_value(item) for item in node.elts]
                return _constant_term(values, ast.unparse(node))
        raise UsageError(f"`{ast.unparse(node)}` is neither a fact nor a value")

    def _literal_value(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            # A list is compared as it stands, with stages and numbers too, which must be known now.
            raise UsageError(f"`{ast.unparse(node)}` in a list is no plain value") from None


def _constant_term(value: Any, words: str) -> QueryTerm:
    kind: Kind = "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "any"
    if isinstance(value, int | float) and not isinstance(value, bool):
        kind = "number"
    return QueryTerm(kind, lambda _: value, words, value, constant=True)


def _compare_pair(op: ast.cmpop, left: QueryTerm, right: QueryTerm) -> Test:
    for side, other in ((left, right), (right, left)):
        if side.kind in _SPECIAL and not side.constant:
            special = _SPECIAL[side.kind](op, side, other)
            if callable(special):
                return special
            return _compare_plain(op, *(special if side is left else reversed(special)))
    if {left.kind, right.kind} == {"text", "number"}:
        raise UsageError(f"`{left.words}` and `{right.words}` are text and a number")
    return _compare_plain(op, left.get, right.get)


def _compare_plain(op: ast.cmpop, left: Callable[[Any], Any], right: Callable[[Any], Any]) -> Test:
    compare = expression.COMPARISONS[type(op)]
    equality = isinstance(op, ast.Eq | ast.NotEq)

    def compare_values(facts: Any) -> bool:
        value, other = left(facts), right(facts)
        if not equality and (value is None or other is None):
            return False
        try:
            return compare(value, other)
        except TypeError:  # of mixed parameters, those that are of another kind
            return False

    return compare_values


def _compare_stages(op: ast.cmpop, stages: QueryTerm, other: QueryTerm) -> Test:
    """A version may stand in several stages: ``==`` asks for any of them."""
    if not isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) or not other.constant:
        raise UsageError("stages have no order here", hint='write stage == "prod"')
    is_negated = isinstance(op, ast.NotEq | ast.NotIn)
    compared = other.value if isinstance(other.value, list) else [other.value]
    return lambda facts: any(stage in compared for stage in stages.get(facts)) is not is_negated


def _compare_author(op: ast.cmpop, author: QueryTerm, other: QueryTerm) -> Test | _Sides:
    """A person by name, by mail, or by both, as they stand in ``Name <mail>``."""
    if not isinstance(op, ast.Eq | ast.NotEq) or not other.constant:
        return author.get, other.get
    person, is_negated = str(other.value).casefold(), isinstance(op, ast.NotEq)

    def names_person(facts: Any) -> bool:
        whole = (author.get(facts) or "").casefold()
        name, _, mail = whole.partition(" <")
        return (person in (whole, name, mail.rstrip(">"))) is not is_negated

    return names_person


def _compare_times(_: ast.cmpop, time: QueryTerm, other: QueryTerm) -> _Sides:
    """Times order as text does; beside a date only the day counts."""
    if not other.constant or not isinstance(other.value, str):
        raise UsageError("a time is compared with a date", hint="write time >= 2026-01-01")
    bound = stage_history.normalise_date(other.value)
    return lambda facts: (time.get(facts) or "")[: len(bound)] or None, lambda _: bound


def _compare_versions(_: ast.cmpop, version: QueryTerm, other: QueryTerm) -> _Sides:
    """Numbers in their own order: v1.10.0 is after v1.9.0."""
    words = other.value if isinstance(other.value, list) else [other.value]
    numbers = [parse_version_word(word) for word in words]
    bound = numbers if words is other.value else numbers[0]
    return version.get, lambda _: bound


_SPECIAL: Mapping[str, Callable[[ast.cmpop, QueryTerm, QueryTerm], Test | _Sides]] = {
    "stages": _compare_stages,
    "author": _compare_author,
    "time": _compare_times,
    "version": _compare_versions,
}


def sort_by_term(hits: Sequence[_Item], key: QueryTerm, descending: bool) -> list[_Item]:
    """In the order of a fact; what has none comes last either way."""
    with_value = [facts for facts in hits if key.get(facts) is not None]
    rest = [facts for facts in hits if key.get(facts) is None]
    try:
        return sorted(with_value, key=key.get, reverse=descending) + rest
    except TypeError:  # a parameter that is a number here and text there
        return sorted(with_value, key=lambda facts: str(key.get(facts)), reverse=descending) + rest
