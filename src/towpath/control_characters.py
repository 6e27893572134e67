"""Characters that act instead of being read, made visible: escapes, overwriting, bidi, no width.

Names, reasons, metrics, logs and messages come from strangers, and a terminal, a JSON reader, a
Markdown page and a CI runner each obey some characters in them. What is told here is the same for
all: which characters those are, and how they are spelled so that a person sees that they are there.
"""

from __future__ import annotations

import json
import re
import unicodedata
from html import escape

#: Printable for Python, and seen by nobody: fillers of scripts, which hide in a name.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0]")
#: The runner of GitHub Actions obeys a line that begins so, and its older form anywhere in a line;
#: Azure's and TeamCity's are of the older form.
_COMMAND = re.compile(r"^[^\S\n]*(?=::)|#(?=#\w*\[)", re.MULTILINE)


def is_visible(text: str) -> bool:
    """Whether a person sees every character of a text, blanks but the plain one left aside."""
    return text.isprintable() and not (_BLANK.search(text) if not text.isascii() else None)


def is_hidden(letter: str) -> bool:
    """Whether a character acts or is not seen; blanks of any width are seen as blanks."""
    if letter.isprintable():
        return bool(_BLANK.match(letter))
    return unicodedata.category(letter) != "Zs"


def show_controls(text: str, kept: str = "") -> str:
    """Text in which nothing acts and nothing hides: ``ESC`` is ``␛``, U+202E is ``\\u202e``.

    ``kept`` are characters that stay, such as the newlines of a block.
    """
    if is_visible(text):
        return text
    return "".join(
        letter if letter in kept or not is_hidden(letter) else _spell_letter(letter)
        for letter in text
    )


def escape_json(document: str) -> str:
    """A JSON document whose strings hold no such character, nor what a CI runner obeys; a reader
    gets the same values from it. Newlines may stand between its parts."""
    plain = re.sub(r"##(?=\w*\[)", r"#\\u0023", document)
    if is_visible(plain):
        return plain
    return "".join(
        json.dumps(letter)[1:-1] if letter != "\n" and is_hidden(letter) else letter
        for letter in plain
    )


def disarm_commands(text: str) -> str:
    """Text of which a CI runner takes no line for a command (``::error``, ``##[error]``)."""
    return _COMMAND.sub(r"\g<0>\\", text)


def _spell_letter(letter: str) -> str:
    code = ord(letter)
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    if code == 0x7F:
        return "␡"
    return f"\\x{code:02x}" if code < 0x100 else letter.encode("ascii", "backslashreplace").decode()


def escape_markup(text: str, kept: str = "") -> str:
    """A stranger's text inside HTML or SVG, between tags and in attributes: it acts nowhere."""
    return escape(show_controls(text, kept))
