"""The forms in which programs print a secret: what is looked for in logs, errors and outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

LONG_SECRET = 8
"""Characters from which on a secret stands in no other word by chance: a shorter one is hidden only
where it stands by itself."""


def secret_forms(value: str) -> set[str]:
    """A secret as programs print it: as it is, quoted for an address, a page, JSON or Python, in
    Base64 and in hexadecimal, by itself and inside of more, and of several lines each that tells
    something."""
    import html  # each command imports this module, and few have a secret
    import json

    lines = {line.strip() for line in value.splitlines() if len(line.strip()) >= LONG_SECRET}
    forms = {value, value.strip(), *lines}
    for text in tuple(forms):
        quoted = {quote(text, safe=""), quote(text), quote_plus(text)}
        forms |= quoted | {re.sub("%..", lambda code: code[0].lower(), form) for form in quoted}
        forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        forms |= {repr(text)[1:-1], repr(text.encode())[2:-1]}
        forms |= {html.escape(text), html.escape(text, quote=False)}
        if len(text) >= LONG_SECRET:
            forms |= {text.encode().hex(), text.encode().hex().upper(), *_base64_forms(text)}
    return {form for form in forms if form}


def _base64_forms(text: str) -> Iterator[str]:
    """A secret in Base64, and what is left of it in that of a longer text, such as
    ``user:secret``: three bytes are four letters, so it depends on how many bytes stand before."""
    import base64

    content = text.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(content).decode()
        yield from (encoded, encoded.rstrip("="))
        for before, mixed in ((0, 0), (1, 2), (2, 3)):
            whole = (before + len(content)) % 3 == 0
            inside = encode(b"\0" * before + content).decode().rstrip("=")
            yield inside[mixed:] if whole else inside[mixed:-1]
