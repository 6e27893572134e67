"""`towpath history`, `lineage`, `verify` and `reproduce`: what was, and whether it is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import (
    Session,
    drawing_format_option,
    drawing_output_option,
    is_interactive,
    json_option,
    pass_session,
    print_json,
    show_drawing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from towpath.audit.approvals import AuditedApproval
    from towpath.audit.checks.signature_check import SurveyedSignature
    from towpath.audit.lineage import LineageReport
    from towpath.audit.reproduction import RecordDifference, ReproducedVersion
    from towpath.audit.stage_history import HistoryEntry, StageMoment
    from towpath.audit.verification import VerificationReport
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
    return _history_table(entries)


def _history_table(entries: Sequence[HistoryEntry]) -> None:
    heads = ("version", "stage", "merged", "approved", "review", "runs since", "sha256", "evidence")
    terminal.show_table(heads, [_history_row(entry) for entry in reversed(entries)])


def _history_row(entry: HistoryEntry) -> list[Cell]:
    style = "bold" if entry.until is None and entry.version else "dim"
    struck = " strike" if entry.rejected is not None else ""
    shown = Styled(_shown_version(entry), f"{style}{struck}")
    return [
        shown,
        entry.stage,
        entry.merged,
        _shown_approval(entry.approval) + (", reverted by hand" if entry.reverts else ""),
        entry.pull_request or entry.commit[:7],
        entry.entered or "—",
        terminal.brief_value(entry.sha256),
        entry.evidence or "—",
    ]


def _shown_version(entry: HistoryEntry) -> str:
    if entry.fault:
        return f"{entry.model} (unreadable)"
    return f"{entry.model}@{entry.version}" if entry.version else f"{entry.model} taken out"


def _shown_approval(approval: AuditedApproval) -> str:
    names = ", ".join(person.partition(" <")[0] for person in approval.by)
    return f"{approval.level}: {names}" if names else approval.level


def _of_another(session: Session, model: str) -> str | None:
    """Whose a model is, where it is another project's: its stages are told there."""
    from towpath.backends.git import main_branch
    from towpath.registry.ownership import read_owners, show_project_folder

    repository = session.workspace.registry
    main = main_branch.seen_main_commit(repository)
    owner = read_owners(repository, main).project_of(model) if main else None
    if owner is None or owner == session.workspace.folder:
        return None
    top = repository.root / owner
    return (
        f"`{model}` is of the project in `{show_project_folder(owner)}`: towpath -C {top} "
        f"history {model}"
    )


def _print_moments(session: Session, model: str, when: str, moments: Sequence[StageMoment]) -> None:
    from towpath.cli.version_commands import print_section

    if not moments:
        never = f"{model} never was in any stage"
        return session.say(_of_another(session, model) or never)
    for moment in moments:
        head = f"{moment.stage} at {moment.at}" + (
            " (the end of that day)" if len(when) == 10 else ""
        )
        terminal.echo(Styled(head, "bold"))
        print_section("", dict(_moment_rows(moment)))
    return None


def _moment_rows(moment: StageMoment) -> Iterator[tuple[str, str]]:
    wanted_entry, ran = moment.wanted, moment.ran
    deployed = (
        f"{_shown_version(ran)}, since {ran.entered} (tag {ran.tag})"
        if ran
        else "nothing was deployed"
    )
    yield "ran", deployed
    if wanted_entry is None:
        yield "wanted", "nothing"
        return
    yield (
        "wanted",
        f"{_shown_version(wanted_entry)}, since {wanted_entry.merged} (merge "
        f"{wanted_entry.commit[:7]})",
    )
    yield "sha256", str(wanted_entry.sha256)
    where = f", {wanted_entry.pull_request}" if wanted_entry.pull_request else ""
    yield "approved", f"{_shown_approval(wanted_entry.approval)}{where}"
    yield "evidence", wanted_entry.evidence or "none"
    if wanted_entry.rejected is not None:
        yield "rejected", f"since then: {wanted_entry.rejected}"


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
    from towpath.audit.verification import verify_registry

    verification = verify_registry(session.workspace, model, stage, offline, signed=signed)
    if as_json:
        print_json("verification", _verification_document(verification))
    else:
        _say_verified(session, verification)
    return 3 if verification.findings else 0


def _verification_document(report: VerificationReport) -> dict[str, Any]:
    from dataclasses import asdict

    findings = [
        {"id": entry.id, "check": entry.check, **asdict(entry.fault)} for entry in report.findings
    ]
    explained = [
        {
            "id": entry.finding.id,
            "what": entry.finding.fault.what,
            "note": entry.note,
            "by": entry.by,
        }
        for entry in report.explained
    ]
    return {**asdict(report), "findings": findings, "explained": explained}


def format_count(count: int, what: str) -> str:
    """`1 promotion`, `2 promotions`."""
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def _say_verified(session: Session, report: VerificationReport) -> None:
    _print_signatures(report)
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
        not_all = (
            f", {len(report.unchecked)} things could not be looked at" if report.unchecked else ""
        )
        verdict = Styled("as the merged stage files say", "bold green")
        terminal.echo(verdict, f": {looked}{not_all}")


def _say_rules(session: Session, report: VerificationReport) -> None:
    """Every change of who may approve, for a person to read: by whom it was agreed to."""
    if (redirect := report.redirect) is not None:
        named = f"{', '.join(redirect.paths)} at {redirect.commit[:7]} says so"
        agreed = f"agreed to by {', '.join(redirect.by)}" if redirect.by else "nobody agreed"
        session.say(f"main is `{redirect.main}`: {named}, {agreed}")
    changes = report.rule_changes
    for place, change in enumerate(changes[1:], 1):  # the first is the project's own beginning
        session.say(f"rules changed: {change}: {_describe_agreement(change, changes[place + 1 :])}")


def _describe_agreement(change: RuleChange, later: Sequence[RuleChange]) -> str:
    """Who agreed to a change: with its own commit, or with one that came later."""
    by = ", ".join(change.by) or change.author
    if change.level == "recorded":
        return f"recorded by {by}, which proves nothing"
    if change.level != "none":
        return f"{change.level} by {by}"
    agreed = [next((c for c in later if path in c.paths), None) for path in change.paths]
    counted = [
        agreement
        for agreement in agreed
        if agreement and agreement.level not in ("none", "unknown")
    ]
    if len(counted) < len(agreed):
        return f"by {change.author}, and nobody agreed: {change.why}"
    last = counted[-1]
    who = ", ".join(last.by) or last.author
    return f"by {change.author}, agreed to in {last.commit[:7]}: {last.level} by {who}"


def _print_signatures(report: VerificationReport) -> None:
    """Who signed what; nothing where nobody asked."""
    if report.signatures:
        from towpath.cli.render import terminal

        rows = [(signed.name, signed.kind, _signer_cell(signed)) for signed in report.signatures]
        terminal.show_table(("what", "", "signed by"), rows)
        terminal.echo()


def _signer_cell(surveyed: SurveyedSignature) -> Cell:
    from towpath.cli.render.terminal import Styled

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
    from towpath.audit.lineage import trace_lineage

    version_lineage = trace_lineage(session.workspace, reference)
    if as_json:
        return print_json(
            "lineage",
            {**_lineage_document(version_lineage), "deployments": version_lineage.deployments},
        )
    from towpath.audit.lineage_drawing import draw_lineage

    return show_drawing(session, draw_lineage(version_lineage), form, output)


def _lineage_document(report: LineageReport) -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(report)
    plain["record"] |= {"version": report.version.partition("@")[2]}
    return plain


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
    from towpath.audit.reproduction import reproduce_version

    folder = (session.working_folder / keep) if keep else None
    if as_json or session.quiet:
        reproduction = reproduce_version(session.workspace, reference, tolerance, folder)
    else:
        from towpath.cli.render.run_views import LiveProgress, PlainProgress

        with LiveProgress() if is_interactive() else PlainProgress() as progress:
            reproduction = reproduce_version(
                session.workspace, reference, tolerance, folder, [progress]
            )
    if as_json:
        print_json("reproduction", reproduction)
    else:
        _say_reproduced(session, reproduction)
    return 3 if reproduction.verdict == "different" else 0


def _say_reproduced(session: Session, reproduced: ReproducedVersion) -> None:
    verdict_words = {
        "bytes": ("green", "byte for byte the same", f"sha256 {reproduced.sha256}"),
        "metrics": ("green", "the same metrics", f"within {reproduced.tolerance:g}, other bytes"),
        "different": ("red", "not the same", "other bytes, other metrics"),
    }
    colour, words, detail = verdict_words[reproduced.verdict]
    verdict = terminal.Styled(words, f"bold {colour}")
    terminal.echo(f"{reproduced.version}: ", verdict, f" ({detail})")
    differences = [
        *_difference_rows("metric", reproduced.differences),
        *_difference_rows("", reproduced.environment),
    ]
    if differences:
        terminal.show_table(("", "name", "recorded", "now"), differences)
    if reproduced.folder:
        session.say(f"kept in {reproduced.folder}; `git worktree remove --force` takes it away")


def _difference_rows(
    section: str, differences: tuple[RecordDifference, ...]
) -> list[tuple[str, ...]]:
    def shown(value: object) -> str:
        return repr(value) if isinstance(value, float) else terminal.brief_value(value)

    return [(section or "package", d.name, shown(d.recorded), shown(d.now)) for d in differences]
