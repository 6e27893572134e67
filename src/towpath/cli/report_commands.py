"""`towpath report`: a run or a version as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.reports.run_report import Report


@click.command()
@click.argument("word", metavar="RUN|MODEL@V|MODEL#STAGE", default="last")
@click.option(
    "-o", "--file", "to", type=click.Path(), metavar="FILE",
    help="Where it goes (default: here, named after what it tells of).",
)  # fmt: skip
@json_option
@pass_session
def report(session: Session, word: str, to: str | None, as_json: bool) -> None:
    """Write one page of HTML about a run (default: `last`) or a version: graph, parameters,
    metrics, curves, checks, plots, logs and lineage.

    The page needs nothing from elsewhere and holds no script, so it can be sent and kept.
    """
    from towpath.execution.output_copies import is_version
    from towpath.execution.run_folders import find_run
    from towpath.reports.run_report import report_run
    from towpath.reports.version_report import report_version

    workspace = session.workspace
    if is_version(word):
        page = report_version(workspace, word)
        name = page.title.replace("@", "-")
    else:
        run = find_run(workspace.runs, word)
        page, name = report_run(workspace, run), run.id
    place_page(session, page, to or f"report-{name}.html", as_json)


def place_page(session: Session, page: Report, to: str, as_json: bool) -> None:
    """Write a page, and say where it is."""
    from towpath.reports import charts
    from towpath.reports.page import write_page

    path = session.working_folder / Path(to)
    write_page(page, path)
    if as_json:
        return print_json("report", {"title": page.title, "path": str(path)})
    session.say(f"{page.title} is in {to}")
    if not charts.can_draw() and any(section.charts for section in page.sections):
        session.say(f"its charts are tables: {charts.INSTALL} draws them")
    return None
