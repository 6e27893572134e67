"""One section at the top of a YAML file, as text: a change of it leaves every other byte alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct, field

from towpath.documents import document_tree
from towpath.documents.document_tree import DocumentEntry
from towpath.documents.yaml_reader import parse_yaml
from towpath.documents.yaml_writer import dump_yaml


class YamlSection(Struct, frozen=True):
    """One top-level mapping of a YAML file as text: what stands before its entries, each entry's
    whole lines by its key, with the comments above it, and what stands after them."""

    before: str
    entries: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    indent: str = "  "

    def __str__(self) -> str:
        return self.before + "".join(self.entries.values()) + self.after

    def entry_block(self, name: str, entry: Any) -> str:
        lines = dump_yaml({name: entry}).splitlines(keepends=True)
        return "".join(f"{self.indent}{line}" if line.strip() else line for line in lines)


def read_section(text: str, key: str) -> YamlSection | None:
    """The section of a top-level key; a missing one is made at the end."""
    # None where the text is not plain block style: then only a YAML parser can change it.
    lines = (text.removesuffix("\n") + "\n").splitlines(keepends=True) if text else []
    node = parse_yaml(text, "").node
    if not isinstance(node, document_tree.Mapping):
        is_blank = all(is_aside(line) for line in lines)
        return YamlSection("".join(lines) + f"{key}:\n") if is_blank else None
    if not _is_block(node, lines):
        return None
    entry = node.get(key)
    if entry is None:
        return YamlSection("".join(lines) + f"{key}:\n")
    start, end = _find_lines(node, entry, lines)
    if lines[start - 1].partition("#")[0].rstrip() != f"{key}:":
        return None
    if not isinstance(entry.node, document_tree.Mapping):
        is_empty = end == start
        return YamlSection("".join(lines[:start]), {}, "".join(lines[start:])) if is_empty else None
    if not _is_block(entry.node, lines):
        return None
    return _cut_entries(lines, entry.node.entries, start, end)


def edit_section(
    text: str, key: str, change: Callable[[MutableMapping[str, Any]], None], name: str
) -> str:
    """A text after ``change`` was applied to a mapping that holds ``key`` alone, with what stands
    under it. A text whose section does not stand by itself, as in flow style, is changed whole;
    raises as ``edit_yaml``."""
    # ruamel takes a millisecond for four lines, and lays out anew what it writes: it is given these
    # alone.
    from towpath.documents.yaml_parser import edit_text

    lines = (text.removesuffix("\n") + "\n").splitlines(keepends=True)
    node = parse_yaml(text, name).node
    entry = node.get(key) if isinstance(node, document_tree.Mapping) else None
    if entry is None or not isinstance(node, document_tree.Mapping) or not _is_block(node, lines):
        return edit_text(text, change, name)
    start, end = _find_lines(node, entry, lines)
    section = edit_text("".join(lines[start - 1 : end]), change, name)
    edited = "".join(lines[: start - 1]) + section + "".join(lines[end:])
    # Where all is indented, or blank lines at a section's end are its value, it hangs on the rest.
    data = document_tree.plain_data(node)
    changed = {key: data[key]}
    change(changed)
    is_sound = document_tree.plain_data(parse_yaml(edited, name).node) == {**data, **changed}
    return edited if is_sound else edit_text(text, change, name)


def _find_lines(
    node: document_tree.Mapping, entry: DocumentEntry, lines: Sequence[str]
) -> tuple[int, int]:
    """The first and the last line of an entry at the top of a document, counted from 1."""
    start = entry.place.line
    after = (other.place.line - 1 for other in node.entries if other.place.line > start)
    # Comments at the left edge behind the last entry belong to none.
    return start, _back_over(lines, next(after, len(lines)), start, _is_outside)


def _cut_entries(
    lines: Sequence[str], entries: Sequence[DocumentEntry], start: int, end: int
) -> YamlSection:
    tops = [entry.place.line - 1 for entry in entries]
    # Comments and blank lines above an entry speak of it, and go with it.
    begins = [start, *(_back_over(lines, top, last + 1, is_aside) for last, top in pairwise(tops))]
    texts = ["".join(lines[a:b]) for a, b in pairwise([*begins, end])]
    keyed = dict(zip((entry.key for entry in entries), texts, strict=True))
    indent = " " * (entries[0].place.column - 1)
    return YamlSection("".join(lines[:start]), keyed, "".join(lines[end:]), indent)


def _is_block(node: document_tree.Mapping, lines: Sequence[str]) -> bool:
    places = [(entry.place.line, entry.place.column) for entry in node.entries]
    return bool(node.sound and places) and all(
        not lines[line - 1][: column - 1].strip() for line, column in places
    )


def is_aside(line: str) -> bool:
    """Whether a line is blank or holds a comment alone."""
    return not line.strip() or line.lstrip().startswith("#")


def _is_outside(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def _back_over(
    lines: Sequence[str], line: int, limit: int, is_passed: Callable[[str], bool]
) -> int:
    while line > limit and is_passed(lines[line - 1]):
        line -= 1
    return line
