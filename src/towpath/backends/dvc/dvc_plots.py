"""The `plots` at the top of `dvc.yaml`: DVC draws several columns of a file only from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

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
    node = documents.parse_yaml(text, _SHOWN).node
    entries = node.entries if isinstance(node, documents.Mapping) else ()
    entry = next((entry for entry in entries if entry.key == "plots"), None)
    if entry is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}plots:\n{_dump_items(plots, '')}" if plots else text
    items = entry.node.items if isinstance(entry.node, documents.Sequence) else ()
    ours = [_is_below(documents.plain_data(item), folder) for item in items]
    if not plots and not any(ours):
        return text
    lines = f"{text.removesuffix(chr(10))}\n".splitlines(keepends=True)
    # Lines are counted from 0 here; the list goes on until the next key.
    top, begins = entry.place.line - 1, [item.place.line - 1 for item in items]
    _refuse_other_style(lines, top, begins)
    after = (other.place.line - 1 for other in entries if other.place.line > entry.place.line)
    end = min(after, default=len(lines)) if begins else top + 1
    blocks = ["".join(lines[begin:stop]) for begin, stop in pairwise([*begins, end])]
    indent = blocks[0][: -len(blocks[0].lstrip())] if blocks else ""
    kept = [block for block, is_ours in zip(blocks, ours, strict=True) if not is_ours]
    rows = [*kept, _dump_items(plots, indent)]
    head = lines[top : min(begins, default=end)] if any(rows) else []
    return "".join([*lines[:top], *head, *rows, *lines[end:]])


def _refuse_other_style(lines: Sequence[str], top: int, begins: Sequence[int]) -> None:
    is_block = all(lines[begin].lstrip().startswith("- ") for begin in begins)
    if not is_block or lines[top].partition("#")[0].rstrip() != "plots:":
        place = Place(_SHOWN, top + 1)
        raise DeclarationError(Fault("`plots` must be a list, an entry a line", place))


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
