"""Data to YAML: block style, keys in the order given, no aliases, the same bytes for ever.

Records are compared and signed by their bytes, so they may not depend on the release of an
emitter; what is written here is read alike by readers of YAML 1.1 and 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from towpath.documents.document_tree import stays_text

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump_yaml(data: Any) -> str:
    """Mappings, lists, text, numbers, booleans and None as YAML; raises TypeError for others."""
    return "\n".join(_block_lines(data, "")) + "\n"


def _block_lines(data: Any, indent: str) -> Iterator[str]:
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            if not isinstance(key, str):
                raise TypeError(f"a key must be text, not {key!r}")
            yield from _entry_lines(f"{indent}{_scalar_text(key)}:", value, indent)
    elif _is_list(data) and data:
        for item in data:
            yield from _item_lines(item, indent)
    else:
        yield f"{indent}{_flow_text(data)}"


def _entry_lines(head: str, value: Any, indent: str) -> Iterator[str]:
    if _is_block(value):
        yield head
        yield from _block_lines(value, f"{indent}  ")
    elif _is_literal(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        for line in value.removesuffix("\n").split("\n"):
            yield f"{indent}  {line}" if line else ""
    else:
        yield f"{head} {_flow_text(value)}"


def _item_lines(item: Any, indent: str) -> Iterator[str]:
    if not _is_block(item):
        yield f"{indent}- {_flow_text(item)}"
        return
    lines = _block_lines(item, f"{indent}  ")  # `- ` takes the place of the first one's indentation
    yield f"{indent}- {next(lines)[len(indent) + 2 :]}"
    yield from lines


def _is_list(data: Any) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, str | bytes)


def _is_block(data: Any) -> bool:
    return bool(data) and (isinstance(data, Mapping) or _is_list(data))


def _is_literal(value: Any) -> bool:
    # A literal block is for people to read: only of lines that stay what they are in it. A reader
    # takes its indentation from the first one, and cuts blanks and empty lines off the end.
    if not isinstance(value, str) or "\n" not in value.rstrip("\n"):
        return False
    lines = value.removesuffix("\n").split("\n")
    whole = lines[0] != "" and lines[-1] != "" and not lines[0].startswith(" ")
    return whole and all(line.isprintable() and line == line.rstrip() for line in lines)


def _flow_text(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return _float_text(value)
        case str():
            return _scalar_text(value)
        case Mapping():
            return "{}"
        case Sequence() if not isinstance(value, bytes):
            return "[]"
    raise TypeError(f"{type(value).__name__} cannot be written as YAML")


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        raise TypeError(f"{value} cannot be written as YAML")
    text = repr(float(value))
    # YAML 1.1 takes 1e-05 for text: it wants a point, and a sign in the exponent.
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}"


def _scalar_text(text: str) -> str:
    return text if stays_text(text) else f'"{"".join(map(_escape_sign, text))}"'


def _escape_sign(sign: str) -> str:
    """A character inside double quotes (YAML 1.2, section 5.7)."""
    if sign in _ESCAPES:
        return _ESCAPES[sign]
    if sign.isprintable():
        return sign
    code = ord(sign)
    if 0xD800 <= code <= 0xDFFF:
        raise TypeError("half a surrogate pair cannot be written as YAML")
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
