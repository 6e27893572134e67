"""How the text of a table is read and written, beside its format: what a declaration may say."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

from towpath.errors import did_you_mean

COLUMN_TYPES = ("string", "integer", "number", "boolean", "datetime", "category")
"""The types that ``types:`` may give a column, by the names of a model's signature."""

_ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "cp437", "ascii", "shift_jis")
_TEXT = ("separator", "decimal", "encoding", "types", "missing")
_OPTIONS_OF: Mapping[str, tuple[str, ...]] = {
    "csv": _TEXT,
    "tsv": _TEXT,
    "xlsx": ("types", "missing"),
    "jsonl": ("types",),
}
"""The options that each format takes; another takes none."""


@dataclass(frozen=True)
class TableOptions:
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
    def of(cls, declared: Any) -> TableOptions:
        """What an input's or an output's declaration says."""
        said = {name: getattr(declared, name, None) for name in OPTION_NAMES}
        return cls(**{name: value for name, value in said.items() if value is not None})

    def declared(self) -> dict[str, Any]:
        """The options that are said, by name."""
        said = {name: getattr(self, name) for name in OPTION_NAMES}
        return {name: value for name, value in said.items() if value is not None and value != {}}


OPTION_NAMES = tuple(field.name for field in fields(TableOptions))

NO_OPTIONS = TableOptions()


def options_of_format(name: str) -> tuple[str, ...]:
    """The names of the options that a format takes."""
    return _OPTIONS_OF.get(name, ())


def formats_with(option: str) -> tuple[str, ...]:
    """The names of the formats that take an option."""
    return tuple(name for name, options in _OPTIONS_OF.items() if option in options)


def _refuse(what: str, hint: str) -> NoReturn:
    # Only who reads a declaration comes here: a step's process, which needs the options, is to
    # start without the types of declarations.
    from towpath.spec import words

    words.refuse(what, hint)


def separator(text: str) -> str:
    """One character between fields."""
    if len(text) != 1 or text in '"\r\n\0':
        hint = 'write one character, such as ";" or "\\t"'
        _refuse(f"{text!r} cannot stand between fields".replace("'", "`"), hint)
    return text


def decimal(text: str) -> str:
    """The mark before the fraction of a number."""
    if text not in (".", ","):
        _refuse(f"`{text}` is no decimal mark", 'write "," or "."')
    return text


def encoding(text: str) -> str:
    """The name of an encoding that Python knows."""
    try:
        known = codecs.lookup(text)
    except (LookupError, ValueError):
        hint = did_you_mean(text.lower(), _ENCODINGS) or f"such as {', '.join(_ENCODINGS[:4])}"
        _refuse(f"there is no encoding `{text}`", hint)
    if not known._is_text_encoding:  # rot13, base64, zip: codecs, and no encodings of text
        _refuse(f"`{text}` is no encoding of text", f"such as {', '.join(_ENCODINGS[:4])}")
    return text


def column_type(text: str) -> str:
    """A column's type."""
    if text not in COLUMN_TYPES:
        hint = did_you_mean(text, COLUMN_TYPES) or f"the types are {', '.join(COLUMN_TYPES)}"
        _refuse(f"there is no type `{text}`", _USUAL_TYPES.get(text.lower(), hint))
    return text


_USUAL_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("str", "text", "object", "utf8", "varchar"), "write `string`"),
    **dict.fromkeys(("int", "int64", "int32", "long", "bigint"), "write `integer`"),
    **dict.fromkeys(("float", "float64", "float32", "double", "decimal"), "write `number`"),
    **dict.fromkeys(("date", "time", "timestamp", "datetime64"), "write `datetime`"),
    **dict.fromkeys(("bool", "flag"), "write `boolean`"),
}
