"""A search's expression: the safe subset of Python that conditions use, asked of every version.

``config.expression`` reads it and says what is not allowed; here it becomes a function, once, for
it is asked of ten thousand versions. A comparison with a fact that a version does not have does
not hold.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from towpath.audit import utc_dates
from towpath.audit.version_facts import (
    Kind,
    QueryTerm,
    VersionFacts,
    Vocabulary,
    parse_version_word,
)
from towpath.config import expression
from towpath.config.expression import Reference, of_node
from towpath.errors import UsageError

Test: TypeAlias = Callable[[VersionFacts], bool]

_STRING_OR_DATE = re.compile(rf"""("[^"]*"|'[^']*')|(?<![\w.-])({utc_dates.MOMENT})(?![\w.-])""")


@dataclass(frozen=True)
class SearchQuery:
    """An expression that was understood: what it asks of a version, and the facts it names."""

    test: Test
    terms: tuple[QueryTerm, ...]
    named_stages: tuple[str, ...]


def parse_query(text: str, vocabulary: Vocabulary) -> SearchQuery:
    """Understand an expression; ``UsageError`` in words, with the near name, where it is none."""
    quoted = _STRING_OR_DATE.sub(lambda match: match[1] or f'"{match[2]}"', text)
    try:
        read = expression.parse_condition(quoted)
    except ValueError as fault:
        hint = 'such as: metrics.mse < 5 and stage == "prod"'
        raise UsageError(str(fault).replace("condition", "search"), hint=hint) from None
    terms = {reference: vocabulary.find_term(reference) for reference in read.references}
    tree = ast.parse(" ".join(quoted.split()), mode="eval").body
    test = _Compiler(terms).compile_truth(tree)
    return SearchQuery(test, tuple(terms.values()), tuple(_stages_named(tree, terms)))


def _stages_named(tree: ast.expr, terms: Mapping[Reference, QueryTerm]) -> Iterator[str]:
    """The words that stages are compared with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            heads = [terms[reference].words for part in parts if (reference := of_node(part))]
            leaves = (leaf for part in parts for leaf in ast.walk(part) if "stage" in heads)
            yield from (
                n.value for n in leaves if isinstance(n, ast.Constant) and _is_text(n.value)
            )


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


@dataclass(frozen=True)
class _Compiler:
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
            case ast.Compare():
                return self._compile_comparison(node)
        term = self.compile_term(node)
        if term.kind != "bool":
            raise UsageError(f"`{term.words}` is neither true nor false", hint="compare it")
        return lambda facts: bool(term.get(facts))

    def _compile_comparison(self, node: ast.Compare) -> Test:
        sides = [self.compile_term(side) for side in (node.left, *node.comparators)]
        pairs = [_compare_pair(op, sides[n], sides[n + 1]) for n, op in enumerate(node.ops)]
        return pairs[0] if len(pairs) == 1 else lambda facts: all(pair(facts) for pair in pairs)

    def compile_term(self, node: ast.expr) -> QueryTerm:
        reference = of_node(node)
        if reference is not None:
            return self.terms[reference]
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return _arithmetic_term(
                    expression.ARITHMETIC[type(op)], self._compile_sides(left, right), node
                )
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()) | ast.Constant():
                return _constant_term(ast.literal_eval(node), ast.unparse(node))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.compile_term(operand)
                return QueryTerm(
                    "number", lambda facts: _negate_value(inner.get(facts)), ast.unparse(node)
                )
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return _constant_term(
                    [self._literal_value(item) for item in items], ast.unparse(node)
                )
        raise UsageError(f"`{ast.unparse(node)}` is neither a fact nor a value")

    def _compile_sides(self, left: ast.expr, right: ast.expr) -> tuple[QueryTerm, QueryTerm]:
        return self.compile_term(left), self.compile_term(right)

    def _literal_value(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise UsageError(f"`{ast.unparse(node)}` in a list is no plain value") from None


def _constant_term(value: Any, words: str) -> QueryTerm:
    kind: Kind = "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "any"
    if isinstance(value, int | float) and not isinstance(value, bool):
        kind = "number"
    return QueryTerm(kind, lambda _: value, words, value, constant=True)


def _arithmetic_term(
    work: Callable[[Any, Any], Any], sides: tuple[QueryTerm, QueryTerm], node: ast.expr
) -> QueryTerm:
    left, right = sides

    def get(facts: VersionFacts) -> Any:
        try:
            return work(left.get(facts), right.get(facts))
        except (TypeError, ArithmeticError, ValueError):
            return None

    return QueryTerm("number", get, ast.unparse(node))


def _negate_value(value: Any) -> Any:
    return None if value is None else -value


def _compare_pair(op: ast.cmpop, left: QueryTerm, right: QueryTerm) -> Test:
    """One comparison of two sides."""
    for side, other in ((left, right), (right, left)):
        if side.kind in _SPECIAL and not side.constant:
            return _SPECIAL[side.kind](op, side, other, side is left)
    if {left.kind, right.kind} == {"text", "number"}:
        raise UsageError(f"`{left.words}` and `{right.words}` are text and a number")
    return _compare_plain(op, left.get, right.get)


def _compare_plain(
    op: ast.cmpop, left: Callable[[VersionFacts], Any], right: Callable[[VersionFacts], Any]
) -> Test:
    compare = expression.COMPARISONS[type(op)]
    equality = isinstance(op, ast.Eq | ast.NotEq)

    def test(facts: VersionFacts) -> bool:
        value, other = left(facts), right(facts)
        if not equality and (value is None or other is None):
            return False
        try:
            return compare(value, other)
        except TypeError:  # of mixed parameters, those that are of another kind
            return False

    return test


def _compare_stages(op: ast.cmpop, stages: QueryTerm, other: QueryTerm, _: bool) -> Test:
    """A version may stand in several stages: ``==`` asks for any of them."""
    named = other.get
    negated = isinstance(op, ast.NotEq | ast.NotIn)
    if not isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) or not other.constant:
        raise UsageError("stages have no order here", hint='write stage == "prod"')

    def test(facts: VersionFacts) -> bool:
        compared = named(facts)
        listed = compared if isinstance(compared, list) else [compared]
        return any(stage in listed for stage in stages.get(facts)) is not negated

    return test


def _compare_author(op: ast.cmpop, author: QueryTerm, other: QueryTerm, author_left: bool) -> Test:
    """A person by name, by mail, or by both, as they stand in ``Name <mail>``."""
    if isinstance(op, ast.Eq | ast.NotEq) and other.constant:
        person = str(other.value).casefold()
        negated = isinstance(op, ast.NotEq)
        return lambda facts: (person in _author_names(author.get(facts))) is not negated
    return _compare_plain(
        op, *((author.get, other.get) if author_left else (other.get, author.get))
    )


def _author_names(author: str | None) -> tuple[str, ...]:
    whole = (author or "").casefold()
    name, _, mail = whole.partition(" <")
    return whole, name, mail.rstrip(">")


def _compare_times(op: ast.cmpop, time: QueryTerm, other: QueryTerm, time_left: bool) -> Test:
    """Times order as text does; beside a date only the day counts."""
    if not other.constant or not isinstance(other.value, str):
        raise UsageError("a time is compared with a date", hint="write time >= 2026-01-01")
    bound = utc_dates.normalise_date(other.value)

    def get(facts: VersionFacts) -> Any:
        value = time.get(facts)
        return value[: len(bound)] if value else None

    return _compare_plain(op, *((get, lambda _: bound) if time_left else (lambda _: bound, get)))


def _compare_versions(
    op: ast.cmpop, version: QueryTerm, other: QueryTerm, version_left: bool
) -> Test:
    """Numbers in their own order: v1.10.0 is after v1.9.0."""
    value = other.value
    bound = (
        [parse_version_word(v) for v in value]
        if isinstance(value, list)
        else parse_version_word(value)
    )
    sides = (version.get, lambda _: bound)
    return _compare_plain(op, *(sides if version_left else reversed(sides)))


_SPECIAL = {
    "stages": _compare_stages,
    "author": _compare_author,
    "time": _compare_times,
    "version": _compare_versions,
}
