"""What an approver sees, and what is kept with the decision: a page, short enough to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from towpath.credentials import hide_credentials
from towpath.delivery.promotion import candidate_difference
from towpath.delivery.promotion.promotion_case import Case
from towpath.markdown_text import code, prose, table

if TYPE_CHECKING:
    from towpath.delivery.gates import Verdict
    from towpath.registry import Record
    from towpath.registry.code_news import CodeNews

MOST_METRICS = 8
MOST_CHANGES = 6
MOST_GATES = 8
MOST_CLASSES = 4
MOST_FILES = 6
_SHORT = 12
_GATES = "## Gates"
_ORIGIN = "## Where it comes from"
_JUDGE = re.compile(r"main's at `[0-9a-f]{7}`")


def write(case: Case, verdicts: Sequence[Verdict] = (), why: str | None = None) -> str:
    """The evidence as Markdown: at most sixty lines, whatever the version holds.

    ``why`` is a person's reason. Nothing in it moves with the clock but what gates measured.
    """
    parts = [_heading(case), *_words(case, why)]
    if case.candidate:
        parts += [*_metrics(case), *_changes(case), *_own_code(case), *_gates(case, verdicts)]
        parts += [_ORIGIN, _lineage(case.candidate)]
    steps = [*_steps(case), _back(case)]
    listed = [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    parts += ["## What merging this does", "\n".join(listed)]
    return "\n\n".join(part for part in parts if part) + "\n"


def is_of(page: str, case: Case) -> bool:
    """Whether a page says of a promotion what ``write`` would, but for a person's reason, the
    verdicts of another hour, and the commit of main that judged then."""
    return _lasting(page) == _lasting(write(case))


def _lasting(page: str) -> list[str]:
    lines = _JUDGE.sub("main's at", page).rstrip("\n").split("\n")
    if len(lines) > 2 and lines[2].startswith("> "):
        del lines[2:4]
    gates = [place for place, line in enumerate(lines) if line in (_GATES, _ORIGIN)]
    return lines if len(gates) != 2 else lines[: gates[0]] + lines[gates[1] :]


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
    now = f"{code(case.replaces)} now" if case.replaces else "none now"
    back = ", and ran this one before: **a rollback**" if case.back else ""
    judged = f"The policy that judges is main's at {code(case.base[:7])}."
    yield f"{case.stage} runs {now}{back}. {judged}"


def _metrics(case: Case) -> Iterator[str]:
    rows = candidate_difference.metrics(case.incumbent, case.candidate)
    cells = [
        [code(row.name), _number(row.new), _number(row.old), _difference(row.old, row.new)]
        for row in rows
    ]
    if not cells:
        yield "No metric was recorded."
    elif case.incumbent:
        heads = ("metric", f"candidate {case.version}", f"now {case.replaces}", "difference")
        yield table(heads, _cut(cells, MOST_METRICS), right=(1, 2, 3))
    else:
        short = [cell[:2] for cell in cells]
        yield table(("metric", str(case.version)), _cut(short, MOST_METRICS), right=(1,))


def _changes(case: Case) -> Iterator[str]:
    if case.incumbent is None or case.candidate is None:
        return
    found = candidate_difference.facts(case.incumbent, case.candidate)
    rows = [[f"{row.section} {code(row.name)}", _value(row.old), _value(row.new)] for row in found]
    if rows:
        heads = ("what differs", f"now {case.replaces}", f"candidate {case.version}")
        yield table(heads, _cut(rows, MOST_CHANGES))
    else:
        yield "Parameters, data, code and signature are the same."
    if broken := candidate_difference.broken(case.incumbent, case.candidate):
        said = prose("; ".join(broken))
        yield f"**Who calls {case.replaces} cannot call it as before:** {said}."


def _own_code(case: Case) -> Iterator[str]:
    """The code that the stage will run to load the model, and what of it was not there before."""
    news = case.code_news
    if news is None:
        return
    named = [f"{code(name)} of {code(file)}" for name, file in news.classes.items()]
    yield (
        f"**Code of its own:** to load it runs {_listed(named, MOST_CLASSES)}, as the commit "
        f"{code(news.commit[:7])} has it. {_new_code(case, news)}"
    )


def _new_code(case: Case, news: CodeNews) -> str:
    if news.old is None:
        return f"{case.stage} runs none of it now." if case.replaces is None else (
            f"The code of {code(case.replaces)} is not in this clone, so what is new is not known."
        )  # fmt: skip
    if not news.changes:
        return f"{code(case.replaces)} runs the same code."
    added = sum(plus for _, plus, _ in news.changes)
    removed = sum(minus for _, _, minus in news.changes)
    files = [f"{code(path)} +{plus} -{minus}" for path, plus, minus in news.changes]
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return (
        f"Against {code(case.replaces)}'s ({code(news.old[:7])}) {count} of Python differ, "
        f"+{added} -{removed}: {_listed(files, MOST_FILES)}."
    )


def _listed(words: list[str], most: int) -> str:
    more = [f"and {len(words) - most} more"] if len(words) > most else []
    return ", ".join([*words[:most], *more])


def _gates(case: Case, verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield _GATES
    later = {name: gate for name, gate in case.rules.gates.items() if gate.when == "deploy"}
    rows = [_verdict(verdict) for verdict in verdicts]
    rows += [
        ["… waits", f"{code(name)} {gate.kind}", "", "", f"judged in {case.stage}"]
        for name, gate in later.items()
    ]
    if not rows:
        yield f"The policy names none for {case.stage}."
        return
    rows.sort(key=lambda row: "✗" not in row[0])  # what failed is never cut off
    yield table(("", "gate", "value", "bound", "from"), _cut(rows, MOST_GATES))
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
        "file": f"{code(record.path)}, {_size(record.artifact.size)}, sha256 {code(record.sha256)}",
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
        yield f"Takes the deployment of {code(case.model)} out of {case.stage}."
        yield f"Notes it in the deployment record, and tags {code(f'{case.model}#{case.stage}')}."
        return
    origin = f"{case.lower}'s store" if case.lower else "the project's store"
    store = f" ({code(hide_credentials(_plain(case.rules.store.url)))})" if case.rules.store else ""
    later = [name for name, gate in case.rules.gates.items() if gate.when == "deploy"]
    gates = f", then judges {', '.join(map(code, later[:6]))}" if later else ""
    yield f"Verifies the bytes in {origin}, copies them to {case.stage}'s{store}{gates}."
    yield f"{_target(case)}."
    yield f"Records who approved, and tags {code(f'{case.model}#{case.stage}')}."


def _target(case: Case) -> str:
    beside = f" beside {code(case.replaces)}" if case.replaces else ""
    target = case.rules.deploy
    if target is None:
        return f"Smoke-tests it{beside}; {case.stage}'s store is where others find it"
    goal = getattr(target, "path", None) or getattr(target, "work_pool", None)
    where = f"{target.to} {code(goal)}" if goal else target.to
    return f"Prepares the deployment ({where}), smoke-tests it{beside}, and switches"


def _back(case: Case) -> str:
    if case.replaces is None:
        return f"Back: {code(f'towpath demote {case.model} --stage {case.stage}')}."
    if case.version is None or case.back:
        again = f"towpath promote {case.model}@{case.replaces} --to {case.stage}"
        return f"Forth to {code(case.replaces)} again: {code(again)}."
    command = f"towpath rollback {case.model} --stage {case.stage}"
    return f"Back to {code(case.replaces)}: {code(command)}."


def _cut(rows: list[list[str]], most: int) -> list[list[str]]:
    """So many rows, and one that says how many more there are."""
    more = len(rows) - most
    last = [f"… and {more} more", *[""] * (len(rows[0]) - 1)] if more > 0 else []
    return [*rows[:most], *([last] if last else [])]


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
