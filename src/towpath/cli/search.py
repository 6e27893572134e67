"""`towpath search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.audit.version_search import Hits


@click.command()
@click.argument("expression")
@click.option("--sort", metavar="FACT", help="Order by a fact; `--sort=-mse`: the highest first.")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="At most so many.")
@json_option
@pass_session
def search(
    session: Session, expression: str, sort: str | None, limit: int | None, as_json: bool
) -> None:
    """Find versions of any model: `metrics.mse < 5 and stage == "prod"`.

    Facts: metrics.NAME, params.NAME, labels.NAME, data.NAME (the name alone where it is clear),
    model, version, stage, author, time, rejected, pipeline, run, kind, size, code, bump.
    """
    from towpath.audit.version_search import search as find

    found = find(session.workspace.registry, expression, sort, limit)
    if as_json:
        return print_json("versions", _hits(found))
    if not found.found:
        return session.say(f"none of {found.searched} versions{_missing(session)}")
    _hits_table(found)
    left = f", {len(found.found)} shown" if len(found.found) < found.total else ""
    session.say()
    return session.say(f"{found.total} of {found.searched} versions{left}")


def _missing(session: Session) -> str:
    """What the search could not see, in a clone that lacks versions."""
    from towpath.backends.git import remotes

    shared = session.workspace.shared_registry
    missing = None if shared else remotes.view(session.workspace.registry)
    return f": {missing}; `towpath fetch` brings the registry's tags" if missing else ""


def _hits(found: Hits) -> list[dict[str, Any]]:
    from towpath.cli.models import plain

    tables = ("params", "labels", "data")
    return [
        {**plain(one, found.stages), **{table: one.summary.get(table, {}) for table in tables}}
        for one in found.found
    ]


def _hits_table(found: Hits) -> None:
    from towpath.cli.models import row

    columns = [name.removeprefix("metrics.") for name in found.columns]
    rows = [
        row(version, found.stages, values)
        for version, values in zip(found.found, found.values, strict=True)
    ]
    terminal.show(("version", *columns, "stages", "registered", "by"), rows, right=columns)
