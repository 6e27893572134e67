"""Promotions on a terminal: what is proposed, what the gates say, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from towpath.backends.git import main_branch, remotes
from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.render.terminal import Cell, Styled
from towpath.cli.session import Session, tags_age_words
from towpath.errors import ExitCode, Refused
from towpath.markdown_text import escape_prose

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict
    from towpath.delivery.promotion import (
        ApprovedPromotion,
        CheckedBranch,
        PromotionCase,
        ProposedPromotion,
    )
    from towpath.delivery.promotion.decide_promotion import WaitingPromotion
    from towpath.delivery.promotion.evidence import ComparedFact
    from towpath.delivery.promotion.promotion_review import GateStanding
    from towpath.delivery.promotion.ratify_rules import RatifiedRules, UnagreedRule


def show_proposal(proposal: ProposedPromotion, form: str) -> None:
    if form == "md":
        return terminal.echo_markdown(proposal.evidence)
    return _print_case(proposal.case, proposal.verdicts)


def next_step(session: Session, proposal: ProposedPromotion) -> None:
    _say_unchecked(session, proposal.unchecked)
    if proposal.head is None:
        session.say("nothing was written: --dry-run")
        return _say_age(session)
    origin_note = "" if proposal.new else ", as an earlier call left it"
    pushed = "pushed" if proposal.pushed else "not pushed"
    terminal.echo(f"branch  {proposal.branch} ({proposal.head[:7]}, {pushed}{origin_note})")
    if proposal.url:
        terminal.echo(f"review  {proposal.url}")
        way = f"next    a reviewer merges it there, or: towpath approve {proposal.number}"
        return session.say(way)
    has_forge = session.workspace.policy.forge is not None
    if has_forge and not proposal.pushed and remotes.choose_remote(session.workspace.registry):
        session.say("next    the same with --push, which opens the pull request")
    else:
        session.say(f"next    towpath approve {proposal.branch}")
    return None if proposal.pushed else _say_age(session)


def _say_unchecked(session: Session, unchecked: Sequence[str]) -> None:
    for words in unchecked:  # bytes that nobody could look at are not said to be right
        session.say(f"note    {words}")


def _say_age(session: Session) -> None:
    if words := tags_age_words(session.workspace.registry):
        session.say(words)


def plain_proposal(proposal: ProposedPromotion) -> dict[str, Any]:
    from towpath.delivery.promotion.promotion_review import list_gate_standings

    same = ("branch", "base", "head", "new", "pushed", "url", "unchecked", "verdicts", "evidence")
    return {
        **_plain_case(proposal.case),
        **{name: getattr(proposal, name) for name in same},
        "gates": list_gate_standings(proposal.case, proposal.verdicts),
        "files": sorted(proposal.files),
        "removed": proposal.without,
    }


def _plain_case(case: PromotionCase) -> dict[str, Any]:
    return {
        "model": case.model,
        "version": str(case.candidate_version) if case.candidate_version else None,
        "stage": case.stage,
        "replaces": str(case.incumbent_version) if case.incumbent_version else None,
        "rollback": case.back,
    }


def _print_metrics(case: PromotionCase, metrics: Sequence[ComparedFact]) -> None:
    heads = ("metric", str(case.candidate_version), str(case.incumbent_version), "difference")
    width = 4 if case.incumbent else 2  # without an incumbent nothing differs from anything
    cells = []
    for row in metrics:
        difference = f"{row.new - row.old:+.4g}" if None not in (row.new, row.old) else ""
        numbers = map(terminal.readable_number, (row.new, row.old))
        cells.append((row.name, *numbers, difference)[:width])
    terminal.show_table(heads[:width], cells, right=heads[1:width])
    terminal.echo()


def _print_case(case: PromotionCase, verdicts: Sequence[GateVerdict]) -> None:
    from towpath.delivery.promotion import evidence
    from towpath.delivery.promotion.promotion_review import list_gate_standings

    incumbent_note = f", which runs {case.incumbent_version}" if case.incumbent_version else ""
    back = " (a rollback)" if case.back else ""
    terminal.echo(Styled(f"{case}{incumbent_note}{back}", "bold"))
    terminal.echo()
    if case.candidate is None:
        return
    if metrics := evidence.compare_metrics(case.incumbent, case.candidate):
        _print_metrics(case, metrics[:10])  # the evidence has them all
    standings = list_gate_standings(case, verdicts)
    judged = [standing for standing in standings if standing.state != "unjudged"]
    rows = [_gate_row(standing, case.stage) for standing in judged]
    if case.rules.gates:
        terminal.show_table(("gate", "", "found", "bound", "from"), rows)
        terminal.echo()


def _gate_row(standing: GateStanding, stage: str) -> tuple[Cell, ...]:
    from towpath.delivery.gates.verdict import verdict_cell

    if standing.state == "waits":
        return standing.gate, Styled("waits", "dim"), f"judged in {stage}", "", ""
    passed = standing.state == "passed"
    state = Styled("passed", "green") if passed else Styled("FAILED", "bold red")
    detail = "" if passed else standing.detail
    finding = "; ".join(filter(None, (verdict_cell(standing.value), detail)))
    return standing.gate, state, finding, verdict_cell(standing.bound), standing.source


def say_approved(session: Session, approved: ApprovedPromotion) -> int:
    from towpath.delivery.promotion.promotion_approval import describe_level

    for what in approved.what:
        terminal.echo(Styled(f"approved {what}", "bold"))
    terminal.echo(f"by      {approved.by}")
    terminal.echo(f"level   {describe_level(approved.level)}")
    _say_unchecked(session, approved.unchecked)
    if approved.commit is None:
        session.say(f"waits   {approved.waits} ({approved.url})")
        return approval_exit_code(approved)
    how = "" if approved.method == "merge" else f" by {approved.method}"
    where = f" ({approved.url})" if approved.url else ""
    terminal.echo(f"merge   {approved.commit[:7]}{how}{where}")
    repository = session.workspace.registry
    remote = remotes.choose_remote(repository)
    if remote and not approved.pushed:
        name = main_branch.main_branch_name(repository)
        shared = session.workspace.shared_registry  # whose clone is ours: no remote to name
        push = "towpath push" if shared else f"git push {remote} {name}"
        session.say(f"next    {push}, then towpath reconcile")
    else:
        session.say("next    towpath reconcile")
    return approval_exit_code(approved)


def approval_exit_code(approved: ApprovedPromotion) -> int:
    """The exit code of an approval: what is approved and not merged yet is no done work."""
    return int(ExitCode.DONE if approved.commit else ExitCode.PENDING)


def print_unagreed_rules(session: Session, rules: Sequence[UnagreedRule]) -> None:
    if not rules:
        return session.say("the rules on main are agreed to: there is nothing to approve")
    for rule in rules:
        title = f"{rule.path}, changed in {rule.commit[:7]} by {rule.author}"
        terminal.echo(Styled(title, "bold"))
        for line in rule.difference:
            terminal.echo(line)
        terminal.echo()
    named = " ".join(shlex.quote(rule.path) for rule in rules)
    return session.say(f"next    towpath approve --rules {named}")


def print_ratified_rules(session: Session, ratified: RatifiedRules) -> None:
    from towpath.delivery.promotion.promotion_approval import describe_level

    for path in ratified.paths:
        terminal.echo(Styled(f"approved the rules in {path}", "bold"))
    terminal.echo(f"by      {ratified.by}")
    terminal.echo(f"level   {describe_level(ratified.level)}")
    terminal.echo(f"commit  {ratified.commit[:7]}" + (f" ({ratified.url})" if ratified.url else ""))
    if ratified.waits:
        session.say(f"waits   {ratified.waits}")
    elif not ratified.pushed:
        session.say("next    push the main branch, if it has a remote")


def print_waiting(session: Session, waiting: Sequence[WaitingPromotion]) -> None:
    if not waiting:
        return session.say("no promotion waits")
    rows = [(p.branch, p.title, p.author, p.url or "") for p in waiting]
    width = 4 if any(p.url for p in waiting) else 3
    heads = ("promotion", "what", "by", "review")
    return terminal.show_table(heads[:width], [row[:width] for row in rows])


def run_promotion_check(
    session: Session, base: str | None, head: str | None, form: str, as_json: bool
) -> None:
    """The promotion check, said; ``Refused`` with every fault where it may not be merged."""
    from towpath.delivery import promotion

    checked = promotion.check_promotion_branch(session.workspace, base, head)
    if as_json and not checked.faults:
        return print_json("promotion_check", _plain_check(checked))
    if not as_json:
        _say_check(session, checked, form)
    if checked.faults:
        raise Refused(*checked.faults)
    return None


def _plain_check(checked: CheckedBranch) -> dict[str, Any]:
    from towpath.delivery.promotion.promotion_review import list_gate_standings

    promotions = [
        {**_plain_case(judged.case), "verdicts": judged.verdicts,
         "gates": list_gate_standings(judged.case, judged.verdicts)}
        for judged in checked.judged
    ]  # fmt: skip
    return {
        "base": checked.inspected.base,
        "head": checked.inspected.head,
        "promotions": promotions,
        "faults": [],  # where there is one, the error's document stands in place of this one
        "unchecked": checked.unchecked,
    }


def _say_check(session: Session, checked: CheckedBranch, form: str) -> None:
    from towpath.delivery.promotion import evidence

    if not checked.is_promotion:
        words = "no promotion here: no stage file changes"
        return terminal.echo(words) if form == "md" else session.say(words)
    for judged_case in checked.judged:
        if form == "md":
            page = evidence.write_evidence(judged_case.case, judged_case.verdicts)
            terminal.echo_markdown(page)
        else:
            _print_case(judged_case.case, judged_case.verdicts)
    if form == "md":
        notes = "".join(f"Note: {escape_prose(words, 600)}\n\n" for words in checked.unchecked)
        fault_list = "".join(f"- {escape_prose(fault, 600)}\n" for fault in checked.faults)
        refusal = f"**Not to be merged:**\n\n{fault_list}" if fault_list else ""
        return terminal.echo_markdown(notes + (refusal or "**This may be merged.**"))
    _say_unchecked(session, checked.unchecked)
    if not checked.faults:
        session.say("this may be merged, as far as the policy and the review gates say")
    return None
