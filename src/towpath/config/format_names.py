"""The formats of files by name, and which options of a table each takes."""

from __future__ import annotations

from collections.abc import Mapping

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


def options_of_format(name: str) -> tuple[str, ...]:
    return _OPTIONS_OF.get(name, ())


def formats_with(option: str) -> tuple[str, ...]:
    return tuple(name for name, options in _OPTIONS_OF.items() if option in options)
