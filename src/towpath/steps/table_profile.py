"""A table in counts: what a baseline keeps of it. It is read in parts, so its size is no matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from msgspec import Struct, field

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.errors import Malformed, StepFailed

ROWS_AT_ONCE = 50_000
"""The rows of a table that are in memory at a time."""
COLUMN_KINDS = ("boolean", "integer", "number", "text", "time", "other", "empty")
ReadParts: TypeAlias = Callable[[], Iterable[Any]]
"""Begins to read a table, as parts of pandas: it is gone through twice."""

_EDGES = 40
_SAMPLED = 20_000
MOST_DISTINCT = 10_000  # more are no categories: names, identities, sentences
_KEPT = 200
_NUMBERS = frozenset({"integer", "number"})
_CATEGORIES = frozenset({"text", "boolean"})
_INFERRED = {
    "boolean": "boolean",
    "integer": "integer",
    "floating": "number", "decimal": "number", "mixed-integer-float": "number",
    "string": "text",
    "datetime64": "time", "datetime": "time", "date": "time",
    "empty": "empty",
}  # fmt: skip


class NumberCounts(Struct, frozen=True):
    """How numbers are distributed: ``counts[i]`` of them are at most ``edges[i]`` and above the
    edge before, the last are above all edges. Infinite ones are not counted."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    least: float
    greatest: float
    mean: float


class CategoryCounts(Struct, frozen=True):
    """How often each text stands in a column; of a baseline that was read, the commonest only:
    ``other`` rows hold others, and there are ``distinct`` in all."""

    counts: Mapping[str, int]
    other: int
    distinct: int


class ColumnProfile(Struct, frozen=True):
    """One column: its kind, how many rows have a value, and how these are distributed. A column of
    whole numbers is ``integer`` whatever holds them, for one with gaps is read as floats."""

    kind: str
    present: int
    numbers: NumberCounts | None = None
    categories: CategoryCounts | None = None
    times: tuple[str, str] | None = None


class TableProfile(Struct, frozen=True):
    """A table: its number of rows and its columns, in order."""

    rows: int
    columns: Mapping[str, ColumnProfile]

    def document(self) -> dict[str, Json]:
        """The profile as JSON; the same table gives the same document."""
        columns: dict[str, Json] = {n: _column_document(c) for n, c in self.columns.items()}
        return {"version": 1, "rows": self.rows, "columns": columns}


class ProfiledTable(Struct, frozen=True):
    """A profile, and by column what another one asked for: its numbers at that one's edges; where
    it has too many texts to count them all, those that the other names."""

    profile: TableProfile
    at_edges: Mapping[str, tuple[int, ...]]
    of_names: Mapping[str, Mapping[str, int]]


def profile_table(
    parts: ReadParts,
    edges: Mapping[str, tuple[float, ...]],
    names: Mapping[str, Collection[str]],
) -> ProfiledTable:
    """Count a table, by its own edges and by those of the columns in ``edges``; the texts in
    ``names`` are counted in a column of any number of them.

    :raises StepFailed: where two columns have one name.
    """
    rows, first_looks = _look_through(parts)
    tallies = {
        name: _Tally.begin(look, edges.get(name, ()), frozenset(names.get(name, ())))
        for name, look in first_looks.items()
    }
    for part in parts():
        for name, column in _named_columns(part):
            tallies[name].add(column.dropna())
    columns = {name: tally.profile() for name, tally in tallies.items()}
    at_edges = {
        name: tuple(tally.at_others.tolist()) for name, tally in tallies.items() if tally.others
    }
    of_names = {name: dict(tally.texts) for name, tally in tallies.items() if tally.has_many}
    return ProfiledTable(TableProfile(rows, columns), at_edges, of_names)


def _named_columns(frame: Any) -> Iterator[tuple[str, Any]]:
    names = [str(name) for name in frame.columns]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise StepFailed(f"two columns are called `{repeated[0]}`", hint="rename one")
    for number, name in enumerate(names):
        column = frame.iloc[:, number]
        if str(column.dtype) == "category":
            column = column.astype(column.cat.categories.dtype)
        yield name, column


class _FirstLook(Struct):
    """What the first way through a table finds of a column: its kinds, and some of its numbers."""

    kinds: set[str] = field(default_factory=set)
    present: int = 0
    sample: list[float] = field(default_factory=list)
    every: int = 1

    def add(self, values: Any) -> None:
        kind = _column_kind(values)
        self.kinds.add(kind)
        self.present += len(values)
        if kind in _NUMBERS:
            # One of so many, evenly: the edges are chosen by it, and what they part is counted.
            self.sample += _finite_numbers(values)[:: self.every].tolist()
            while len(self.sample) > _SAMPLED:
                self.sample, self.every = self.sample[::2], self.every * 2

    @property
    def kind(self) -> str:
        """The kind of all parts: a CSV's may differ, and what is text in one is text."""
        kinds = self.kinds - {"empty"}
        if len(kinds) < 2:
            return next(iter(kinds), "empty")
        if kinds <= _NUMBERS:
            return "number"
        return "text" if "text" in kinds and kinds <= {*_NUMBERS, *_CATEGORIES} else "other"


def _look_through(parts: ReadParts) -> tuple[int, dict[str, _FirstLook]]:
    rows, looks = 0, dict[str, _FirstLook]()
    for part in parts():
        rows += len(part)
        for name, column in _named_columns(part):
            looks.setdefault(name, _FirstLook()).add(column.dropna())
    return rows, looks


def _column_kind(values: Any) -> str:
    import pandas

    kind = _INFERRED.get(pandas.api.types.infer_dtype(values, skipna=True), "other")
    if not len(values):
        return "empty"
    if kind == "number":
        numbers = _finite_numbers(values)
        return "integer" if len(numbers) and (numbers % 1 == 0).all() else "number"
    return kind


def _finite_numbers(values: Any) -> Any:
    import numpy

    numbers = values.to_numpy(dtype="float64")
    return numbers[numpy.isfinite(numbers)]


class _Tally(Struct):
    """The counts of one column, in the second way through."""

    kind: str
    present: int
    edges: tuple[float, ...]
    others: tuple[float, ...]
    counts: Any
    at_others: Any
    names: frozenset[str]
    texts: Counter[str] = field(default_factory=Counter)
    has_many: bool = False
    total: float = 0.0
    bounds: tuple[Any, Any] | None = None

    @classmethod
    def begin(cls, look: _FirstLook, others: tuple[float, ...], names: frozenset[str]) -> _Tally:
        import numpy

        kind = look.kind
        edges = _choose_edges(look.sample) if kind in _NUMBERS else ()
        others = others if kind in _NUMBERS else ()
        counts: Any = numpy.zeros(len(edges) + 1, dtype="int64")
        at_others: Any = numpy.zeros(len(others) + 1, dtype="int64")
        return cls(kind, look.present, edges, others, counts, at_others, names)

    def add(self, values: Any) -> None:
        if not len(values):
            return
        if self.kind in _NUMBERS:
            self._add_numbers(_finite_numbers(values))
        elif self.kind in _CATEGORIES:
            self._add_texts(values)
        elif self.kind == "time":
            # Objects as text: of times with a zone and without one neither is the earlier.
            moments = values if values.dtype.kind == "M" else values.astype(str)
            self._widen(str(moments.min()), str(moments.max()))

    def _add_texts(self, values: Any) -> None:
        for value, count in values.value_counts().items():
            text = str(value).lower() if self.kind == "boolean" else str(value)
            if not self.has_many or text in self.names:
                self.texts[text] += int(count)
        if not self.has_many and len(self.texts) > MOST_DISTINCT:
            self.has_many = True
            self.texts = Counter({t: n for t, n in self.texts.items() if t in self.names})

    def _add_numbers(self, numbers: Any) -> None:
        if not len(numbers):
            return
        self.counts += _count_at(self.edges, numbers)
        self.at_others += _count_at(self.others, numbers)
        self.total += float(numbers.sum())
        self._widen(float(numbers.min()), float(numbers.max()))

    def _widen(self, least: Any, greatest: Any) -> None:
        if self.bounds:
            least, greatest = min(least, self.bounds[0]), max(greatest, self.bounds[1])
        self.bounds = least, greatest

    def profile(self) -> ColumnProfile:
        numbers = categories = times = None
        if self.kind in _NUMBERS and self.bounds:
            # The last digits of a sum depend on the machine, and the same data gives the same.
            mean = float(f"{self.total / int(self.counts.sum()):.12g}")
            numbers = NumberCounts(self.edges, tuple(self.counts.tolist()), *self.bounds, mean)
        elif self.kind in _CATEGORIES and not self.has_many:
            categories = CategoryCounts(dict(self.texts), 0, len(self.texts))
        elif self.bounds:
            times = self.bounds
        return ColumnProfile(self.kind, self.present, numbers, categories, times)


def _choose_edges(sample: list[float]) -> tuple[float, ...]:
    import numpy

    if not sample:
        return ()
    shares = numpy.linspace(0, 1, _EDGES + 1)
    # Values that occur: between two of them a share would be made of rounding.
    return tuple(numpy.unique(numpy.quantile(sample, shares, method="inverted_cdf")).tolist())


def _count_at(edges: tuple[float, ...], numbers: Any) -> Any:
    import numpy

    return numpy.bincount(numpy.searchsorted(edges, numbers), minlength=len(edges) + 1)


# As JSON, and back: a baseline may come from anywhere.


def _column_document(column: ColumnProfile) -> dict[str, Json]:
    document: dict[str, Json] = {"type": column.kind, "present": column.present}
    if numbers := column.numbers:
        document |= {
            "least": numbers.least, "greatest": numbers.greatest, "mean": numbers.mean,
            "edges": list(numbers.edges), "counts": list(numbers.counts),
        }  # fmt: skip
    if categories := column.categories:
        ordered = sorted(categories.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        other = categories.other + sum(count for _, count in ordered[_KEPT:])
        document |= {"categories": dict(ordered[:_KEPT]), "other": other}
        document["distinct"] = categories.distinct
    if column.times:
        document |= {"least": column.times[0], "greatest": column.times[1]}
    return document


def read_profile(document: object) -> TableProfile:
    """The profile in a JSON document. Raises ``Malformed`` where it is none."""
    fields = foreign.Fields(document)
    if (version := fields.get("version", foreign.read_count)) != 1:
        raise Malformed(f"its version is {version}, and this Towpath knows 1")
    rows = fields.get("rows", foreign.read_count)
    columns = fields.get_table("columns", _read_column)
    for name, column in columns.items():
        if column.present > rows:
            raise Malformed(f"`{name}` has more values than there are rows")
    return TableProfile(rows, columns)


def _read_column(value: object) -> ColumnProfile:
    fields = foreign.Fields(value)
    kind = fields.get("type", foreign.one_of(*COLUMN_KINDS))
    present = fields.get("present", foreign.read_count)
    numbers = categories = times = None
    if kind in _NUMBERS and fields.find_optional("edges", foreign.read_json) is not None:
        numbers = _read_numbers(fields)
    elif kind in _CATEGORIES:
        counts = fields.find_optional("categories", foreign.table_of(foreign.read_count))
        if counts is not None:
            other = fields.get("other", foreign.read_count)
            distinct = fields.get("distinct", foreign.read_count)
            categories = CategoryCounts(counts, other, distinct)
    elif kind == "time":
        times = fields.get("least", foreign.read_text), fields.get("greatest", foreign.read_text)
    return ColumnProfile(kind, present, numbers, categories, times)


def _read_numbers(fields: foreign.Fields) -> NumberCounts:
    edges = tuple(map(float, fields.get("edges", foreign.list_of(foreign.read_number))))
    counts = fields.get("counts", foreign.list_of(foreign.read_count))
    if len(counts) != len(edges) + 1 or list(edges) != sorted(set(edges)) or not sum(counts):
        raise Malformed("`counts` are not those of `edges`")
    least, greatest, mean = (
        float(fields.get(key, foreign.read_number)) for key in ("least", "greatest", "mean")
    )
    return NumberCounts(edges, counts, least, greatest, mean)
