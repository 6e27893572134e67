"""What a gate says of a version, and its words as a person reads them."""

from __future__ import annotations

import json
from typing import Literal

from msgspec import Struct

from towpath.config.artifact import Json
from towpath.errors import TowpathError


class GateVerdict(Struct, frozen=True):
    """One gate's word; ``source`` is a place in the base commit (``towpath.yaml:14 at 3f2a1c0``). A
    gate that cannot be evaluated has not passed, and ``detail`` says why."""

    gate: str
    kind: str
    when: Literal["review", "deploy"]
    passed: bool
    value: Json = None
    bound: Json = None
    source: str = ""
    detail: str = ""


class GateFinding(Struct, frozen=True):
    """Whether the version passed, what was found, and in ``detail`` what else a reviewer needs.
    ``bound`` is given where it is known more exactly than the declaration says it."""

    passed: bool
    value: Json = None
    detail: str = ""
    bound: Json = None


class Unjudged(Exception):
    """A gate cannot be evaluated; its words say why."""


LONGEST = 600  # letters: a table in a pull request stays readable


def verdict_line(words: str, longest: int = LONGEST) -> str:
    """One line without control characters, cut where it is long."""
    # A model's file or somebody's function may have put them there, for whoever reads a terminal.
    plain = "".join(letter if letter.isprintable() else " " for letter in words)
    short = " ".join(plain.split())
    return short if len(short) <= longest else f"{short[: longest - 3]}..."


def verdict_value(value: Json) -> Json:
    """What was found, or a bound, short enough to be told: numbers as they are, the rest a line."""
    # Numbers stay numbers, for whoever reads the verdict as JSON.
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return verdict_line(text, 200)


def verdict_fault_words(error: TowpathError) -> str:
    return "; ".join(str(fault) for fault in error.faults[:5])


def verdict_number(value: float) -> str:
    return f"{value:.6g}"


def verdict_duration(seconds: float) -> str:
    """So long: ``12.3 ms``, ``4.2 s``, ``3h 12m``, ``2d 5h``."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    parts = (days, "d"), (hours % 24, "h")
    if days < 2:
        parts = (hours, "h"), (minutes % 60, "m")
    if hours < 1:
        parts = (minutes, "m"), (int(seconds % 60), "s")
    return " ".join(f"{count}{unit}" for count, unit in parts if count)


def verdict_cell(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return verdict_number(value) if isinstance(value, int | float) else str(value)
