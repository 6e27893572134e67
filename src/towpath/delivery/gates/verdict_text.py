"""Words of gates in one line, whatever a model, a file or somebody's function put into them."""

from __future__ import annotations

import json

from towpath.config.artifact import Json
from towpath.errors import TowpathError

LONGEST = 600


def verdict_line(words: str, longest: int = LONGEST) -> str:
    """One line without control characters, cut where it is long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in words)
    short = " ".join(plain.split())
    return short if len(short) <= longest else f"{short[: longest - 3]}..."


def verdict_value(value: Json) -> Json:
    """What was found, or a bound, short enough to be told: numbers as they are, the rest a line."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return verdict_line(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 200
    )


def verdict_fault_words(error: TowpathError) -> str:
    """What an error says, with its places and hints."""
    return "; ".join(str(fault) for fault in error.faults[:5])


def verdict_number(value: float) -> str:
    """A number with as many digits as a person reads."""
    return f"{value:.6g}"


def verdict_duration(seconds: float) -> str:
    """So long: ``12.3 ms``, ``4.2 s``, ``3h 12m``, ``2d 5h``."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if hours < 1:
        return _join_parts((minutes, "m"), (int(seconds % 60), "s"))
    if days < 2:
        return _join_parts((hours, "h"), (minutes % 60, "m"))
    return _join_parts((days, "d"), (hours % 24, "h"))


def _join_parts(*parts: tuple[int, str]) -> str:
    return " ".join(f"{count}{unit}" for count, unit in parts if count)
