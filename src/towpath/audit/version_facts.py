"""What can be asked of a version: the facts in its tag, and the stages that should run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from towpath.config.expression import Reference
from towpath.errors import Fault, UsageError, did_you_mean
from towpath.registry import ModelVersion, VersionNumber

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


def _summary_getter(key: str) -> Callable[[VersionFacts], Any]:
    return lambda facts: facts.version.summary.get(key)


FIELDS: Mapping[str, tuple[Kind, Callable[[VersionFacts], Any]]] = {
    "model": ("text", lambda facts: facts.version.model),
    "version": ("version", lambda facts: facts.version.version),
    "stage": ("stages", lambda facts: facts.stages),
    "author": ("author", lambda facts: facts.version.summary.get("author")),
    "time": ("time", lambda facts: facts.version.summary.get("time")),
    "rejected": ("bool", lambda facts: facts.version.rejected is not None),
    **{
        name: ("text", _summary_getter(name))
        for name in ("kind", "pipeline", "run", "code", "key", "md5", "sha256", "bump", "reason")
    },
    "size": ("number", _summary_getter("size")),
}
TABLES: Mapping[str, Kind] = {"metrics": "number", "params": "any", "labels": "any", "data": "any"}
ALIASES = {"parameters": "params", "metric": "metrics", "label": "labels", "stages": "stage"}


@dataclass(frozen=True)
class Vocabulary:
    """The names that versions use: those of metrics, parameters, labels and data."""

    names: Mapping[str, frozenset[str]]

    @classmethod
    def of_versions(cls, versions: Iterable[ModelVersion]) -> Vocabulary:
        """What any of these versions says."""
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
        if head in TABLES and rest:
            return self._entry_term(head, rest)
        if head in FIELDS and not rest:
            kind, get = FIELDS[head]
            return QueryTerm(kind, get, head)
        return self._bare_term(f"{head}.{rest}" if rest else head)

    def _entry_term(self, table: str, name: str) -> QueryTerm:
        if name not in self.names[table]:
            what = f"no version has `{table}.{name}`"
            raise UsageError(what, hint=self._near_entry(name, table))
        get = _entry_getter(table, name)
        return QueryTerm(TABLES[table], get, f"{table}.{name}")

    def _bare_term(self, name: str) -> QueryTerm:
        """A name without its table, where only one table has it."""
        tables = [table for table, names in self.names.items() if name in names]
        if len(tables) == 1:
            return self._entry_term(tables[0], name)
        if tables:
            hint = " or ".join(f"{table}.{name}" for table in tables)
            raise UsageError(f"`{name}` is in {' and in '.join(tables)}", hint=f"write {hint}")
        raise UsageError(Fault(f"nothing is called `{name}`", hint=self._anything_near(name)))

    def _near_entry(self, name: str, table: str) -> str | None:
        known_names = sorted(self.names[table])
        there_is = (
            f"there is {', '.join(known_names[:9])}" if known_names else f"no version has {table}"
        )
        return did_you_mean(name, known_names) or there_is

    def _anything_near(self, name: str) -> str:
        short = {entry: entry for names in self.names.values() for entry in names}
        full = [f"{table}.{entry}" for table, names in self.names.items() for entry in names]
        near = did_you_mean(name, [*FIELDS, *short, *full])
        return near or f"there is {', '.join([*FIELDS, *(f'{table}.<name>' for table in TABLES)])}"


def _entry_getter(table: str, name: str) -> Callable[[VersionFacts], Any]:
    def get(facts: VersionFacts) -> Any:
        return facts.version.summary.get(table, {}).get(name)

    return get


def parse_version_word(text: object) -> VersionNumber:
    """The number that a word of a query means; ``UsageError`` where it is none."""
    number = VersionNumber.parse(str(text))
    if number is None:
        raise UsageError(f"`{text}` is no version", hint='write version == "v1.2.0"')
    return number
