"""Values that are made once and stay: Structs of msgspec, and what JSON gets of them."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import PurePosixPath

import numpy
import pytest
from msgspec import Struct

import towpath
from towpath.config.foreign_values import Md5
from towpath.plain_data import list_fields


class Inner(Struct, frozen=True):
    digest: Md5
    path: PurePosixPath
    names: tuple[str, ...] = ()


class Outer(Struct, frozen=True):
    inner: Inner
    by_name: dict[str, Inner]


class Measured(Struct, frozen=True):
    loss: float
    status: int


@dataclass(frozen=True)
class OfTheLibrary:
    inner: Inner


def _classes_below(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield below
        yield from _classes_below(below)


def test_a_struct_that_keeps_what_it_computed_has_room_for_it() -> None:
    for module in pkgutil.walk_packages(towpath.__path__, "towpath."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    structs = {kind for kind in _classes_below(Struct) if kind.__module__.startswith("towpath.")}
    assert len(structs) > 500
    without_room = {
        kind.__qualname__
        for kind in structs
        for ancestor in kind.__mro__
        if any(isinstance(value, cached_property) for value in vars(ancestor).values())
        and not kind.__dictoffset__  # `dict=True` is missing
    }
    assert not without_room


def test_fields_are_listed_into_depth_as_json_has_them() -> None:
    inner = Inner(Md5("0" * 32), PurePosixPath("data/a.csv"), ("x", "y"))
    plain = {"digest": "0" * 32, "path": "data/a.csv", "names": ["x", "y"]}
    listed = list_fields(Outer(inner, {"first": inner}))
    assert json.loads(json.dumps(listed)) == {"inner": plain, "by_name": {"first": plain}}
    assert json.loads(json.dumps(list_fields(OfTheLibrary(inner)))) == {"inner": plain}
    assert type(listed["inner"]["digest"]) is str


def test_numbers_of_a_class_of_their_own_are_numbers() -> None:
    measured = Measured(numpy.float64(0.5), HTTPStatus.OK)
    assert json.dumps(list_fields(measured)) == '{"loss": 0.5, "status": 200}'


def test_what_json_has_no_place_for_is_named() -> None:
    with pytest.raises(TypeError, match="a complex has no place in JSON"):
        list_fields(Outer(inner=1j, by_name={}))  # type: ignore[arg-type]
