"""The card of a bundled model: what it takes and gives, what is in it, and how well it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from towpath.config.artifact import Json
from towpath.markdown_text import code_span, markdown_table
from towpath.steps.model_io.model_bundles import BundleDescription

_SHOWN = 5


class CardContent(Struct, frozen=True):
    """What a card tells. ``text`` is the project's own; nothing here hangs on the day, so that the
    same model has the same card."""

    description: BundleDescription
    pins: Mapping[str, str]
    samples: Sequence[Any]
    metrics: Mapping[str, Json]
    text: str = ""


def render_card(content: CardContent) -> str:
    """The card as Markdown."""
    return "\n".join(_card_lines(content)).rstrip() + "\n"


def _card_lines(content: CardContent) -> Iterator[str]:
    yield from ("# Model card", "")
    if content.text:
        yield from (content.text, "")
    signature = content.description.signature
    for title, side in (("What it takes", "inputs"), ("What it gives", "outputs")):
        columns: Any = signature[side]
        rows = [(column["name"], column["type"]) for column in columns]
        yield from _table_lines(title, ("column", "type"), rows)
    if classes := signature.get("classes"):
        yield from (f"Its classes are {_listed(classes)}.", "")
    yield from ("## How", "", *_way_lines(content.description), "")
    numbers = {n: v for n, v in content.metrics.items() if isinstance(v, int | float)}
    if numbers:
        rows = [(name, f"{number:.6g}") for name, number in numbers.items()]
        yield from _table_lines("How well it did", ("metric", "value"), rows)
    samples = content.samples[:_SHOWN]
    shown = [(str(sample["inputs"]), str(sample["expected"])) for sample in samples]
    yield from _table_lines("Samples", ("of the row", "it predicts"), shown)
    packages = ", ".join(f"{name} {version}" for name, version in sorted(content.pins.items()))
    yield from (f"Made with Python {content.description.python}; {packages}.", "")


def _listed(values: Any) -> str:
    return ", ".join(code_span(value) for value in values)


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
