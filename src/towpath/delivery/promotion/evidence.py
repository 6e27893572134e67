"""What an approver sees, and what is kept with the decision: a page, short enough to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from towpath.credentials import hide_credentials
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.markdown_text import code_span, escape_prose, markdown_table
from towpath.quantities import readable_size
from towpath.registry import ModelSignature, tag_message
from towpath.registry.version_record import find_signature_breaks

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict
    from towpath.registry import VersionRecord


# An approver reads one screen: what is more than these is counted, not shown. With them the longest
# page has sixty lines.
MOST_METRICS = 8
MOST_CHANGES = 6
MOST_GATES = 8
MOST_CLASSES = 4
MOST_FILES = 6
_SHORT = 12  # digits of a digest
_GATES = "## Gates"
_ORIGIN = "## Where it comes from"
_STEPS = "## What merging this does"
_JUDGE = re.compile(r"main's at `[0-9a-f]{7}`")


def write_evidence(
    case: PromotionCase, verdicts: Sequence[GateVerdict] = (), why: str | None = None
) -> str:
    """The evidence as Markdown: at most sixty lines, whatever the version holds. ``why`` is a
    person's reason. Nothing in it moves with the clock but what gates measured."""
    name, version = case.model, case.candidate_version
    title = f"{name} {version} → {case.stage}" if version else f"{name} leaves {case.stage}"
    parts = [f"# {title}", *_opening_words(case, why)]
    if case.candidate:
        parts += [*_metric_table(case), *_change_table(case), *_own_code(case)]
        parts += [*_gate_table(case, verdicts), _ORIGIN, _lineage_table(case.candidate)]
    steps = [*_reconcile_steps(case), _way_back(case)]
    listed = [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    parts += [_STEPS, "\n".join(listed)]
    return "\n\n".join(part for part in parts if part) + "\n"


def is_evidence_of(page: str, case: PromotionCase) -> bool:
    # But for a person's reason, the verdicts of another hour, and the commit of main that judged
    # then: who checks can make none of these anew.
    return _lasting_lines(page) == _lasting_lines(write_evidence(case))


def _lasting_lines(page: str) -> list[str]:
    lines = _JUDGE.sub("main's at", page).rstrip("\n").split("\n")
    if len(lines) > 2 and lines[2].startswith("> "):
        del lines[2:4]
    gates = [place for place, line in enumerate(lines) if line in (_GATES, _ORIGIN)]
    return lines if len(gates) != 2 else lines[: gates[0]] + lines[gates[1] :]


class EvidencePage(Struct, frozen=True):
    """What of a page of evidence nobody can make anew, each as Markdown: a person's ``reason``,
    ``gates`` (a row's cells by the gate's name), and ``steps``, what its merge does."""

    reason: str
    gates: Mapping[str, tuple[str, ...]]
    steps: str


def read_evidence(page: str) -> EvidencePage:
    """Read back what ``write_evidence`` wrote; of any other text what is alike, so that only what
    its author said is shown, as what its author said."""
    lines = page.split("\n")
    reason = lines[2].removeprefix("> ") if len(lines) > 2 and lines[2].startswith("> ") else ""
    rows = (tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines)
    gates = {
        row[1].split("`")[1]: row for row in rows if len(row) == len(_GATE_HEADS) and "`" in row[1]
    }
    return EvidencePage(reason, gates, page.partition(f"{_STEPS}\n")[2].strip())


_GATE_HEADS = ("", "gate", "value", "bound", "from")


def promotion_title(case: PromotionCase) -> str:
    """One line that names the promotion, as plain text: names of models and stages are safe."""
    if case.candidate_version is None:
        return f"Take {case.model} out of {case.stage}"
    if case.back:
        return f"Roll back {case.model} to {case.candidate_version} in {case.stage}"
    return f"Promote {case.model}@{case.candidate_version} to {case.stage}"


def _opening_words(case: PromotionCase, why: str | None) -> Iterator[str]:
    reason = why or (case.candidate.description if case.candidate else None)
    if reason:
        yield f"> {escape_prose(reason)}"
    running = f"{code_span(case.incumbent_version)} now" if case.incumbent_version else "none now"
    back = ", and ran this one before: **a rollback**" if case.back else ""
    judged = f"The policy that judges is main's at {code_span(case.base[:7])}."
    yield f"{case.stage} runs {running}{back}. {judged}"


def _metric_table(case: PromotionCase) -> Iterator[str]:
    rows = compare_metrics(case.incumbent, case.candidate)
    cells = [
        [code_span(r.name), *map(_number_cell, (r.new, r.old)), _difference_cell(r.old, r.new)]
        for r in rows
    ]
    new, old = case.candidate_version, case.incumbent_version
    if not cells:
        yield "No metric was recorded."
    elif case.incumbent:
        heads = ("metric", f"candidate {new}", f"now {old}", "difference")
        yield markdown_table(heads, _cut_rows(cells, MOST_METRICS), right=(1, 2, 3))
    else:
        short = _cut_rows([cell[:2] for cell in cells], MOST_METRICS)
        yield markdown_table(("metric", str(new)), short, right=(1,))


def _change_table(case: PromotionCase) -> Iterator[str]:
    if case.incumbent is None or case.candidate is None:
        return
    rows = [
        [f"{fact.section} {code_span(fact.name)}", _fact_cell(fact.old), _fact_cell(fact.new)]
        for fact in compare_facts(case.incumbent, case.candidate)
    ]
    if rows:
        new, old = case.candidate_version, case.incumbent_version
        heads = ("what differs", f"now {old}", f"candidate {new}")
        yield markdown_table(heads, _cut_rows(rows, MOST_CHANGES))
    else:
        yield "Parameters, data, code and signature are the same."
    if broken := find_signature_breaks(case.incumbent.signature, case.candidate.signature):
        reasons = escape_prose("; ".join(broken))
        yield f"**Who calls {case.incumbent_version} cannot call it as before:** {reasons}."


def _own_code(case: PromotionCase) -> Iterator[str]:
    news = case.code_news
    if news is None:
        return
    named = [f"{code_span(name)} of {code_span(file)}" for name, file in news.classes.items()]
    listed, commit = list_shortened(named, MOST_CLASSES), code_span(news.commit[:7])
    own = f"**Code of its own:** to load it runs {listed}, as the commit {commit} has it."
    incumbent = code_span(case.incumbent_version)
    if case.incumbent_version is None and news.old is None:
        yield f"{own} {case.stage} runs none of it now."
    elif news.old is None:
        yield f"{own} The code of {incumbent} is not in this clone, so what is new is not known."
    elif not news.changes:
        yield f"{own} {incumbent} runs the same code."
    else:
        added = sum(plus for _, plus, _ in news.changes)
        removed = sum(minus for _, _, minus in news.changes)
        files = [f"{code_span(path)} +{plus} -{minus}" for path, plus, minus in news.changes]
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        before = f"{incumbent}'s ({code_span(news.old[:7])})"
        differ = f"{count} of Python differ, +{added} -{removed}"
        yield f"{own} Against {before} {differ}: {list_shortened(files, MOST_FILES)}."


def list_shortened(words: Sequence[str], most: int = 5) -> str:
    more = [f"and {len(words) - most} more"] if len(words) > most else []
    return ", ".join([*words[:most], *more])


def _gate_table(case: PromotionCase, verdicts: Sequence[GateVerdict]) -> Iterator[str]:
    yield _GATES
    rows = [_verdict_row(verdict) for verdict in verdicts]
    rows += [
        ["… waits", f"{code_span(name)} {gate.kind}", "", "", f"judged in {case.stage}"]
        for name, gate in case.rules.gates.items()
        if gate.when == "deploy"
    ]
    if not rows:
        yield f"The policy names none for {case.stage}."
        return
    rows.sort(key=lambda row: "✗" not in row[0])  # what failed is never cut off
    yield markdown_table(_GATE_HEADS, _cut_rows(rows, MOST_GATES))
    if case.back and not all(verdict.passed for verdict in verdicts):
        yield "A rollback is not held up by gates: this version passed them when it came."


def _verdict_row(verdict: GateVerdict) -> list[str]:
    detail = escape_prose(verdict.detail, 160) if verdict.detail and not verdict.passed else ""
    state, gate = "✓ passed" if verdict.passed else "✗ **failed**", code_span(verdict.gate)
    value = "; ".join(filter(None, (_verdict_cell(verdict.value), detail)))
    bound, source = _verdict_cell(verdict.bound), escape_prose(verdict.source)
    return [state, f"{gate} {verdict.kind}", value, bound, source]


def _lineage_table(record: VersionRecord) -> str:
    digests = [f"{code_span(name)} {code_span(d[:_SHORT])}" for name, d in record.data.items()]
    repository = record.code.repository
    where = f" of {code_span(_url_without_user(repository))}" if repository else ""
    size, sha256 = readable_size(record.artifact.size), code_span(record.sha256)
    rows = [
        ["run", f"{code_span(record.run)} of pipeline {code_span(record.pipeline)}"],
        ["code", f"{code_span(record.code.commit)}{where}"],
        ["data", list_shortened(digests, 6) or "—"],
        ["by", f"{code_span(record.author)}, {code_span(record.time)}"],
        ["file", f"{code_span(record.path)}, {size}, sha256 {sha256}"],
    ]
    return markdown_table(("", ""), rows)


def _reconcile_steps(case: PromotionCase) -> Iterator[str]:
    tag, store = code_span(f"{case.model}#{case.stage}"), ""
    if case.candidate is None:
        yield f"Takes the deployment of {code_span(case.model)} out of {case.stage}."
        yield f"Notes it in the deployment record, and tags {tag}."
        return
    origin = f"{case.stage_below}'s store" if case.stage_below else "the project's store"
    if case.rules.store:  # everybody who may read the repository reads this page
        store = f" ({code_span(hide_credentials(_url_without_user(case.rules.store.url)))})"
    later = [name for name, gate in case.rules.gates.items() if gate.when == "deploy"]
    gates = f", then judges {', '.join(map(code_span, later[:6]))}" if later else ""
    yield f"Verifies the bytes in {origin}, copies them to {case.stage}'s{store}{gates}."
    beside = f" beside {code_span(case.incumbent_version)}" if case.incumbent_version else ""
    if target := case.rules.deploy:
        goal = getattr(target, "path", None) or getattr(target, "work_pool", None)
        where = f"{target.to} {code_span(goal)}" if goal else target.to
        yield f"Prepares the deployment ({where}), smoke-tests it{beside}, and switches."
    else:
        yield f"Smoke-tests it{beside}; {case.stage}'s store is where others find it."
    yield f"Records who approved, and tags {tag}."


def _way_back(case: PromotionCase) -> str:
    if case.incumbent_version is None:
        return f"Back: {code_span(f'towpath demote {case.model} --stage {case.stage}')}."
    if case.candidate_version is None or case.back:
        again = f"towpath promote {case.model}@{case.incumbent_version} --to {case.stage}"
        return f"Forth to {code_span(case.incumbent_version)} again: {code_span(again)}."
    command = f"towpath rollback {case.model} --stage {case.stage}"
    return f"Back to {code_span(case.incumbent_version)}: {code_span(command)}."


def _cut_rows(rows: list[list[str]], most: int) -> list[list[str]]:
    if len(rows) <= most:
        return rows
    return [*rows[:most], [f"… and {len(rows) - most} more", *[""] * (len(rows[0]) - 1)]]


def _fact_cell(value: object) -> str:
    text = "" if value is None else _number_cell(value) if isinstance(value, float) else str(value)
    is_digest = len(text) >= 32 and text.isalnum()
    return code_span(text[:_SHORT] if is_digest else text)


def _verdict_cell(value: object) -> str:
    if isinstance(value, Mapping):
        parts = (f"{escape_prose(key)} {_verdict_cell(part)}" for key, part in value.items())
        return ", ".join(parts)
    if isinstance(value, float):
        return _number_cell(value)
    return "" if value is None else escape_prose(value, 120)


def _number_cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "—" if value is None else escape_prose(value)


def _difference_cell(old: float | None, new: float | None) -> str:
    if old is None or new is None:
        return ""
    if old == new:
        return "0"
    share = f" ({(new - old) / abs(old):+.1%})" if old else ""
    return f"{new - old:+.4g}{share}"


def _url_without_user(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class ComparedFact(Struct, frozen=True):
    section: str
    name: str
    old: Any
    new: Any


def compare_metrics(old: VersionRecord | None, new: VersionRecord | None) -> list[ComparedFact]:
    """All metrics that are numbers, the candidate's first."""
    before, after = (
        tag_message.flatten_numbers(record.metrics) if record else {} for record in (old, new)
    )
    names = dict.fromkeys([*after, *before])
    return [ComparedFact("metric", name, before.get(name), after.get(name)) for name in names]


def compare_facts(old: VersionRecord, new: VersionRecord) -> Iterator[ComparedFact]:
    """Parameters, data, code, packages and signature that are not the same in both."""
    signatures = old.signature, new.signature
    if None in signatures and old.signature != new.signature:
        before, after = ("unknown" if side is None else "known" for side in signatures)
        yield ComparedFact("", "signature", before, after)
    for (section, mine), (_, theirs) in zip(_record_facts(old), _record_facts(new), strict=True):
        # A signature that is not known differs as a whole, and not column by column.
        if None in signatures and section in _SIGNATURE:
            continue
        for name in dict.fromkeys([*theirs, *mine]):
            if mine.get(name) != theirs.get(name) or (name in mine) != (name in theirs):
                yield ComparedFact(section.strip(), name, mine.get(name), theirs.get(name))


_SIGNATURE = ("input", "output", " ")  # the last for what is of no section, and of the signature


def _record_facts(record: VersionRecord) -> list[tuple[str, Mapping[str, Any]]]:
    signature = record.signature or ModelSignature(None, None)
    classes = ", ".join(map(str, signature.classes)) if signature.classes is not None else None
    shape = {"features": signature.features, "classes": classes, "class": signature.model}
    return [
        ("input", {column.name: column.type for column in signature.inputs or ()}),
        ("output", {column.name: column.type for column in signature.outputs or ()}),
        (" ", shape),
        ("parameter", record.parameters),
        ("data", record.data),
        # A record of before digests were recorded has the commit alone.
        ("code", record.code.digests or {"commit": record.code.commit}),
        ("", {"Python": record.python}),
        ("package", record.packages),
    ]
