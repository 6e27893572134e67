"""The card of a bundled model: what it takes and gives, what is in it, and how well it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from towpath.config.artifact import Json
from towpath.markdown_text import code_span, markdown_table
from towpath.steps.model_io.model_bundles import BundleDescription

_SHOWN = 5


def render_card(
    description: BundleDescription,
    pins: Mapping[str, str],
    samples: Sequence[Any],
    metrics: Mapping[str, Json],
    text: str,
) -> str:
    """The card as Markdown. ``text`` is the project's own; nothing here hangs on the day, so that
    the same model has the same card."""
    lines = ["# Model card", "", *([text, ""] if text else [])]
    signature = description.signature
    for title, side in (("What it takes", "inputs"), ("What it gives", "outputs")):
        columns: Any = signature[side]
        rows = [(column["name"], column["type"]) for column in columns]
        lines += _table_lines(title, ("column", "type"), rows)
    if classes := signature.get("classes"):
        shown_classes = ", ".join(map(code_span, classes))  # type: ignore[arg-type]
        lines += [f"Its classes are {shown_classes}.", ""]
    lines += ["## How", "", *_way_lines(description), ""]
    if rows := [(n, f"{v:.6g}") for n, v in metrics.items() if isinstance(v, int | float)]:
        lines += _table_lines("How well it did", ("metric", "value"), rows)
    shown = [(str(sample["inputs"]), str(sample["expected"])) for sample in samples[:_SHOWN]]
    lines += _table_lines("Samples", ("of the row", "it predicts"), shown)
    packages = ", ".join(f"{name} {version}" for name, version in sorted(pins.items()))
    return "\n".join([*lines, f"Made with Python {description.python}; {packages}.", ""])


def _way_lines(description: BundleDescription) -> Iterator[str]:
    if description.predict:
        loaded = f", on what `{description.load.full_name}` gives" if description.load else ""
        yield f"`{description.predict.full_name}` predicts{loaded}. Its parts:"
    else:
        links = (link if isinstance(link, str) else link.full_name for link in description.chain)
        yield "Rows go through " + ", ".join(f"`{link}`" for link in links) + ". Its parts:"
    yield ""
    for name, part in description.parts.items():
        yield f"- `{name}`: {part.path}"
    for name in description.values:
        yield f"- `{name}`: a value"


def _table_lines(
    title: str, head: tuple[str, str], rows: Sequence[tuple[str, str]]
) -> Iterator[str]:
    cells = [(code_span(first), code_span(second)) for first, second in rows]
    yield from (f"## {title}", "", markdown_table(head, cells), "")
