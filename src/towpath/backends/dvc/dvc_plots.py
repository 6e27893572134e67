"""The `plots` at the top of `dvc.yaml`: DVC draws several columns of a file only from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from towpath import documents
from towpath.errors import DeclarationError, Fault, Place

_SHOWN = "dvc.yaml"
_OUTPUTS = "artifacts"  # the folder of what runs make: `pipeline.artifact_paths`


def merge_plots(text: str, pipeline: str, plots: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of `dvc.yaml` with these plots, by their names, in the place of those that draw
    several columns of a file that this pipeline makes; the user's own stay as they are written.

    Raises DeclarationError where `plots` is written in another way than line by line.
    """
    folder = f"{_OUTPUTS}/{pipeline}/"
    entry = _plots_entry(text)
    if entry is None:
        head = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{head}plots:\n{_dump_items(plots, '')}" if plots else text
    items = entry.node.items if isinstance(entry.node, documents.Sequence) else ()
    ours = [_is_below(documents.plain_data(item), folder) for item in items]
    if not plots and not any(ours):
        return text
    block = _read_block(text, entry.place.line, [item.place.line - 1 for item in items])
    kept = [item for item, is_ours in zip(block.items, ours, strict=True) if not is_ours]
    return block.write_with([*kept, _dump_items(plots, block.indent)])


class _PlotsBlock(Struct, frozen=True):
    """The lines of a `dvc.yaml`: those before `plots:`, those from it to its first entry, the
    entries, and what follows them."""

    before: Sequence[str]
    head: Sequence[str]
    items: Sequence[str]
    after: Sequence[str]

    @property
    def indent(self) -> str:
        """What stands before the dash of an entry."""
        first = self.items[0] if self.items else ""
        return first[: len(first) - len(first.lstrip())]

    def write_with(self, items: Sequence[str]) -> str:
        """The file with other entries; without `plots:` where there are none."""
        head = self.head if any(items) else ()
        return "".join([*self.before, *head, *items, *self.after])


def _read_block(text: str, top: int, begins: Sequence[int]) -> _PlotsBlock:
    """``top`` is the line of `plots:`, and ``begins`` those of its entries, counted from 0."""
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    is_block = all(lines[begin].lstrip().startswith("- ") for begin in begins)
    if not is_block or lines[top - 1].partition("#")[0].rstrip() != "plots:":
        raise DeclarationError(Fault("`plots` must be a list, an entry a line", Place(_SHOWN, top)))
    end = _end_of_list(text, top, len(lines)) if begins else top
    bounds = [*begins, end]
    items = ["".join(lines[begin:after]) for begin, after in pairwise(bounds)]
    return _PlotsBlock(lines[: top - 1], lines[top - 1 : bounds[0]], items, lines[end:])


def _plots_entry(text: str) -> documents.DocumentEntry | None:
    node = documents.parse_yaml(text, _SHOWN).node
    return node.get("plots") if isinstance(node, documents.Mapping) else None


def _end_of_list(text: str, top: int, count: int) -> int:
    """The line, counted from 0, at which the next key begins; behind the last one without any."""
    node = documents.parse_yaml(text, _SHOWN).node
    entries = node.entries if isinstance(node, documents.Mapping) else ()
    return min((e.place.line - 1 for e in entries if e.place.line > top), default=count)


def _dump_items(plots: Mapping[str, Mapping[str, Any]], indent: str) -> str:
    items: Sequence[Any] = [{name: dict(options)} for name, options in plots.items()]
    text = documents.dump_yaml(items) if items else ""
    return "".join(f"{indent}{line}" for line in text.splitlines(keepends=True))


def _is_below(item: Any, folder: str) -> bool:
    """Whether an entry is one of ours: it draws columns of a file that Towpath alone writes."""
    if not isinstance(item, dict) or len(item) != 1:
        return False
    (options,) = item.values()
    columns = options.get("y") if isinstance(options, dict) else None
    return isinstance(columns, dict) and all(
        str(path).startswith(folder) and isinstance(names, list) for path, names in columns.items()
    )
