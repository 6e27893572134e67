"""`towpath search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.audit.version_search import SearchHits


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
    from towpath.audit.version_search import search_versions

    hits = search_versions(session.workspace.registry, expression, sort, limit)
    if as_json:
        return print_json("versions", _hit_documents(hits))
    if not hits.found:
        return session.say(f"none of {hits.searched} versions{_missing_versions_note(session)}")
    _hits_table(hits)
    left = f", {len(hits.found)} shown" if len(hits.found) < hits.total else ""
    session.say()
    return session.say(f"{hits.total} of {hits.searched} versions{left}")


def _missing_versions_note(session: Session) -> str:
    """What the search could not see, in a clone that lacks versions."""
    from towpath.backends.git import remotes

    shared = session.workspace.shared_registry
    missing = None if shared else remotes.explain_missing_tags(session.workspace.registry)
    return f": {missing}; `towpath fetch` brings the registry's tags" if missing else ""


def _hit_documents(hits: SearchHits) -> list[dict[str, Any]]:
    from towpath.cli.models import plain_version

    tables = ("params", "labels", "data")
    return [
        {
            **plain_version(version, hits.stages),
            **{table: version.summary.get(table, {}) for table in tables},
        }
        for version in hits.found
    ]


def _hits_table(hits: SearchHits) -> None:
    from towpath.cli.models import version_row

    columns = [name.removeprefix("metrics.") for name in hits.columns]
    rows = [
        version_row(version, hits.stages, values)
        for version, values in zip(hits.found, hits.values, strict=True)
    ]
    terminal.show_table(("version", *columns, "stages", "registered", "by"), rows, right=columns)
