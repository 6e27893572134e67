"""A graph drawn: as text for a terminal, as Mermaid for Markdown, as SVG for a page."""

from towpath.drawing.svg_drawing import svg
from towpath.drawing.text_drawing import mermaid, text

__all__ = ["mermaid", "svg", "text"]
