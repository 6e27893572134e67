"""Promotions on a terminal: what is proposed, what the gates say, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, print_json

if TYPE_CHECKING:
    from towpath.delivery.gates import Verdict
    from towpath.delivery.promotion import Approved, Case, Checked, Proposed, Put
    from towpath.delivery.promotion.decide_promotion import Waiting
    from towpath.delivery.promotion.ratify_rules import Ratified, UnagreedRule


def show(made: Proposed, form: str = "text") -> None:
    """A proposal: candidate and incumbent, and the verdicts."""
    if form == "md":
        return terminal.echo_markdown(made.evidence)
    return _case(made.case, made.verdicts)


def page(evidence: str, form: str) -> None:
    """The evidence: as Markdown, or set for a terminal that a person looks at."""
    terminal.echo_markdown(evidence, reads=form != "md")


def next_step(session: Session, made: Proposed) -> None:
    """Where it went, and what to do with it."""
    from towpath.backends.git import remotes

    _unchecked(session, made.unchecked)
    if made.head is None:
        session.say("nothing was written: --dry-run")
        return _age(session)
    found = "" if made.new else ", as an earlier call left it"
    pushed = "pushed" if made.pushed else "not pushed"
    terminal.echo(f"branch  {made.branch} ({made.head[:7]}, {pushed}{found})")
    if made.url:
        terminal.echo(f"review  {made.url}")
        return session.say(f"next    a reviewer merges it there, or: towpath approve {made.number}")
    forge = session.workspace.policy.forge is not None and remotes.chosen(
        session.workspace.registry
    )
    if forge and not made.pushed:
        session.say("next    the same with --push, which opens the pull request")
    else:
        session.say(f"next    towpath approve {made.branch}")
    return None if made.pushed else _age(session)


def _unchecked(session: Session, unchecked: Sequence[str]) -> None:
    """The bytes that nobody could look at: what was not seen is not said to be right."""
    for words in unchecked:
        session.say(f"note    {words}")


def _age(session: Session) -> None:
    """How old this clone's view of the remote is."""
    from towpath.backends.git import remotes

    repository = session.workspace.registry
    age = remotes.age(repository) if remotes.remotes(repository) else None
    if age is not None and age > 3600:
        session.say(f"as of {age / 3600:.0f} hours ago; `towpath fetch` brings what is new")


def plain(made: Proposed) -> dict[str, Any]:
    """A proposal as a document."""
    return {
        **_plain_case(made.case),
        "branch": made.branch,
        "base": made.base,
        "head": made.head,
        "new": made.new,
        "pushed": made.pushed,
        "url": made.url,
        "files": sorted(made.files),
        "removed": list(made.without),
        "unchecked": list(made.unchecked),
        "verdicts": list(made.verdicts),
        "evidence": made.evidence,
    }


def _plain_case(case: Case) -> dict[str, Any]:
    return {
        "model": case.model,
        "version": str(case.version) if case.version else None,
        "stage": case.stage,
        "replaces": str(case.replaces) if case.replaces else None,
        "rollback": case.back,
    }


def _case(case: Case, verdicts: Sequence[Verdict]) -> None:
    from towpath.delivery.promotion import candidate_difference

    now = f", which runs {case.replaces}" if case.replaces else ""
    back = " (a rollback)" if case.back else ""
    terminal.echo(Styled(f"{case}{now}{back}", "bold"))
    terminal.echo()
    rows = candidate_difference.metrics(case.incumbent, case.candidate) if case.candidate else []
    if rows:
        _metrics(case, rows[:10])
    if case.candidate and case.rules.gates:
        terminal.show(("gate", "", "found", "bound", "from"), list(_gates(case, verdicts)))
        terminal.echo()


def _metrics(case: Case, rows: Sequence[Any]) -> None:
    heads = ("metric", str(case.version), str(case.replaces), "difference")
    cells = [
        (row.name, *map(terminal.number, (row.new, row.old)), _difference(row)) for row in rows
    ]
    width = 4 if case.incumbent else 2
    terminal.show(heads[:width], [cell[:width] for cell in cells], right=heads[1:width])
    terminal.echo()


def _difference(row: Any) -> str:
    return f"{row.new - row.old:+.4g}" if None not in (row.new, row.old) else ""


def _gates(case: Case, verdicts: Sequence[Verdict]) -> Iterator[tuple[str | Styled, ...]]:
    from towpath.delivery.gates.verdict_table import shown

    for one in verdicts:
        state = Styled("passed", "green") if one.passed else Styled("FAILED", "bold red")
        found = "; ".join(part for part in (shown(one.value), _why(one)) if part)
        yield one.gate, state, found, shown(one.bound), one.source
    for name, gate in case.rules.gates.items():
        if gate.when == "deploy":
            yield name, Styled("waits", "dim"), f"judged in {case.stage}", "", ""


def _why(verdict: Verdict) -> str:
    return "" if verdict.passed else verdict.detail


def approved(session: Session, done: Approved) -> int:
    """What was approved, by whom, at which level; what follows."""
    from towpath.backends.git import main_branch, remotes

    for what in done.what:
        terminal.echo(Styled(f"approved {what}", "bold"))
    proves = ", which proves nothing to others" if done.level == "recorded" else ""
    terminal.echo(f"by      {done.by}")
    terminal.echo(f"level   {done.level}{proves}")
    _unchecked(session, done.unchecked)
    if done.commit is None:
        session.say(f"waits   {done.waits} ({done.url})")
        return pending(done)
    how = "" if done.method == "merge" else f" by {done.method}"
    terminal.echo(f"merge   {done.commit[:7]}{how}" + (f" ({done.url})" if done.url else ""))
    repository = session.workspace.registry
    remote = remotes.chosen(repository)
    if remote and not done.pushed:
        name = main_branch.name(repository)
        shared = session.workspace.shared_registry
        push = "towpath push" if shared else f"git push {remote} {name}"
        session.say(f"next    {push}, then towpath reconcile")
    else:
        session.say("next    towpath reconcile")
    return pending(done)


def pending(done: Approved) -> int:
    """The exit code of an approval: what is approved and not merged yet is no done work."""
    from towpath.errors import ExitCode

    return int(ExitCode.DONE if done.commit else ExitCode.PENDING)


def unagreed(session: Session, rules: Sequence[UnagreedRule]) -> None:
    """The rules that nobody agreed to, as they differ from those in force, and the next step."""
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


def ratified(session: Session, done: Ratified) -> None:
    """Rules that were agreed to, by whom; what lacks still."""
    for path in done.paths:
        terminal.echo(Styled(f"approved the rules in {path}", "bold"))
    terminal.echo(f"by      {done.by}")
    terminal.echo(f"level   {done.level}")
    terminal.echo(f"commit  {done.commit[:7]}" + (f" ({done.url})" if done.url else ""))
    if done.waits:
        session.say(f"waits   {done.waits}")
    elif not done.pushed:
        session.say("next    push the main branch, if it has a remote")


def waiting(session: Session, found: Sequence[Waiting]) -> None:
    """The promotions that nobody has decided on."""
    if not found:
        return session.say("no promotion waits")
    rows = [(one.branch, one.title, one.author, one.url or "") for one in found]
    width = 4 if any(one.url for one in found) else 3
    heads = ("promotion", "what", "by", "review")
    return terminal.show(heads[:width], [row[:width] for row in rows])


def put_away(session: Session, done: Put) -> None:
    """A promotion that was refused."""
    where = f" ({done.url})" if done.url else ""
    session.say(f"refused {done.branch}{where}: {done.reason}")


def check(session: Session, base: str | None, head: str | None, form: str, as_json: bool) -> None:
    """The promotion check, said; ``Refused`` with every fault where it may not be merged."""
    from towpath.delivery import promotion
    from towpath.errors import Refused

    checked = promotion.check(session.workspace, base, head)
    if as_json and not checked.faults:
        return print_json("promotion_check", _plain_check(checked))
    if not as_json:
        _say_check(session, checked, form)
    if checked.faults:
        raise Refused(*checked.faults)
    return None


def _plain_check(checked: Checked) -> dict[str, Any]:
    found = checked.inspected
    promotions = [{**_plain_case(one.case), "verdicts": one.verdicts} for one in checked.judged]
    return {
        "base": found.base,
        "head": found.head,
        "promotions": promotions,
        "faults": [],
        "unchecked": list(checked.unchecked),
    }


def _say_check(session: Session, checked: Checked, form: str) -> None:
    from towpath.markdown_text import prose

    if not checked.is_promotion:
        words = "no promotion here: no stage file changes"
        return terminal.echo(words) if form == "md" else session.say(words)
    for one in checked.judged:
        if form == "md":
            terminal.echo_markdown(one.evidence)
        else:
            _case(one.case, one.verdicts)
    if form == "md":
        notes = "".join(f"Note: {prose(words, 600)}\n\n" for words in checked.unchecked)
        said = "".join(f"- {prose(fault, 600)}\n" for fault in checked.faults)
        verdict = f"**Not to be merged:**\n\n{said}" if said else "**This may be merged.**"
        return terminal.echo_markdown(notes + verdict)
    _unchecked(session, checked.unchecked)
    if not checked.faults:
        session.say("this may be merged, as far as the policy and the review gates say")
    return None
