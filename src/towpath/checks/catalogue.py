"""The expectations there are and what they take, from a list kept here: to read it is free."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("expectations.json")


@dataclass(frozen=True)
class Argument:
    """What an expectation takes. ``kinds`` are what it may be (``text``, ``number``, ``integer``,
    ``switch``, ``list``, ``mapping``, ``any``), unless it is one of ``choices``."""

    kinds: tuple[str, ...]
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """A type of expectation. ``database`` marks one that only a database can answer."""

    type: str
    about: str
    arguments: Mapping[str, Argument]
    database: bool = False


@functools.cache
def known() -> Mapping[str, Known]:
    """Every expectation by its type, as Great Expectations has them."""
    listed: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return {name: _known(name, said) for name, said in listed["expectations"].items()}


def _known(name: str, said: Mapping[str, Any]) -> Known:
    arguments = {key: _argument(value) for key, value in said["arguments"].items()}
    return Known(name, said["about"], arguments, said.get("database", False))


def _argument(said: Mapping[str, Any]) -> Argument:
    return Argument(
        tuple(said.get("kinds", ())), said.get("required", False), tuple(said.get("choices", ()))
    )
