"""Lists the expectations of the Great Expectations installed, for the list that is kept here.

``python -m towpath.checks.suite.listing`` writes it anew after an upgrade.
"""

from __future__ import annotations

import datetime
import inspect
import json
import typing
from collections import abc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from towpath.checks.suite.lean import great_expectations

_ITS_OWN = frozenset(
    {"id", "meta", "notes", "result_format", "description", "catch_exceptions", "severity"}
    | {"rendered_content", "windows", "batch_id", "library_metadata"}
)
_KINDS = {
    str: "text",
    bool: "switch",
    int: "integer",
    float: "number",
    list: "list",
    set: "list",
    tuple: "list",
    dict: "mapping",
    datetime.date: "text",
    datetime.datetime: "text",
}
_DATABASE = ("_like_pattern", "unexpected_rows", "query_results", "other_table")


def listing() -> dict[str, Any]:
    """The list as a JSON document."""
    classes = {kind.expectation_type: kind for kind in _classes()}
    found = {name: _described(name, kind) for name, kind in sorted(classes.items())}
    return {"great_expectations": great_expectations().__version__, "expectations": found}


def _classes() -> Iterator[Any]:
    great_expectations()
    from great_expectations.expectations import core
    from great_expectations.expectations.expectation import Expectation

    for value in vars(core).values():
        if inspect.isclass(value) and issubclass(value, Expectation):
            yield value


def _described(name: str, kind: Any) -> dict[str, Any]:
    about = (inspect.getdoc(kind) or "").strip().split("\n\n")[0].replace("\n", " ")
    fields = {key: field for key, field in kind.__fields__.items() if key not in _ITS_OWN}
    said: dict[str, Any] = {
        "about": about,
        "arguments": {key: _argument(field) for key, field in sorted(fields.items())},
    }
    return {**said, **({"database": True} if any(part in name for part in _DATABASE) else {})}


def _argument(field: Any) -> dict[str, Any]:
    hint = field.outer_type_
    choices = sorted(str(choice) for choice in _choices(hint))
    kinds = sorted(set(_kinds(hint)))
    said: dict[str, Any] = {"choices": choices} if choices else {"kinds": kinds or ["any"]}
    return {**said, **({"required": True} if field.required else {})}


def _arms(hint: Any) -> Iterator[Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        yield from _arms(typing.get_args(hint)[0])
    elif origin is typing.Union:
        for arm in typing.get_args(hint):
            yield from _arms(arm)
    else:
        yield hint


def _choices(hint: Any) -> Iterator[Any]:
    for arm in _arms(hint):
        if typing.get_origin(arm) is typing.Literal:
            yield from typing.get_args(arm)


def _kinds(hint: Any) -> Iterator[str]:
    """A dict beside other types stands for a parameter of a suite, of which a file has none."""
    arms = list(_arms(hint))
    for arm in arms:
        plain = typing.get_origin(arm) or arm
        if (
            inspect.isclass(plain)
            and plain is not type(None)
            and (plain is not dict or len(arms) < 2)
        ):
            yield _kind(plain)


def _kind(plain: type) -> str:
    if issubclass(plain, bool):
        return "switch"
    if plain is abc.Sequence:
        return "list"
    return next((kind for base, kind in _KINDS.items() if issubclass(plain, base)), "mapping")


def write() -> None:
    """Write the list into this package."""
    file = Path(__file__).parents[1] / "expectations.json"
    file.write_text(json.dumps(listing(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
