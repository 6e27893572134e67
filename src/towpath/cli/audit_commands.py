"""`towpath history`, `lineage` and `verify`: what was, and whether it is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import drawings, terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from towpath.audit.approvals import Approved
    from towpath.audit.checks.signature_check import Signed
    from towpath.audit.lineage import Lineage
    from towpath.audit.stage_history import Entry, Moment
    from towpath.audit.verification import Verified
    from towpath.cli.render.terminal import Cell
    from towpath.delivery.promotion.rule_changes import RuleChange


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
    from towpath.audit import stage_history as told

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
        never = f"{model} never was {where}; `towpath promote` takes it there"
        return session.say(_of_another(session, model) or never)
    return _history_table(entries)


def _history_table(entries: Sequence[Entry]) -> None:
    heads = ("version", "stage", "merged", "approved", "review", "runs since", "sha256", "evidence")
    terminal.show(heads, [_history_row(entry) for entry in reversed(entries)])


def _history_row(entry: Entry) -> list[Cell]:
    style = "bold" if entry.until is None and entry.version else "dim"
    struck = " strike" if entry.rejected is not None else ""
    shown = Styled(_what(entry), f"{style}{struck}")
    return [
        shown,
        entry.stage,
        entry.merged,
        _approved(entry.approval) + (", reverted by hand" if entry.reverts else ""),
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


def _of_another(session: Session, model: str) -> str | None:
    """Whose a model is, where it is another project's: its stages are told there."""
    from towpath.backends.git import main_branch
    from towpath.registry.ownership import read_owners, shown

    repository = session.workspace.registry
    main = main_branch.seen(repository)
    owner = read_owners(repository, main).project_of(model) if main else None
    if owner is None or owner == session.workspace.folder:
        return None
    top = repository.root / owner
    return f"`{model}` is of the project in `{shown(owner)}`: towpath -C {top} history {model}"


def _moments(session: Session, model: str, when: str, moments: Sequence[Moment]) -> None:
    from towpath.cli.models import section

    if not moments:
        never = f"{model} never was in any stage"
        return session.say(_of_another(session, model) or never)
    for moment in moments:
        head = f"{moment.stage} at {moment.at}" + (
            " (the end of that day)" if len(when) == 10 else ""
        )
        terminal.echo(Styled(head, "bold"))
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
@click.option("--signatures", "signed", is_flag=True, help="Also who signed each, and what not.")
@json_option
@pass_session
def verify(
    session: Session,
    model: str | None,
    stage: str | None,
    offline: bool,
    signed: bool,
    as_json: bool,
) -> int:
    """Hold everything (of MODEL) against the merged stage files.

    Finds forged stage tags, stage files that came by no approved promotion, altered records,
    evidence and bytes, versions that were moved, and deployment records that do not follow.
    """
    from towpath.audit.verification import verify as recompute

    found = recompute(session.workspace, model, stage, offline, signed=signed)
    if as_json:
        print_json("verification", _verification(found))
    else:
        _say_verified(session, found)
    return 3 if found.findings else 0


def _verification(found: Verified) -> dict[str, Any]:
    from dataclasses import asdict

    findings = [{"id": one.id, "check": one.check, **asdict(one.fault)} for one in found.findings]
    explained = [
        {"id": one.finding.id, "what": one.finding.fault.what, "note": one.note, "by": one.by}
        for one in found.explained
    ]
    return {**asdict(found), "findings": findings, "explained": explained}


def counted(count: int, what: str) -> str:
    """`1 promotion`, `2 promotions`."""
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def _say_verified(session: Session, found: Verified) -> None:
    _signatures(found)
    looked = ", ".join(counted(count, what) for what, count in found.looked_at.items())
    for one in found.findings:
        check = Styled(one.check, "bold")
        terminal.echo(Styled("✗", "red"), " ", check, f": {one.fault.place}")
        terminal.echo(f"    {one.fault.what}")
        terminal.echo("    ", Styled("hint", "cyan"), f": {one.fault.hint}")
    for past in found.explained:
        what = f"{past.finding.fault.place}: {past.finding.fault.what}"
        session.say(Styled("i", "blue"), f" {what}: explained in {past.note}, by {past.by}")
    for left in found.unchecked:
        session.say(Styled("?", "yellow"), f" {left.check}: {left.what}: {left.why}")
    _say_rules(session, found)
    if found.findings:
        count = counted(len(found.findings), "findings")
        terminal.echo(Styled(count, "bold red"), f" in {looked}")
    else:
        not_all = (
            f", {len(found.unchecked)} things could not be looked at" if found.unchecked else ""
        )
        verdict = Styled("as the merged stage files say", "bold green")
        terminal.echo(verdict, f": {looked}{not_all}")


def _say_rules(session: Session, found: Verified) -> None:
    """Every change of who may approve, for a person to read: by whom it was agreed to."""
    if (redirect := found.redirect) is not None:
        named = f"{', '.join(redirect.paths)} at {redirect.commit[:7]} says so"
        agreed = f"agreed to by {', '.join(redirect.by)}" if redirect.by else "nobody agreed"
        session.say(f"main is `{redirect.main}`: {named}, {agreed}")
    changes = found.rule_changes
    for place, change in enumerate(changes[1:], 1):  # the first is the project's own beginning
        session.say(f"rules changed: {change}: {_agreement(change, changes[place + 1 :])}")


def _agreement(change: RuleChange, later: Sequence[RuleChange]) -> str:
    """Who agreed to a change: with its own commit, or with one that came later."""
    by = ", ".join(change.by) or change.author
    if change.level == "recorded":
        return f"recorded by {by}, which proves nothing"
    if change.level != "none":
        return f"{change.level} by {by}"
    agreed = [next((c for c in later if path in c.paths), None) for path in change.paths]
    counted = [one for one in agreed if one and one.level not in ("none", "unknown")]
    if len(counted) < len(agreed):
        return f"by {change.author}, and nobody agreed: {change.why}"
    last = counted[-1]
    who = ", ".join(last.by) or last.author
    return f"by {change.author}, agreed to in {last.commit[:7]}: {last.level} by {who}"


def _signatures(found: Verified) -> None:
    """Who signed what; nothing where nobody asked."""
    if found.signatures:
        from towpath.cli.render import terminal

        rows = [(one.name, one.kind, _signer(one)) for one in found.signatures]
        terminal.show(("what", "", "signed by"), rows)
        terminal.echo()


def _signer(one: Signed) -> Cell:
    from towpath.cli.render.terminal import Styled

    signature = one.signature
    said = {
        "good": signature.who,
        "unknown": f"nobody whom main knows ({signature.key})",
        "bad": "does not hold",
        "foreign": "OpenPGP or X.509, not checked here",
        "unsigned": "—",
    }[signature.standing]
    wrong = signature.standing in ("unknown", "bad")
    return Styled(said, "bold red") if wrong else said


@click.command()
@click.argument("reference")
@drawings.format_option
@drawings.output_option
@json_option
@pass_session
def lineage(
    session: Session, reference: str, form: str | None, output: str | None, as_json: bool
) -> None:
    """Draw where a version came from and where it went: data, code, run, promotions, stages."""
    from towpath.audit.lineage import lineage as trace

    found = trace(session.workspace, reference)
    if as_json:
        return print_json("lineage", {**_fields(found), "deployments": found.deployments})
    from towpath.audit.lineage_drawing import picture

    return drawings.show(session, picture(found), form, output)


def _fields(found: Lineage) -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(found)
    plain["record"] |= {"version": found.version.partition("@")[2]}
    return plain
