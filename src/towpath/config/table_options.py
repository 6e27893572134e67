"""How the text of a table is read and written, beside its format: what a declaration may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import fields

FORMAT_NAMES = (
    *("parquet", "csv", "tsv", "xlsx", "feather", "jsonl", "json", "skops", "text", "html"),
    *("image", "npy", "npz", "joblib", "pickle"),
)
"""The names of ``towpath.steps.formats``, which a test keeps equal."""

COLUMN_TYPES = ("string", "integer", "number", "boolean", "datetime", "category")
"""The types that ``types:`` may give a column, by the names of a model's signature."""

_TEXT = ("separator", "decimal", "encoding", "types", "missing")
_OPTIONS_OF: Mapping[str, tuple[str, ...]] = {
    "csv": _TEXT,
    "tsv": _TEXT,
    "xlsx": ("types", "missing"),
    "jsonl": ("types",),
}
"""The options that each format takes; another takes none."""


class TableOptions(Struct, frozen=True):
    """What a declaration says of a table's text; None and empty where it says nothing.

    ``types`` gives columns one of ``COLUMN_TYPES``. ``missing`` lists the texts that stand for no
    value: without it those that pandas takes for it, and in a column that is declared to be text
    the empty one alone.
    """

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] | None = None

    @classmethod
    def from_declaration(cls, declared: Any) -> TableOptions:
        options = {name: getattr(declared, name, None) for name in OPTION_NAMES}
        return cls(**{name: value for name, value in options.items() if value is not None})

    def declared_options(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in OPTION_NAMES}
        return {name: value for name, value in options.items() if value is not None and value != {}}


OPTION_NAMES = tuple(field.name for field in fields(TableOptions))

NO_OPTIONS = TableOptions()


def options_of_format(name: str) -> tuple[str, ...]:
    return _OPTIONS_OF.get(name, ())


def formats_with(option: str) -> tuple[str, ...]:
    return tuple(name for name, options in _OPTIONS_OF.items() if option in options)
