"""Pages written as HTML, and the files that they need: everything that a stranger wrote is escaped,
and acts nowhere."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from msgspec import Struct

from towpath import __version__
from towpath.control_characters import show_controls
from towpath.quantities import readable_size
from towpath.studio import (
    bound_bar,
    graph_view,
    log_markup,
    shown_values,
    svg_charts,
    svg_time_line,
)

if TYPE_CHECKING:
    from markdown_it.token import Token

    from towpath.studio.pages.page_kind import PageKind
    from towpath.studio.pages.run_axes import PointChart
    from towpath.studio.project_facts import ProjectFacts

# What a page of a file may do, as far as a page itself can say it: the server's has more. A file
# of a folder is of no origin, so that 'self' alone would not be enough there.
SITE_POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file:; "
    "form-action 'none'; base-uri 'none'"
)
# Of a page that shows what a step made: a page of HTML in an attribute has the policy of ours, too.
_OUTPUT_POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data:; font-src data:; form-action 'none'; base-uri 'none'"
)
SECTIONS = ("home", "pipelines", "runs", "models", "data", "promotions")


#: The files that pages need beside themselves, each known by its digest.
ASSETS = Path(str(resources.files("towpath.studio").joinpath("assets")))


def asset_digest(name: str) -> str:
    """Twelve letters that stand for what a file holds; "" where there is no such file."""
    path = ASSETS / name
    try:
        return _digest_at(path, path.stat().st_mtime_ns)
    except OSError:
        return ""


@functools.lru_cache(maxsize=64)
def _digest_at(path: Path, _: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


class PagePlace(Struct, frozen=True):
    """Where a page stands, so that its links are relative: a site works from a folder, below a
    path, and on a server alike. ``is_static`` is a site of files, without forms and streams;
    ``form_token`` is what a form of this server holds, and no other page knows; ``actor`` is who
    acts, where that is not whom the server runs as; ``command`` tells the same in a terminal."""

    path: str
    is_static: bool = False
    form_token: str = ""
    actor: str = ""
    command: str = ""

    def link_to(self, address: str) -> str:
        """The address of a page or an asset, such as ``runs/``, as this page names it."""
        path, _, query = address.partition("?")
        up = "../" * self.path.count("/")
        shown = up + quote(path)
        if self.is_static and (path.endswith("/") or not path):
            return shown + "index.html"
        if not self.is_static and path.startswith("assets/"):
            return f"{shown}?v={asset_digest(path.removeprefix('assets/'))}"
        return (shown or "./") + (f"?{query}" if query and not self.is_static else "")


def render_studio_page(kind: PageKind, facts: ProjectFacts, view: Any, place: PagePlace) -> str:
    """A whole page."""
    return _render_template(kind.template, kind.section, facts, place, {"view": view})


def render_outcome(facts: ProjectFacts, view: Any, place: PagePlace) -> str:
    """The page that says how an action ended."""
    return _render_template("outcome", "", facts, place, {"view": view})


def render_missing(
    facts: ProjectFacts, what: str, place: PagePlace, is_unknown: bool = False
) -> str:
    """The page for what is not there; ``is_unknown`` where that cannot be told, as something else
    could not be read."""
    return _render_template("missing", "", facts, place, {"view": what, "is_unknown": is_unknown})


def _render_template(
    template: str, section: str, facts: ProjectFacts, place: PagePlace, values: Mapping[str, Any]
) -> str:
    page: str = (
        _template_environment()
        .get_template(f"{template}.html.jinja")
        .render(
            section=section,
            facts=facts,
            place=place,
            link=place.link_to,
            query=_write_query,
            draw=lambda picture, looks, zoom="": Markup(
                graph_view.draw_graph(picture, looks, place.link_to, zoom)
            ),
            draw_curves=lambda chart: Markup(
                svg_charts.draw_curves(chart.lines, chart.x_label, chart.title, chart.most_points)
            ),
            draw_parallel=lambda chart: Markup(
                svg_charts.draw_parallel(chart.axes, chart.rows, chart.best, chart.shades)
            ),
            draw_time_line=lambda spans: Markup(svg_time_line.draw_time_line(spans)),
            draw_points=functools.partial(_draw_points, place),
            draw_bound=lambda bounded: Markup(bound_bar.draw_bound(bounded)),
            version=__version__,
            site_policy=_OUTPUT_POLICY if template == "step_output" else SITE_POLICY,
            # A stranger's page for an attribute in double quotes, each character of it as it is.
            show_shut_off=lambda page: Markup(escape(page)),
            **values,
        )
    )
    return page


def _draw_points(place: PagePlace, chart: PointChart) -> Markup:
    # Hundreds of links are no way through a page: their runs are links in its table.
    few = chart.points if len(chart.points) <= svg_charts.FEW else ()
    links = {run: place.link_to(f"runs/{run}/") for run in few}
    return Markup(
        svg_charts.draw_points(chart.points, links, chart.x_label, chart.y_label, chart.shades)
    )


def _write_query(**values: Any) -> str:
    """``a=1&b=2`` without what is empty; a list is a name several times."""
    return urlencode({name: value for name, value in values.items() if value}, doseq=True)


@functools.cache
def _template_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("towpath.studio", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        moment=shown_values.show_time,
        number=shown_values.show_number,
        person=shown_values.show_person,
        size=readable_size,
        markdown=_write_markdown,
        log_lines=log_markup.draw_log_lines,
    )
    return environment


def compile_templates() -> Iterator[str]:
    """Compile the templates, and name each: some take 50 ms, and the pages that need them less."""
    environment = _template_environment()
    for name in environment.list_templates(["jinja"]):
        environment.get_template(name)
        yield name


def _show_text(value: Any) -> Any:
    """Text in which no character acts, before it is escaped; what we wrote ourselves stays."""
    if value is None:
        return ""
    return value if isinstance(value, Markup) else show_controls(str(value), kept="\n\t")


def _write_markdown(text: str) -> Markup:
    from markdown_it import MarkdownIt

    # Without HTML: whatever stands in it is shown, never obeyed. Pictures are requests elsewhere.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(show_controls(text, kept="\n\t"))
    for token in tokens:  # a column's side is a style, which no page lets in: a class says it
        if str(token.attrs.pop("style", "")).endswith("right"):
            token.attrSet("class", "num")
        if token.tag[:1] == "h" and token.tag[1:].isdigit():  # below the page's own headings
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
    _mark_links(tokens)
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))


def _mark_links(tokens: Iterable[Token]) -> None:
    """No link of a stranger's text tells where it was clicked."""
    for token in tokens:
        if token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer nofollow")
        _mark_links(token.children or ())
