"""`towpath history`, `lineage`, `verify` and `reproduce`: what was, and whether it is so."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.render.terminal import Cell, Styled
from towpath.cli.session import (
    PositiveNumber,
    Session,
    drawing_format_option,
    drawing_output_option,
    json_option,
    pass_session,
    show_drawing,
)
from towpath.errors import ExitCode
from towpath.plain_data import list_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from towpath.audit.approvals import AuditedApproval
    from towpath.audit.checks.signature_check import SurveyedSignature
    from towpath.audit.reproduction import ReproducedVersion
    from towpath.audit.stage_history import HistoryEntry, StageMoment
    from towpath.audit.verification import VerificationReport
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
    from towpath.audit import stage_history

    entries = stage_history.read_stage_history(session.workspace, model, stage, forge=not offline)
    if when:
        moments = stage_history.find_stages_at(session.workspace, entries, when)
        if as_json:
            return print_json("moments", moments)
        return _print_moments(session, model, when, moments)
    if as_json:
        return print_json("history", entries)
    if not entries:
        where = f"in {stage}" if stage else "in any stage"
        never = f"{model} never was {where}; `towpath promote` takes it there"
        return session.say(_of_another(session, model) or never)
    heads = ("version", "stage", "merged", "approved", "review", "runs since", "sha256", "evidence")
    return terminal.show_table(heads, [_history_row(entry) for entry in reversed(entries)])


def _history_row(entry: HistoryEntry) -> list[Cell]:
    style = "bold" if entry.until is None and entry.version else "dim"
    struck = " strike" if entry.rejected is not None else ""
    shown = Styled(_shown_version(entry), f"{style}{struck}")
    approval = _shown_approval(entry.approval) + (", reverted by hand" if entry.reverts else "")
    review, digest = entry.pull_request or entry.commit[:7], terminal.brief_value(entry.sha256)
    since, evidence = entry.entered or "—", entry.evidence or "—"
    return [shown, entry.stage, entry.merged, approval, review, since, digest, evidence]


def _shown_version(entry: HistoryEntry) -> str:
    if entry.fault:
        return f"{entry.model} (unreadable)"
    return f"{entry.model}@{entry.version}" if entry.version else f"{entry.model} taken out"


def _shown_approval(approval: AuditedApproval) -> str:
    names = ", ".join(person.partition(" <")[0] for person in approval.by)
    return f"{approval.level}: {names}" if names else approval.level


def _of_another(session: Session, model: str) -> str | None:
    # Of a model that is another project's, the stages are told there.
    from towpath.backends.git import main_branch
    from towpath.registry.ownership import read_owners, show_project_folder

    repository = session.workspace.registry
    main = main_branch.seen_main_commit(repository)
    owner = read_owners(repository, main).project_of(model) if main else None
    if owner is None or owner == session.workspace.folder:
        return None
    whose = f"`{model}` is of the project in `{show_project_folder(owner)}`"
    return f"{whose}: towpath -C {repository.root / owner} history {model}"


def _print_moments(
    session: Session, model: str, when: str, moments: Sequence[StageMoment[HistoryEntry]]
) -> None:
    if not moments:
        never = f"{model} never was in any stage"
        return session.say(_of_another(session, model) or never)
    for moment in moments:
        day = " (the end of that day)" if len(when) == 10 else ""  # 2026-03-01, and no time
        terminal.echo(Styled(f"{moment.stage} at {moment.at}{day}", "bold"))
        terminal.print_section("", dict(_moment_rows(moment)))
    return None


def _moment_rows(moment: StageMoment[HistoryEntry]) -> Iterator[tuple[str, str]]:
    entry, ran = moment.wanted, moment.ran
    since = f"{_shown_version(ran)}, since {ran.entered} (tag {ran.tag})" if ran else ""
    yield "ran", since or "nothing was deployed"
    if entry is None:
        yield "wanted", "nothing"
        return
    yield "wanted", f"{_shown_version(entry)}, since {entry.merged} (merge {entry.commit[:7]})"
    yield "sha256", str(entry.sha256)
    where = f", {entry.pull_request}" if entry.pull_request else ""
    yield "approved", f"{_shown_approval(entry.approval)}{where}"
    yield "evidence", entry.evidence or "none"
    if entry.rejected is not None:
        yield "rejected", f"since then: {entry.rejected}"


@click.command()
@click.argument("model", required=False)
@click.option("--stage", help="Only what concerns this stage.")
@click.option("--offline", is_flag=True, help="Leave out the stores and the forge.")
@click.option("--signatures", "signed", is_flag=True, help="Also who signed each, and what not.")
@json_option
@pass_session
def verify(
    session: Session, model: str | None, stage: str | None, offline: bool, signed: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Hold everything (of MODEL) against the merged stage files.

    Finds forged stage tags, stage files that came by no approved promotion, altered records,
    evidence and bytes, versions that were moved, and deployment records that do not follow.
    """
    from towpath.audit.verification import verify_registry

    verification = verify_registry(session.workspace, model, stage, offline, signed=signed)
    if as_json:
        print_json("verification", _verification_document(verification))
    else:
        _say_verified(session, verification)
    return ExitCode.REFUSED if verification.findings else ExitCode.DONE


def _verification_document(report: VerificationReport) -> dict[str, Any]:
    findings = [{"id": e.id, "check": e.check, **structs.asdict(e.fault)} for e in report.findings]
    explained = [
        {"id": e.finding.id, "what": e.finding.fault.what, "note": e.note, "by": e.by}
        for e in report.explained
    ]
    return {**structs.asdict(report), "findings": findings, "explained": explained}


def format_count(count: int, what: str) -> str:
    """`1 promotion`, `2 promotions`."""
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def _say_verified(session: Session, report: VerificationReport) -> None:
    if report.signatures:
        rows = [(signed.name, signed.kind, _signer_cell(signed)) for signed in report.signatures]
        terminal.show_table(("what", "", "signed by"), rows)
        terminal.echo()
    looked = ", ".join(format_count(count, what) for what, count in report.looked_at.items())
    for finding in report.findings:
        check = Styled(finding.check, "bold")
        terminal.echo(Styled("✗", "red"), " ", check, f": {finding.fault.place}")
        terminal.echo(f"    {finding.fault.what}")
        terminal.echo("    ", Styled("hint", "cyan"), f": {finding.fault.hint}")
    for past in report.explained:
        what = f"{past.finding.fault.place}: {past.finding.fault.what}"
        session.say(Styled("i", "blue"), f" {what}: explained in {past.note}, by {past.by}")
    for left in report.unchecked:
        session.say(Styled("?", "yellow"), f" {left.check}: {left.what}: {left.why}")
    _say_rules(session, report)
    if report.findings:
        count = format_count(len(report.findings), "findings")
        terminal.echo(Styled(count, "bold red"), f" in {looked}")
    else:
        unseen = len(report.unchecked)  # what nobody could look at is not said to be right
        not_all = f", {unseen} things could not be looked at" if unseen else ""
        verdict = Styled("as the merged stage files say", "bold green")
        terminal.echo(verdict, f": {looked}{not_all}")


def _say_rules(session: Session, report: VerificationReport) -> None:
    # Each change of who may approve, and who agreed to it: whether that was right, a person judges.
    if (redirect := report.redirect) is not None:
        named = f"{', '.join(redirect.paths)} at {redirect.commit[:7]} says so"
        agreed = f"agreed to by {', '.join(redirect.by)}" if redirect.by else "nobody agreed"
        session.say(f"main is `{redirect.main}`: {named}, {agreed}")
    changes = report.rule_changes
    for place, change in enumerate(changes[1:], 1):  # the first is the project's own beginning
        session.say(f"rules changed: {change}: {_describe_agreement(change, changes[place + 1 :])}")


def _describe_agreement(change: RuleChange, later: Sequence[RuleChange]) -> str:
    by = ", ".join(change.by) or change.author
    if change.level == "recorded":
        return f"recorded by {by}, which proves nothing"
    if change.level != "none":
        return f"{change.level} by {by}"
    # Nobody agreed with the commit itself: whoever approved the same files later agreed to it.
    agreed = [next((c for c in later if path in c.paths), None) for path in change.paths]
    counted = [c for c in agreed if c and c.level not in ("none", "unknown")]
    if len(counted) < len(agreed):
        return f"by {change.author}, and nobody agreed: {change.why}"
    last = counted[-1]
    who = ", ".join(last.by) or last.author
    proof = ", which proves nothing" if last.level == "recorded" else ""
    return f"by {change.author}, agreed to in {last.commit[:7]}: {last.level} by {who}{proof}"


def _signer_cell(surveyed: SurveyedSignature) -> Cell:
    signature = surveyed.signature
    shown_signer = {
        "good": signature.who,
        "unknown": f"nobody whom main knows ({signature.key})",
        "bad": "does not hold",
        "foreign": "OpenPGP or X.509, not checked here",
        "unsigned": "—",
    }[signature.standing]
    wrong = signature.standing in ("unknown", "bad")
    return Styled(shown_signer, "bold red") if wrong else shown_signer


@click.command()
@click.argument("reference")
@drawing_format_option
@drawing_output_option
@json_option
@pass_session
def lineage(
    session: Session, reference: str, form: str | None, output: str | None, as_json: bool
) -> None:
    """Draw where a version came from and where it went: data, code, run, promotions, stages."""
    from towpath.audit.lineage import draw_lineage, trace_lineage

    version_lineage = trace_lineage(session.workspace, reference)
    if as_json:
        document = list_fields(version_lineage)
        # As text, and by its name: `list_fields` takes a number apart into its three.
        document["record"] |= {"version": version_lineage.version.partition("@")[2]}
        return print_json("lineage", {**document, "deployments": version_lineage.deployments})

    return show_drawing(session, draw_lineage(version_lineage), form, output)


@click.command()
@click.argument("reference")
@click.option("--keep", metavar="DIR", help="Do it in this new folder, and leave it there.")
@click.option(
    "--tolerance",
    type=PositiveNumber(example="0.01"),
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
    from towpath.audit.reproduction import reproduce_version

    folder = (session.working_folder / keep) if keep else None
    reproduce_with = partial(reproduce_version, session.workspace, reference, tolerance, folder)
    if as_json or session.quiet:
        reproduction = reproduce_with()
    else:
        from towpath.cli.render.run_views import LiveProgress, PlainProgress

        with LiveProgress() if terminal.is_interactive() else PlainProgress() as progress:
            reproduction = reproduce_with([progress])
    if as_json:
        print_json("reproduction", reproduction)
    else:
        _say_reproduced(session, reproduction)
    return ExitCode.REFUSED if reproduction.verdict == "different" else ExitCode.DONE


def _say_reproduced(session: Session, reproduced: ReproducedVersion) -> None:
    verdict_words = {
        "bytes": ("green", "byte for byte the same", f"sha256 {reproduced.sha256}"),
        "metrics": ("green", "the same metrics", f"within {reproduced.tolerance:g}, other bytes"),
        "different": ("red", "not the same", "other bytes, other metrics"),
    }
    colour, words, detail = verdict_words[reproduced.verdict]
    verdict = terminal.Styled(words, f"bold {colour}")
    terminal.echo(f"{reproduced.version}: ", verdict, f" ({detail})")
    sections = {"metric": reproduced.differences, "package": reproduced.environment}
    rows = [
        (section, d.name, _show_exactly(d.recorded), _show_exactly(d.now))
        for section, differences in sections.items()
        for d in differences
    ]
    if rows:
        terminal.show_table(("", "name", "recorded", "now"), rows)
    if reproduced.folder:
        session.say(f"kept in {reproduced.folder}; `git worktree remove --force` takes it away")


def _show_exactly(value: object) -> str:
    # Every digit: two metrics that differ in the tenth would look alike.
    return repr(value) if isinstance(value, float) else terminal.brief_value(value)
