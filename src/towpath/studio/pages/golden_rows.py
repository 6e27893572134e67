"""Golden samples on the page of a version: their first rows, and what decisions say of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git import main_branch, refs
from towpath.config.foreign_values import parse_json
from towpath.delivery.gates.kinds.golden import (
    GoldenSamples,
    describe_tolerance,
    read_golden_samples,
    read_off_samples,
)
from towpath.delivery.gates.verdict import verdict_cell
from towpath.delivery.promotion.evidence import read_evidence
from towpath.errors import Malformed, TowpathError
from towpath.studio.previews.file_preview import FilePreview, preview_content
from towpath.studio.previews.text_tables import list_rows

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry
    from towpath.studio.previews.preview_parts import PreviewColumn, TablePreview
    from towpath.studio.project_facts import ProjectFacts

_ROWS = 8  # of a file, the first


class GoldenOutcome(Struct, frozen=True):
    """What a decision's evidence, or its deployment, says of a golden gate: ``3 of 3``."""

    stage: str
    promotion: str
    passed: bool
    words: str


class GoldenGate(Struct, frozen=True):
    """A gate of a stage that holds versions against samples."""

    stage: str
    gate: str
    tolerance: str
    outcome: GoldenOutcome | None


class GoldenRow(Struct, frozen=True):
    """A sample by its number from 1; ``answer`` is what the model gave where evidence says it."""

    number: int
    inputs: tuple[str, ...]
    expected: str
    answer: str = ""
    difference: str = ""


class GoldenFile(Struct, frozen=True):
    """A file of samples as ``commit`` has it; ``note`` says why there are no rows of it."""

    path: str
    commit: str
    gates: tuple[GoldenGate, ...]
    columns: tuple[PreviewColumn, ...] = ()
    expected: PreviewColumn | None = None
    rows: tuple[GoldenRow, ...] = ()
    row_count: int | None = None
    columns_left: int = 0
    note: str = ""

    @property
    def has_answers(self) -> bool:
        return any(row.answer for row in self.rows)


def list_golden_files(facts: ProjectFacts, entries: Sequence[HistoryEntry]) -> Iterator[GoldenFile]:
    """The files that golden gates of the policy name, each once, as main has them now; ``entries``
    are the decisions about the version, whose evidence may say what it answered."""
    if facts.policy is None:
        return
    try:
        repository = facts.workspace.registry_at_hand
        base = main_branch.main_commit(repository)
        if base is None:
            return
        samples = list(read_golden_samples(repository, base, facts.workspace.folder, facts.policy))
    except TowpathError as unreadable:
        facts.notes.append(unreadable.faults[0].what)
        return
    pages = _read_gate_cells(facts, entries) if samples else {}
    grouped: dict[tuple[str, str], list[GoldenSamples]] = {}
    for sample in samples:
        grouped.setdefault((sample.declared.samples, sample.declared.expected), []).append(sample)
    for (path, _), group in grouped.items():
        answers: dict[int, str] = {}
        gates = []
        for sample in group:
            outcome, off = pages.get((sample.stage, sample.gate), (None, {}))
            answers = answers or off
            tolerance = describe_tolerance(sample.declared)
            gates.append(GoldenGate(sample.stage, sample.gate, tolerance, outcome))
        file = GoldenFile(path, base[:7], tuple(gates), note=group[0].missing)
        yield file if file.note else _fill_rows(file, group[0], answers)


_ESCAPED = re.compile(r"\\([\\`*_{}\[\]|~!$])")


def _read_gate_cells(
    facts: ProjectFacts, entries: Sequence[HistoryEntry]
) -> Mapping[tuple[str, str], tuple[GoldenOutcome, dict[int, str]]]:
    """What evidence and stage tags say, by stage and gate: the outcome, and the answers named."""
    repository = facts.workspace.registry_at_hand
    places = {f"{e.commit}:{e.evidence}": e for e in entries if e.evidence}  # the newest is last
    texts = refs.read_contents(repository, places)
    outcomes: dict[tuple[str, str], tuple[GoldenOutcome, dict[int, str]]] = {}
    for place, content in texts.items():
        entry = places[place]
        for gate, cells in read_evidence(content.decode("utf-8", "replace")).gates.items():
            state, _, value, *_ = cells
            count, _, detail = _ESCAPED.sub(r"\1", value).partition("; ")
            if not count:  # it waits for the deployment
                continue
            outcome = GoldenOutcome(entry.stage, entry.promotion_name, "passed" in state, count)
            outcomes[entry.stage, gate] = outcome, read_off_samples(detail)
    for entry in entries:
        for deployed in entry.gates:
            if deployed.kind == "golden":  # at the deployment, which only its tag tells
                words = verdict_cell(deployed.value)
                outcome = GoldenOutcome(entry.stage, entry.promotion_name, True, words)
                outcomes[entry.stage, deployed.gate] = outcome, {}
    return outcomes


def _fill_rows(file: GoldenFile, samples: GoldenSamples, answers: Mapping[int, str]) -> GoldenFile:
    name, expected = samples.declared.samples, samples.declared.expected
    if name.lower().endswith(".json"):
        preview = _preview_json_samples(samples.content)
        expected = _EXPECTED
    else:
        preview = preview_content(samples.content, name)
    table = preview.table
    if table is None:
        return replace(file, note=" ".join(preview.notes) or f"{name} is no table.")
    place = next((i for i, column in enumerate(table.columns) if column.name == expected), None)
    if place is None:
        what = f"{name} has no column `{expected}`"
        where = " among the first" if table.columns_left else ""
        return replace(file, note=f"{what}{where}.")
    return replace(
        file,
        columns=table.columns[:place] + table.columns[place + 1 :],
        expected=table.columns[place],
        rows=tuple(_golden_rows(table, place, answers)),
        row_count=table.row_count,
        columns_left=table.columns_left,
    )


def _golden_rows(
    table: TablePreview, place: int, answers: Mapping[int, str]
) -> Iterator[GoldenRow]:
    for number, cells in enumerate(table.rows, 1):
        # The first, and beyond them those of which evidence says that they came out otherwise.
        if number <= _ROWS or number in answers:
            shown = [_shorten_number(*pair) for pair in zip(table.columns, cells, strict=False)]
            inputs, answer = (*shown[:place], *shown[place + 1 :]), answers.get(number, "")
            difference = ""
            with suppress(ValueError):  # texts, or several outputs
                difference = f"{float(answer) - float(cells[place]):+.4g}"
            yield GoldenRow(number, inputs, cells[place], answer, difference)


def _shorten_number(column: PreviewColumn, cell: str) -> str:
    """0.101 of 0.10099999999999999, as whoever wrote the file had it; all of what is no other
    number's shadow, such as 123456789012."""
    if column.type != "number" or len(cell) <= 11:
        return cell
    try:
        exact = float(cell)
    except ValueError:  # one of hundreds of digits, which was cut
        return cell
    short = f"{exact:.9g}"
    return short if math.isclose(float(short), exact, rel_tol=1e-14) else cell


_EXPECTED = "expected"


def _preview_json_samples(content: bytes) -> FilePreview:
    """JSON samples as a table whose last column is what is expected."""
    wrong = FilePreview(notes=('It is no list of {"inputs": {...}, "expected": ...}.',))
    try:
        document = parse_json(content)
    except (Malformed, RecursionError):
        return wrong
    if not isinstance(document, list):
        return wrong
    rows = []
    for sample in document:
        inputs = sample.get("inputs") if isinstance(sample, Mapping) else None
        if not isinstance(inputs, Mapping):
            return wrong
        # One of the inputs may itself be called as the answer is.
        named = {f"{name} " if name == _EXPECTED else name: v for name, v in inputs.items()}
        # What is expected goes first, so that it is never left out.
        rows.append({_EXPECTED: sample.get(_EXPECTED), **named})
    table = list_rows(rows)
    return FilePreview(table) if table else wrong
