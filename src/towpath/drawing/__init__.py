"""A graph drawn: as text for a terminal, as Mermaid for Markdown, as SVG for a page."""

from towpath.drawing.picture import mermaid, text
from towpath.drawing.svg_drawing import svg

__all__ = ["mermaid", "svg", "text"]
