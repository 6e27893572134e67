"""One top-level mapping of a YAML file as text, entry by entry.

`dvc.yaml` belongs to the user as much as to us, and `dvc.lock` can hold a thousand stages: what
is not ours passes through byte for byte, and nothing is parsed that is not looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_CONTENT = re.compile(r"^( *)([^\s#].*)$")
_ENTRY = re.compile(
    r"""^(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'\[\]{}&*!|>%@`?,-][^:#]*):(?=\s|$)"""
)


@dataclass(frozen=True)
class Section:
    """The text before the entries, each entry's text by its key, and the text after them.

    An entry's text is whole lines, with the comments that stand above it.
    """

    before: str
    entries: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    indent: str = "  "

    def __str__(self) -> str:
        return self.before + "".join(self.entries.values()) + self.after


def section(text: str, key: str) -> Section | None:
    """The section of a top-level key; a missing one is made at the end.

    None where the text is not plain block style: then only a YAML parser can change it.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if not _is_block(lines):
        return None
    start = next((i for i, line in enumerate(lines) if line.startswith(f"{key}:")), None)
    if start is None:
        return Section("".join(lines) + f"{key}:\n")
    if not re.fullmatch(rf"{key}:\s*(#.*)?", lines[start].rstrip()):
        return None
    end = _end(lines, start + 1)
    parts = _entries(lines[start + 1 : end])
    if parts is None:
        return None
    entries, indent = parts
    return Section("".join(lines[: start + 1]), entries, "".join(lines[end:]), indent)


def _is_block(lines: list[str]) -> bool:
    """Whether what stands at the left edge are keys and their lists: no marks of a merge."""
    edge = [line for line in lines if line.strip() and line[0] not in " #\t"]
    return all(_ENTRY.match(line) or line.startswith("- ") for line in edge)


def _end(lines: list[str], start: int) -> int:
    """Where the section ends: comments at the left edge belong to what follows."""
    end = next((i for i in range(start, len(lines)) if lines[i][0] not in " #\t\n\r"), len(lines))
    while end > start and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end


def _entries(lines: list[str]) -> tuple[dict[str, str], str] | None:
    found: dict[str, str] = {}
    waiting, name, indent = "", "", None
    for line in lines:
        content = _CONTENT.match(line)
        if content is None:  # blank, or a comment
            waiting += line
            continue
        indent = content[1] if indent is None else indent
        if len(content[1]) < len(indent) or not indent:
            return None
        if len(content[1]) == len(indent):
            key = _ENTRY.match(content[2])
            named = unquoted(key["key"]) if key else None
            if named is None or named in found:
                return None
            name = named
            found[name] = ""
        found[name] += waiting + line
        waiting = ""
    return found, indent or "  "


def unquoted(key: str) -> str | None:
    """A key as it is meant; None where only a parser of YAML can say (`"\\x41"`)."""
    if key.startswith('"'):
        try:
            said: str = json.loads(key)
        except ValueError:
            return None
        return said
    return key[1:-1].replace("''", "'") if key.startswith("'") else key.strip()


def lead(entry: str) -> str:
    """The comments and blank lines above an entry."""
    lines = entry.splitlines(keepends=True)
    count = next((i for i, line in enumerate(lines) if _CONTENT.match(line)), len(lines))
    return "".join(lines[:count])


def indented(text: str, indent: str) -> str:
    """Every line that says something, moved to the right."""
    return "".join(
        f"{indent}{line}" if line.strip() else line for line in text.splitlines(keepends=True)
    )
