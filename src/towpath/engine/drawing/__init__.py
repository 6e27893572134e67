"""A graph drawn: as text for a terminal, as Mermaid for Markdown, as SVG for a page."""

from towpath.engine.drawing.mermaid import mermaid
from towpath.engine.drawing.svg import svg
from towpath.engine.drawing.text import text

__all__ = ["mermaid", "svg", "text"]
