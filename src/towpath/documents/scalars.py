"""What a plain scalar means: YAML 1.2's core schema (chapter 10.3), less what is doubtful.

DoubtError is what another reader of YAML takes for something else: YAML 1.1 reads ``no`` as false,
``12:30`` as 750 and ``010`` as 8. Such a scalar is refused rather than guessed at.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Value: TypeAlias = "str | int | float | bool | None"

QUOTE = "write it in quotes"

_WORDS: dict[str, Value] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SWITCH = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_SIXTIES = re.compile(r"[-+]?[0-9]+(:[0-9]{1,2})+(\.[0-9]*)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_GROUPED = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F]*_[0-9a-fA-F_]*|[0-9]+_[0-9_]*(\.[0-9_]*)?)")
_LONGEST = 200  # a longer one, in base 16 too, is no floating number any more
_PLAIN_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*")


class DoubtError(ValueError):
    """A scalar that does not say one thing only; carries what is wrong and the hint."""

    def __init__(self, what: str, hint: str = QUOTE) -> None:
        super().__init__(what)
        self.hint = hint


def resolve(text: str) -> Value:
    """The value of a plain scalar; raises DoubtError where it could mean something else."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0].isalpha() and not _SWITCH.fullmatch(text):
        return text
    return _number(text) if _number_like(text) else text


def stays_text(text: str) -> bool:
    """Whether every reader, of YAML 1.1 as of 1.2, takes this plain scalar for text."""
    if not _PLAIN_TEXT.fullmatch(text) or text != text.strip():
        return False
    return not (text in _WORDS or _SWITCH.fullmatch(text) or text in {"y", "Y", "n", "N"})


def _number_like(text: str) -> bool:
    return bool(text[0] in "+-.0123456789<" or _SWITCH.fullmatch(text))


def _number(text: str) -> Value:
    _refuse_doubtful(text)
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _RADIX.fullmatch(text):
        return _radix(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def _refuse_doubtful(text: str) -> None:
    if _SWITCH.fullmatch(text):
        raise DoubtError(
            f"`{text}` is text to some readers and true or false to others", _switch(text)
        )
    if text == "<<":
        raise DoubtError("merge keys (`<<`) are not read here", "write the entries out")
    if _ENDLESS.fullmatch(text):
        raise DoubtError(f"`{text}` is no finite number", "leave it out, or write it in quotes")
    if _SIXTIES.fullmatch(text):
        raise DoubtError(f"`{text}` is text to some readers and a number of base 60 to others")
    if _GROUPED.fullmatch(text):
        raise DoubtError(f"`{text}` is a number to some readers and text to others")
    if _LEADING_ZERO.match(text) and _FLOAT.fullmatch(text):
        raise DoubtError(f"`{text}` begins with a zero: an octal number to some readers")


def _switch(text: str) -> str:
    meant = "true" if text.lower() in {"yes", "on"} else "false"
    return f"{QUOTE}, or write {meant}"


def _integer(text: str) -> int:
    if len(text) > _LONGEST:
        raise DoubtError("this number is too long")
    return int(text)


def _radix(text: str) -> int:
    if len(text) > _LONGEST:
        raise DoubtError("this number is too long")
    return int(text, 0)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise DoubtError(f"`{text}` is too large for a number")
    return number
