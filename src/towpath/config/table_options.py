"""How the text of a table is read and written: what readers and writers are handed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import fields


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
