"""The expectations of the installed Great Expectations, as the package keeps them in a list.

Run it (``python tests/backends/great_expectations/expectation_list.py``) to write the list anew
after an upgrade.
"""

from __future__ import annotations

import datetime
import inspect
import json
import typing
from collections import abc
from collections.abc import Iterator
from typing import Any

from towpath.backends.great_expectations import suite_file

_ITS_OWN = frozenset(
    {"id", "meta", "notes", "result_format", "description", "catch_exceptions", "severity"}
    | {"rendered_content", "windows", "batch_id", "library_metadata"}
)
_KINDS = {
    str: "text", bool: "switch", int: "integer", float: "number", list: "list", set: "list",
    tuple: "list", dict: "mapping", datetime.date: "text", datetime.datetime: "text",
}  # fmt: skip
_DATABASE = ("_like_pattern", "unexpected_rows", "query_results", "other_table")


def list_expectations() -> dict[str, Any]:
    classes = {kind.expectation_type: kind for kind in _expectation_classes()}
    expectations = {name: _describe_type(name, kind) for name, kind in sorted(classes.items())}
    from towpath.backends.great_expectations.validation import gx

    return {"great_expectations": gx.__version__, "expectations": expectations}


def _expectation_classes() -> Iterator[Any]:
    # Ours first, which imports it without what a check of a table never uses.
    import towpath.backends.great_expectations.validation  # noqa: F401, I001
    from great_expectations.expectations import core
    from great_expectations.expectations.expectation import Expectation

    for value in vars(core).values():
        if inspect.isclass(value) and issubclass(value, Expectation):
            yield value


def _describe_type(name: str, kind: Any) -> dict[str, Any]:
    about = (inspect.getdoc(kind) or "").strip().split("\n\n")[0].replace("\n", " ")
    fields = {key: field for key, field in kind.__fields__.items() if key not in _ITS_OWN}
    arguments = {key: _describe_argument(field) for key, field in sorted(fields.items())}
    is_database = any(part in name for part in _DATABASE)
    return {"about": about, "arguments": arguments, **({"database": True} if is_database else {})}


def _describe_argument(field: Any) -> dict[str, Any]:
    hint = field.outer_type_
    choices = sorted(str(choice) for choice in _hint_choices(hint))
    kinds = sorted(set(_hint_kinds(hint)))
    description: dict[str, Any] = {"choices": choices} if choices else {"kinds": kinds or ["any"]}
    return {**description, **({"required": True} if field.required else {})}


def _hint_arms(hint: Any) -> Iterator[Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        yield from _hint_arms(typing.get_args(hint)[0])
    elif origin is typing.Union:
        for arm in typing.get_args(hint):
            yield from _hint_arms(arm)
    else:
        yield hint


def _hint_choices(hint: Any) -> Iterator[Any]:
    for arm in _hint_arms(hint):
        if typing.get_origin(arm) is typing.Literal:
            yield from typing.get_args(arm)


def _hint_kinds(hint: Any) -> Iterator[str]:
    arms = [typing.get_origin(arm) or arm for arm in _hint_arms(hint)]
    # A dict beside other types stands for a parameter of a suite, of which a file has none.
    passed_over = (type(None), dict) if len(arms) > 1 else (type(None),)
    for arm in arms:
        if inspect.isclass(arm) and arm not in passed_over:
            yield _kind_of_type(arm)


def _kind_of_type(plain: type) -> str:
    if issubclass(plain, bool):
        return "switch"
    if plain is abc.Sequence:
        return "list"
    return next((kind for base, kind in _KINDS.items() if issubclass(plain, base)), "mapping")


def write_list() -> None:
    text = json.dumps(list_expectations(), indent=1)
    suite_file.EXPECTATIONS.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write_list()
