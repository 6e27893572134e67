"""`towpath search`, `history`, `lineage`, `verify` and `reproduce`: what was, and is it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli.session import Session, interactive, json_option, pass_session, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from towpath.audit.approving import Approved
    from towpath.audit.history import Entry, Moment
    from towpath.audit.lineage import Lineage
    from towpath.audit.reproduce import Difference, Reproduced
    from towpath.audit.search import Hits
    from towpath.audit.verify import Verified
    from towpath.cli.terminal import Cell


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
    from towpath.audit.search import search as find

    found = find(session.workspace.registry, expression, sort, limit)
    if as_json:
        return print_json("versions", _hits(found))
    if not found.found:
        return session.say(f"none of {found.searched} versions")
    _hits_table(found)
    left = f", {len(found.found)} shown" if len(found.found) < found.total else ""
    return session.say(f"\n{found.total} of {found.searched} versions{left}")


def _hits(found: Hits) -> list[dict[str, Any]]:
    from towpath.cli.models import plain

    tables = ("params", "labels", "data")
    return [
        {**plain(one, found.stages), **{table: one.summary.get(table, {}) for table in tables}}
        for one in found.found
    ]


def _hits_table(found: Hits) -> None:
    from towpath.cli import terminal
    from towpath.cli.models import row

    columns = [name.removeprefix("metrics.") for name in found.columns]
    rows = [
        row(version, found.stages, values)
        for version, values in zip(found.found, found.values, strict=True)
    ]
    terminal.show(("version", *columns, "stages", "registered", "by"), rows, right=columns)


@click.command()
@click.argument("reference")
@click.option("--keep", metavar="DIR", help="Do it in this new folder, and leave it there.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-9,
    show_default=True,
    help="By which share a metric may differ.",
)
@json_option
@pass_session
def reproduce(
    session: Session, reference: str, keep: str | None, tolerance: float, as_json: bool
) -> int:
    """Make a version again: its commit, data and parameters, in a scratch work tree.

    Says whether the model is equal to the last byte, equal in its metrics, or in what it differs.
    """
    from towpath.audit.reproduce import reproduce as make_again

    folder = (session.here / keep) if keep else None
    if as_json or session.quiet:
        done = make_again(session.workspace, reference, tolerance, folder)
    else:
        from towpath.cli.progress import LiveProgress, PlainProgress

        with LiveProgress() if interactive() else PlainProgress() as progress:
            done = make_again(session.workspace, reference, tolerance, folder, [progress])
    if as_json:
        print_json("reproduction", done)
    else:
        _say_reproduced(session, done)
    return 3 if done.verdict == "different" else 0


def _say_reproduced(session: Session, done: Reproduced) -> None:
    from towpath.cli import terminal

    said = {
        "bytes": ("green", "byte for byte the same", f"sha256 {done.sha256}"),
        "metrics": ("green", "the same metrics", f"within {done.tolerance:g}, other bytes"),
        "different": ("red", "not the same", "other bytes, other metrics"),
    }
    colour, words, detail = said[done.verdict]
    click.echo(f"{done.version}: {click.style(words, fg=colour, bold=True)} ({detail})")
    differences = [*_rows("metric", done.differences), *_rows("", done.environment)]
    if differences:
        terminal.show(("", "name", "recorded", "now"), differences)
    if done.folder:
        session.say(f"kept in {done.folder}; `git worktree remove --force` takes it away")


def _rows(section: str, found: tuple[Difference, ...]) -> list[tuple[str, ...]]:
    from towpath.cli import terminal

    def shown(value: object) -> str:
        return repr(value) if isinstance(value, float) else terminal.brief(value)

    return [(section or "package", d.name, shown(d.recorded), shown(d.now)) for d in found]


@click.command()
@click.argument("model")
@click.option("--stage", help="Only this stage.")
@click.option(
    "--at", "when", metavar="DATE", help="What was there at the end of this day, or then."
)
@click.option("--offline", is_flag=True, help="Ask no forge: Git alone answers.")
@json_option
@pass_session
def history(
    session: Session, model: str, stage: str | None, when: str | None, offline: bool, as_json: bool
) -> None:
    """Say what each stage ran of MODEL, since when, and who let it in at which level.

    It is derived from the merged stage files; DATE is 2026-03-01 (the end of that day) or
    2026-03-01T14:30:00Z, in UTC.
    """
    from towpath.audit import history as told

    entries = told.history(session.workspace, model, stage, forge=not offline)
    if when:
        moments = told.at(session.workspace, entries, when)
        if as_json:
            return print_json("moments", moments)
        return _moments(session, model, when, moments)
    if as_json:
        return print_json("history", entries)
    if not entries:
        where = f"in {stage}" if stage else "in any stage"
        return session.say(f"{model} never was {where}; `towpath promote` takes it there")
    return _history_table(entries)


def _history_table(entries: Sequence[Entry]) -> None:
    from towpath.cli import terminal

    heads = ("version", "stage", "merged", "approved", "review", "runs since", "sha256", "evidence")
    terminal.show(heads, [_history_row(entry) for entry in reversed(entries)])


def _history_row(entry: Entry) -> list[Cell]:
    from towpath.cli import terminal

    style = "bold" if entry.until is None and entry.version else "dim"
    struck = " strike" if entry.rejected is not None else ""
    shown = terminal.Styled(_what(entry), f"{style}{struck}")
    return [
        shown,
        entry.stage,
        entry.merged,
        _approved(entry.approval),
        entry.pull_request or entry.commit[:7],
        entry.entered or "—",
        terminal.brief(entry.sha256),
        entry.evidence or "—",
    ]


def _what(entry: Entry) -> str:
    if entry.fault:
        return f"{entry.model} (unreadable)"
    return f"{entry.model}@{entry.version}" if entry.version else f"{entry.model} taken out"


def _approved(approval: Approved) -> str:
    names = ", ".join(person.partition(" <")[0] for person in approval.by)
    return f"{approval.level}: {names}" if names else approval.level


def _moments(session: Session, model: str, when: str, moments: Sequence[Moment]) -> None:
    from towpath.cli.models import section

    if not moments:
        return session.say(f"{model} never was in any stage")
    for moment in moments:
        head = f"{moment.stage} at {moment.at}" + (
            " (the end of that day)" if len(when) == 10 else ""
        )
        click.secho(head, bold=True)
        section("", dict(_moment(moment)))
    return None


def _moment(moment: Moment) -> Iterator[tuple[str, str]]:
    wanted, ran = moment.wanted, moment.ran
    said = f"{_what(ran)}, since {ran.entered} (tag {ran.tag})" if ran else "nothing was deployed"
    yield "ran", said
    if wanted is None:
        yield "wanted", "nothing"
        return
    yield "wanted", f"{_what(wanted)}, since {wanted.merged} (merge {wanted.commit[:7]})"
    yield "sha256", str(wanted.sha256)
    where = f", {wanted.pull_request}" if wanted.pull_request else ""
    yield "approved", f"{_approved(wanted.approval)}{where}"
    yield "evidence", wanted.evidence or "none"
    if wanted.rejected is not None:
        yield "rejected", f"since then: {wanted.rejected}"


@click.command()
@click.argument("model", required=False)
@click.option("--stage", help="Only what concerns this stage.")
@click.option("--offline", is_flag=True, help="Leave out the stores and the forge.")
@json_option
@pass_session
def verify(
    session: Session, model: str | None, stage: str | None, offline: bool, as_json: bool
) -> int:
    """Hold everything (of MODEL) against the merged stage files.

    Finds forged stage tags, stage files that came by no approved promotion, altered records,
    evidence and bytes, versions that were moved, and deployment records that do not follow.
    """
    from towpath.audit.verify import verify as recompute

    found = recompute(session.workspace, model, stage, offline)
    if as_json:
        print_json("verification", _verification(found))
    else:
        _say_verified(session, found)
    return 3 if found.findings else 0


def _verification(found: Verified) -> dict[str, Any]:
    from dataclasses import asdict

    findings = [{"check": one.check, **asdict(one.fault)} for one in found.findings]
    return {**asdict(found), "findings": findings}


def counted(count: int, what: str) -> str:
    """`1 promotion`, `2 promotions`."""
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def _say_verified(session: Session, found: Verified) -> None:
    looked = ", ".join(counted(count, what) for what, count in found.looked_at.items())
    for one in found.findings:
        click.echo(
            f"{click.style('✗', fg='red')} {click.style(one.check, bold=True)}: {one.fault.place}"
        )
        click.echo(f"    {one.fault.what}")
        click.echo(f"    {click.style('hint', fg='cyan')}: {one.fault.hint}")
    for left in found.unchecked:
        session.say(f"{click.style('?', fg='yellow')} {left.check}: {left.what}: {left.why}")
    if found.findings:
        count = counted(len(found.findings), "findings")
        click.echo(f"{click.style(count, fg='red', bold=True)} in {looked}")
    else:
        not_all = (
            f", {len(found.unchecked)} things could not be looked at" if found.unchecked else ""
        )
        verdict = click.style("as the merged stage files say", fg="green", bold=True)
        click.echo(f"{verdict}: {looked}{not_all}")


@click.command()
@click.argument("reference")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "svg"]),
    default=None,
    help="Default: by -o's ending, else text.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file.")
@json_option
@pass_session
def lineage(
    session: Session, reference: str, form: str | None, output: str | None, as_json: bool
) -> None:
    """Draw where a version came from and where it went: data, code, run, promotions, stages."""
    from pathlib import Path

    from towpath.audit.lineage import lineage as trace

    found = trace(session.workspace, reference)
    if as_json:
        return print_json("lineage", {**_fields(found), "deployments": found.deployments})
    from towpath.audit.picture import picture
    from towpath.engine import drawing

    form = form or {".svg": "svg", ".mmd": "mermaid"}.get(Path(output or "").suffix, "text")
    draw = {"text": drawing.text, "mermaid": drawing.mermaid, "svg": drawing.svg}[form]
    drawn = draw(picture(found))
    if not output:
        return click.echo(drawn)
    (session.here / output).write_text(drawn + "\n", encoding="utf-8")
    return session.say(f"wrote {output}")


def _fields(found: Lineage) -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(found)
    plain["record"] |= {"version": found.version.partition("@")[2]}
    return plain
