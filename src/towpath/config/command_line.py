"""A command with ``{name}`` in it: the words of one program, or a script for a shell."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from msgspec import Struct

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|(?P<stray>[{}])")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SINGLE_QUOTED = re.compile(r"'[^']*'|\\.", re.DOTALL)
_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_OPERATOR = re.compile(r"&&|\|\||[|<>;&`\n]|(?<!\S)~(?=/|\s|$)|[*?]")
_EXPANSION = re.compile(r"\$[\w({]\w*|`")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_SHELL_HINT = "write `shell: true`, or put it in quotes where the program shall have it"


class Placeholder(Struct, frozen=True):
    """The place of an input's or output's path, or of a parameter's value."""

    name: str


Word: TypeAlias = tuple[str | Placeholder, ...]


class UnfitCommand(ValueError):  # what and hint, for a fault whose place the caller knows
    """A command that cannot be what it is meant to be; ``hint`` says what to write."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.hint = hint


class CommandLine(Struct, frozen=True):
    """The words of a program; with ``shell`` one word, which is a script."""

    words: tuple[Word, ...]
    shell: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        parts = (part for word in self.words for part in word)
        return tuple(dict.fromkeys(p.name for p in parts if isinstance(p, Placeholder)))

    @property
    def literal_words(self) -> tuple[str | None, ...]:
        """The words that are known before a run; None for one with a placeholder. A script's are
        what stands between blanks and signs of the shell, as far as reading tells."""
        if not self.shell:
            holes = [any(isinstance(p, Placeholder) for p in word) for word in self.words]
            texts = ["".join(map(str, word)) for word in self.words]
            return tuple(None if hole else text for hole, text in zip(holes, texts, strict=True))
        text = "".join(part if isinstance(part, str) else " " for part in self.words[0])
        return tuple(re.findall(r"[\w./+@-]+", text))

    def fill(self, values: Mapping[str, Any]) -> list[str]:
        """The program's arguments. A list that is a word by itself is as many words as it has
        items; in a script each value is quoted for the shell."""
        if self.shell:
            filled = (
                part if isinstance(part, str) else shlex.join(_value_texts(values[part.name]))
                for part in self.words[0]
            )
            return ["".join(filled)]
        return [argument for word in self.words for argument in _fill_word(word, values)]


def parse_command(command: str | Sequence[str], shell: bool = False) -> CommandLine:
    """The command as declared; UnfitCommand where quotes are open, a brace names nothing, or a
    sign of the shell stands in a command that no shell reads."""
    if shell:
        if not isinstance(command, str):
            raise UnfitCommand("a list is one program's words, which no shell reads", "write text")
        return CommandLine((_parse_script(command),), shell=True)
    words = _split_words(command) if isinstance(command, str) else list(command)
    if not words or not words[0].strip():
        raise UnfitCommand("the command is empty", "write `command: python scripts/clean.py ...`")
    if isinstance(command, str) and _ASSIGNMENT.match(words[0]):
        hint = f"write `env {words[0]} ...`, or `shell: true`"
        raise UnfitCommand(f"`{words[0]}` is no program: it sets a variable, as a shell does", hint)
    return CommandLine(tuple(_parse_parts(word) for word in words))


def _split_words(text: str) -> list[str]:
    text = re.sub(r"\\\n\s*", " ", text.strip())
    # A shell expands `$x` within double quotes too, so only single ones are taken out for that.
    expansion = _EXPANSION.search(_SINGLE_QUOTED.sub("", text))
    sign = expansion or _OPERATOR.search(_QUOTED.sub("", text))
    if sign and sign[0] == "\n":
        hint = "write `shell: true` for a script, `>-` behind the key for one long line"
        raise UnfitCommand("the command has several lines, and no shell reads it", hint)
    if sign:
        raise UnfitCommand(f"`{sign[0]}` is for a shell, and none reads the command", _SHELL_HINT)
    try:
        return shlex.split(text)
    except ValueError:
        raise UnfitCommand("a quotation mark is not closed in the command") from None


def _parse_script(text: str) -> Word:
    if not text.strip():
        raise UnfitCommand("the command is empty", "write the script")
    parts = _parse_parts(text)
    before = ""
    for part in parts:
        if isinstance(part, str):
            before += part
        elif is_inside_quotes(before):
            what = f"`{{{part.name}}}` stands in quotes, in which its own quotes would end them"
            raise UnfitCommand(what, f"write {{{part.name}}} outside of them: it is quoted for you")
    return parts


def is_inside_quotes(text: str) -> bool:
    """Whether a shell that has read this is within quotes."""
    return any(sign in _QUOTED.sub("", text) for sign in "'\"")


def _parse_parts(text: str) -> Word:
    parts: list[str | Placeholder] = []
    end = 0
    for match in _PIECE.finditer(text):
        parts += [text[end : match.start()], _parse_part(match)]
        end = match.end()
    parts.append(text[end:])
    return tuple(_join_texts(parts))


def _join_texts(parts: list[str | Placeholder]) -> Iterator[str | Placeholder]:
    for is_text, group in groupby(parts, key=lambda part: isinstance(part, str)):
        if not is_text:
            yield from group
        elif text := "".join(map(str, group)):
            yield text


def _parse_part(match: re.Match[str]) -> str | Placeholder:
    if match["stray"]:
        raise UnfitCommand(f"a `{match['stray']}` stands alone", "double it to have it as it is")
    if match["name"] is None:
        return match[0][0]
    if not _NAME.fullmatch(match["name"]):
        hint = f"write `{{{{{match['name']}}}}}` to have the braces as they are"
        raise UnfitCommand(f"`{match[0]}` holds no name of an input, parameter or output", hint)
    return Placeholder(match["name"])


def _fill_word(word: Word, values: Mapping[str, Any]) -> list[str]:
    if len(word) == 1 and isinstance(word[0], Placeholder):
        return _value_texts(values[word[0].name])
    return ["".join(p if isinstance(p, str) else _value_text(values[p.name]) for p in word)]


def _value_texts(value: Any) -> list[str]:
    return [_value_text(item) for item in (value if isinstance(value, list | tuple) else [value])]


def _value_text(value: Any) -> str:
    # As JSON, so that true is `true` to a program of any language, and no `True`.
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
