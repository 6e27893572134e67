"""What an approver sees, and what is kept with the decision: a page, short enough to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from towpath.promotion import differing
from towpath.promotion.case import Case
from towpath.promotion.markdown import code, prose, table

if TYPE_CHECKING:
    from towpath.gates import Verdict
    from towpath.registry import Record

MOST_METRICS = 10
MOST_CHANGES = 8
MOST_GATES = 10
_SHORT = 12


def write(case: Case, verdicts: Sequence[Verdict] = (), why: str | None = None) -> str:
    """The evidence as Markdown: at most sixty lines, whatever the version holds.

    ``why`` is a person's reason. Nothing in it moves with the clock but what gates measured.
    """
    parts = [_heading(case), *_words(case, why)]
    if case.candidate:
        parts += [*_metrics(case), *_changes(case), *_gates(case, verdicts)]
        parts += ["## Where it comes from", _lineage(case.candidate)]
    parts += ["## What merging this does", "\n".join(_steps(case)), _back(case)]
    parts.append(f"Judged by the policy of the main branch at {code(case.base[:7])}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def title(case: Case) -> str:
    """One line that names the promotion, as plain text: names of models and stages are safe."""
    if case.version is None:
        return f"Take {case.model} out of {case.stage}"
    if case.back:
        return f"Roll back {case.model} to {case.version} in {case.stage}"
    return f"Promote {case.model}@{case.version} to {case.stage}"


def _heading(case: Case) -> str:
    what = f"{case.model} {case.version}" if case.version else f"{case.model} leaves"
    return f"# {what} → {case.stage}" if case.version else f"# {what} {case.stage}"


def _words(case: Case, why: str | None) -> Iterator[str]:
    told = why or (case.candidate.description if case.candidate else None)
    if told:
        yield f"> {prose(told)}"
    now = f"{case.stage} runs {code(case.replaces)} now" if case.replaces else None
    if case.back:
        yield f"**A rollback.** {now or f'{case.stage} runs none now'}, and ran this one before."
    else:
        yield f"{now or f'{case.stage} runs none yet'}."


def _metrics(case: Case) -> Iterator[str]:
    rows = differing.metrics(case.incumbent, case.candidate)
    cells = [
        [code(row.name), _number(row.new), _number(row.old), _difference(row.old, row.new)]
        for row in rows[:MOST_METRICS]
    ]
    if not cells:
        yield "No metric was recorded."
    elif case.incumbent:
        heads = ("metric", f"candidate {case.version}", f"now {case.replaces}", "difference")
        yield table(heads, cells, right=(1, 2, 3))
    else:
        yield table(("metric", str(case.version)), [cell[:2] for cell in cells], right=(1,))
    yield from _more(len(rows) - MOST_METRICS, "metrics")


def _changes(case: Case) -> Iterator[str]:
    if case.incumbent is None or case.candidate is None:
        return
    found = differing.facts(case.incumbent, case.candidate)
    rows = [
        [f"{row.section} {code(row.name)}", _value(row.old), _value(row.new)]
        for row in found[:MOST_CHANGES]
    ]
    if rows:
        yield table(("what differs", f"now {case.replaces}", f"candidate {case.version}"), rows)
    else:
        yield "Parameters, data, code and signature are the same."
    yield from _more(len(found) - MOST_CHANGES, "differences (`towpath compare` lists them)")
    if broken := differing.broken(case.incumbent, case.candidate):
        said = prose("; ".join(broken))
        yield f"**Who calls {case.replaces} cannot call it as before:** {said}."


def _gates(case: Case, verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield "## Gates"
    later = {name: gate for name, gate in case.rules.gates.items() if gate.when == "deploy"}
    rows = [_verdict(verdict) for verdict in verdicts]
    rows += [
        ["… waits", f"{code(name)} {gate.kind}", "", "", f"judged in {case.stage}"]
        for name, gate in later.items()
    ]
    if not rows:
        yield f"The policy names none for {case.stage}."
        return
    yield table(("", "gate", "value", "bound", "from"), rows[:MOST_GATES])
    yield from _more(len(rows) - MOST_GATES, "gates")
    if case.back and not all(verdict.passed for verdict in verdicts):
        yield "A rollback is not held up by gates: this version passed them when it came."


def _verdict(verdict: Verdict) -> list[str]:
    passed = "✓ passed" if verdict.passed else "✗ **failed**"
    value = _said(verdict.value)
    detail = prose(verdict.detail, 160) if verdict.detail and not verdict.passed else ""
    return [
        passed,
        f"{code(verdict.gate)} {verdict.kind}",
        "; ".join(part for part in (value, detail) if part),
        _said(verdict.bound),
        prose(verdict.source),
    ]


def _lineage(record: Record) -> str:
    rows = {
        "run": f"{code(record.run)} of pipeline {code(record.pipeline)}",
        "code": _code(record),
        "data": ", ".join(_data(record.data)) or "—",
        "by": f"{code(record.author)}, {code(record.time)}",
        "file": f"{code(record.path)}, {_size(record.artifact.size)}",
        "sha256": code(record.sha256),
    }
    return table(("", ""), [[name, value] for name, value in rows.items()])


def _code(record: Record) -> str:
    where = f" of {code(_plain(record.code.repository))}" if record.code.repository else ""
    return f"{code(record.code.commit)}{where}"


def _data(data: Mapping[str, str]) -> Iterator[str]:
    for name, digest in list(data.items())[:6]:
        yield f"{code(name)} {code(digest[:_SHORT])}"
    if len(data) > 6:
        yield f"and {len(data) - 6} more"


def _steps(case: Case) -> Iterator[str]:
    """What reconcile will do, in its order."""
    if case.candidate is None:
        yield f"1. Takes the deployment of {code(case.model)} out of {case.stage}."
        yield f"2. Notes it in the deployment record, and tags {code(f'{case.model}#{case.stage}')}"
        return
    origin = f"{case.lower}'s store" if case.lower else "the project's store"
    store = f" ({code(_plain(case.rules.store.url))})" if case.rules.store else ""
    later = [name for name, gate in case.rules.gates.items() if gate.when == "deploy"]
    gates = f", then judges {', '.join(map(code, later[:6]))}" if later else ""
    yield f"1. Verifies the bytes in {origin}, copies them to {case.stage}'s{store}{gates}."
    yield f"2. {_target(case)}."
    yield f"3. Records who approved, and tags {code(f'{case.model}#{case.stage}')}."


def _target(case: Case) -> str:
    target = case.rules.deploy
    if target is None:
        return f"Nothing is deployed: {case.stage}'s store is where others find it"
    goal = getattr(target, "path", None) or getattr(target, "work_pool", None)
    where = f"{target.to} {code(goal)}" if goal else target.to
    beside = f" beside {code(case.replaces)}" if case.replaces else ""
    return f"Prepares the deployment ({where}), smoke-tests it{beside}, and switches"


def _back(case: Case) -> str:
    if case.replaces is None:
        return f"Back: {code(f'towpath demote {case.model} --stage {case.stage}')}."
    if case.version is None:
        again = f"towpath promote {case.model}@{case.replaces} --to {case.stage}"
        return f"Back: {code(again)}."
    command = f"towpath rollback {case.model} --stage {case.stage}"
    return f"Back to {code(case.replaces)}: {code(command)}."


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"… and {count} more {what}."


def _value(value: object) -> str:
    text = "" if value is None else _number(value) if isinstance(value, float) else str(value)
    is_digest = len(text) >= 32 and text.isalnum()
    return code(text[:_SHORT] if is_digest else text)


def _said(value: object) -> str:
    """A verdict's value or bound in a cell."""
    if isinstance(value, Mapping):
        return ", ".join(f"{prose(key)} {_said(each)}" for key, each in value.items())
    if isinstance(value, float):
        return _number(value)
    return "" if value is None else prose(value, 120)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "—" if value is None else prose(value)


def _difference(old: float | None, new: float | None) -> str:
    if old is None or new is None:
        return ""
    if old == new:
        return "0"
    share = f" ({(new - old) / abs(old):+.1%})" if old else ""
    return f"{new - old:+.4g}{share}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _plain(url: str) -> str:
    """An address without what lets one in."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
