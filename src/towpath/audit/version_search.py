"""Search: the versions of all models of which an expression holds."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, TypeAlias

from towpath import registry
from towpath.audit import stage_history
from towpath.backends.git import Repository, remotes
from towpath.config import expression
from towpath.config.expression import Reference, of_node
from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.registry import ModelVersion, StageFiles, VersionNumber

Kind: TypeAlias = Literal["text", "number", "bool", "time", "version", "author", "stages", "any"]


@dataclass(frozen=True)
class VersionFacts:
    """A version, and the stages that should run it."""

    version: ModelVersion
    stages: tuple[str, ...]


@dataclass(frozen=True)
class QueryTerm:
    """A side of a comparison: what it is, and how to get its value, which is None where a version
    has no such fact. A ``constant`` has the same ``value`` for all."""

    kind: Kind
    get: Callable[[VersionFacts], Any]
    words: str
    value: Any = None
    constant: bool = False


FIELDS: Mapping[str, tuple[Kind, Callable[[VersionFacts], Any]]] = {
    "model": ("text", lambda facts: facts.version.model),
    "version": ("version", lambda facts: facts.version.version),
    "stage": ("stages", lambda facts: facts.stages),
    "author": ("author", lambda facts: facts.version.summary.get("author")),
    "time": ("time", lambda facts: facts.version.summary.get("time")),
    "rejected": ("bool", lambda facts: facts.version.rejected is not None),
    **{
        name: ("text", lambda facts, name=name: facts.version.summary.get(name))  # type: ignore[misc]
        for name in ("kind", "pipeline", "run", "code", "key", "md5", "sha256", "bump", "reason")
    },
    "size": ("number", lambda facts: facts.version.summary.get("size")),
}
TABLES: Mapping[str, Kind] = {"metrics": "number", "params": "any", "labels": "any", "data": "any"}
ALIASES = {"parameters": "params", "metric": "metrics", "label": "labels", "stages": "stage"}


@dataclass(frozen=True)
class Vocabulary:
    """The names that versions use: those of metrics, parameters, labels and data."""

    names: Mapping[str, frozenset[str]]

    @classmethod
    def of_versions(cls, versions: Iterable[ModelVersion]) -> Vocabulary:
        names_by_table: dict[str, set[str]] = {table: set() for table in TABLES}
        for version in versions:
            summary = version.summary
            for table, names in names_by_table.items():
                names.update(summary.get(table, ()))
        return cls({table: frozenset(names) for table, names in names_by_table.items()})

    def find_term(self, reference: Reference) -> QueryTerm:
        """What a reference stands for. Raises ``UsageError`` with the near name."""
        head = ALIASES.get(reference.name, reference.name)
        rest = ".".join(str(key) for key in (reference.output, *reference.keys) if key is not None)
        if head in FIELDS and not rest:
            kind, get = FIELDS[head]
            return QueryTerm(kind, get, head)
        if head in TABLES and rest:
            table, name, names = head, rest, sorted(self.names[head])
            if name not in names:
                near = did_you_mean(name, names) or f"there is {', '.join(names[:9])}"
                hint = near if names else f"no version has {table}"
                raise UsageError(f"no version has `{table}.{name}`", hint=hint)
        else:
            table, name = self._table_of(f"{head}.{rest}" if rest else head)

        def get_entry(facts: VersionFacts) -> Any:
            return facts.version.summary.get(table, {}).get(name)

        return QueryTerm(TABLES[table], get_entry, f"{table}.{name}")

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
        all_names = ", ".join([*FIELDS, *(f"{table}.<name>" for table in TABLES)])
        hint = did_you_mean(name, [*FIELDS, *short, *full]) or f"there is {all_names}"
        raise UsageError(f"nothing is called `{name}`", hint=hint)


def parse_version_word(text: object) -> VersionNumber:
    number = VersionNumber.parse(str(text))
    if number is None:
        raise UsageError(f"`{text}` is no version", hint='write version == "v1.2.0"')
    return number


Test: TypeAlias = Callable[[VersionFacts], bool]
_Sides: TypeAlias = tuple[Callable[[VersionFacts], Any], Callable[[VersionFacts], Any]]

_STRING_OR_DATE = re.compile(
    rf"""("[^"]*"|'[^']*')|(?<![\w.-])({stage_history.MOMENT})(?![\w.-])"""
)


@dataclass(frozen=True)
class SearchQuery:
    """An expression that was understood: what it asks of a version, and the facts it names."""

    test: Test
    terms: tuple[QueryTerm, ...]
    named_stages: tuple[str, ...]


def parse_query(text: str, vocabulary: Vocabulary) -> SearchQuery:
    """Understand an expression; ``UsageError`` in words, with the near name, where it is none."""
    # A date needs no quotes from a person; to Python 2026-01-01 is a difference of numbers.
    quoted = _STRING_OR_DATE.sub(lambda match: match[1] or f'"{match[2]}"', text)
    try:
        read = expression.parse_condition(quoted)
    except ValueError as fault:
        hint = 'such as: metrics.mse < 5 and stage == "prod"'
        raise UsageError(str(fault).replace("condition", "search"), hint=hint) from None
    terms = {reference: vocabulary.find_term(reference) for reference in read.references}
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

    def _compute_term(
        self, work: Callable[[Any, Any], Any], left: QueryTerm, right: ast.expr, node: ast.expr
    ) -> QueryTerm:
        other = self.compile_term(right)

        def compute_value(facts: VersionFacts) -> Any:
            try:
                return work(left.get(facts), other.get(facts))
            except (TypeError, ArithmeticError, ValueError):
                return None  # of versions without the fact, or where it is no number

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


def _compare_plain(
    op: ast.cmpop, left: Callable[[VersionFacts], Any], right: Callable[[VersionFacts], Any]
) -> Test:
    compare = expression.COMPARISONS[type(op)]
    equality = isinstance(op, ast.Eq | ast.NotEq)

    def compare_values(facts: VersionFacts) -> bool:
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

    def names_person(facts: VersionFacts) -> bool:
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


@dataclass(frozen=True)
class SearchHits:
    """The versions found, and of each the values of the facts that the search names.

    ``searched`` is how many there are, ``total`` how many it holds of, ``found`` what is left of
    those by the limit.
    """

    found: tuple[ModelVersion, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    stages: StageFiles
    total: int
    searched: int


def search_versions(
    repository: Repository, text: str, sort: str | None = None, limit: int | None = None
) -> SearchHits:
    """The versions of which ``text`` holds, those of a model together, the newest first.

    ``sort`` names a fact to order by, ``-mse`` from the highest down; versions without it come
    last. Raises ``UsageError``, with the near name, for an expression that cannot be understood.
    """
    stages = registry.read_stage_files(repository)
    models = registry.read_models(repository).values()
    versions = list(chain.from_iterable(model.newest_first for model in models))
    if not versions and remotes.is_tagless(repository):
        raise RegistryError("this clone was made without tags", hint="towpath fetch")
    vocabulary = Vocabulary.of_versions(versions)
    query = parse_query(text, vocabulary)
    terms = [*query.terms]
    if sort:
        terms.append(_find_sort_term(sort, vocabulary))
    _refuse_near_stages(query.named_stages, stages)
    every = (VersionFacts(v, stages.stages_of(v.model, v.version)) for v in versions)
    matches = [facts for facts in every if query.test(facts)]
    if sort:
        matches = _sort_facts(matches, terms[-1], descending=sort.startswith("-"))
    shown = matches[:limit]
    columns = _choose_columns(terms)
    return SearchHits(
        found=tuple(facts.version for facts in shown),
        columns=tuple(term.words for term in columns),
        values=tuple(tuple(term.get(facts) for term in columns) for facts in shown),
        stages=stages,
        total=len(matches),
        searched=len(versions),
    )


def _choose_columns(terms: Iterable[QueryTerm]) -> list[QueryTerm]:
    """The facts worth a column: those that the table does not show anyhow."""
    terms_by_words = {term.words: term for term in terms}
    shown = ((words, term) for words, term in terms_by_words.items())
    return [term for words, term in shown if "." in words or words in _WORTH]


def _find_sort_term(sort: str, vocabulary: Vocabulary) -> QueryTerm:
    try:
        reference = expression.parse_value_reference(sort.removeprefix("-"))
    except ValueError:
        raise UsageError(f"`{sort}` is no fact to sort by", hint="--sort metrics.mse") from None
    return vocabulary.find_term(reference)


def _refuse_near_stages(named: Iterable[str], stages: StageFiles) -> None:
    # A stage that runs nothing may be one that does not exist: only a near name tells.
    known_stages = sorted({stage_file.stage for stage_file in stages.wanted})
    for name in named:
        if name not in known_stages and (near := did_you_mean(name, known_stages)):
            raise UsageError(f"no stage `{name}` runs anything", hint=near)


def _sort_facts(hits: list[VersionFacts], key: QueryTerm, descending: bool) -> list[VersionFacts]:
    with_value = [facts for facts in hits if key.get(facts) is not None]
    rest = [facts for facts in hits if key.get(facts) is None]
    try:
        return sorted(with_value, key=key.get, reverse=descending) + rest
    except TypeError:  # a parameter that is a number here and text there
        return sorted(with_value, key=lambda facts: str(key.get(facts)), reverse=descending) + rest


_WORTH = ("kind", "pipeline", "run", "size", "bump", "code")
