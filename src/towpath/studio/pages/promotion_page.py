"""Promotions: those that wait, with all that a reviewer asks for, and those that were decided."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.backends.git import Repository, branches, commit_history, refs, remotes
from towpath.delivery.gates.verdict import verdict_cell
from towpath.delivery.promotion import decide_promotion, evidence
from towpath.delivery.promotion.promotion_review import (
    CaseReview,
    GateStanding,
    PromotionReview,
    list_gate_standings,
    review_decided,
    review_promotion,
)
from towpath.delivery.promotion.propose import PROMOTION_PREFIX, PromotionPlace
from towpath.errors import Fault, RegistryError, TowpathError, UsageError
from towpath.quantities import readable_size
from towpath.studio.bound_bar import BoundedValue
from towpath.studio.pages.compared_values import show_digest
from towpath.studio.pages.page_kind import ListPart, NoSuchPage, PageRequest
from towpath.studio.shown_values import show_change, show_number

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry
    from towpath.backends.git.commit_history import FileChange
    from towpath.delivery.gates import GateVerdict
    from towpath.delivery.promotion.decide_promotion import WaitingPromotion
    from towpath.delivery.promotion.promotion_case import PromotionCase
    from towpath.delivery.reconcile.deployment_record import DeployedGate
    from towpath.registry import VersionRecord
    from towpath.studio.project_facts import ProjectFacts

ON_A_PAGE = 50  # of those that wait, and of those that were decided
_DIFF_LINES, _DIFF_BYTES = 400, 200_000  # of a file


class WaitingLine(Struct, frozen=True):
    name: str
    promotion: WaitingPromotion
    proposed: str


class PromotionList(Struct, frozen=True):
    """``waiting`` and ``decided`` are one page each of as many as there are."""

    waiting: ListPart[WaitingLine]
    waiting_count: int
    decided: ListPart[tuple[str, HistoryEntry]]
    decided_count: int


class GateLine(Struct, frozen=True):
    """A gate of the stage: ``state`` is `passed`, `failed`, `waits` (for the deployment), or
    `proposed`, whose words are what the proposer's own judging found."""

    name: str
    kind: str
    state: str
    value: str
    bound: str
    detail: str
    source: str
    bar: BoundedValue | None = None


class ComparedMetric(Struct, frozen=True):
    name: str
    before: str
    after: str
    change: str
    verdict: str


class ChangedFact(Struct, frozen=True):
    what: str
    before: str
    after: str


class ShownCase(Struct, frozen=True):
    """What enters which stage over what, and what is to be known of it."""

    model: str
    version: str
    stage: str
    over: str
    is_rollback: bool
    reason: str
    gates: tuple[GateLine, ...]
    metrics: tuple[ComparedMetric, ...]
    differences: tuple[ChangedFact, ...]
    origin: tuple[tuple[str, str], ...]
    run: str
    steps: str
    evidence: str
    needed: str
    is_own_allowed: bool
    people: tuple[str, ...]


class FileDiff(Struct, frozen=True):
    """A file that the merge changes; ``lines`` are a sign (`+`, `-`, `@` or a space) and text."""

    path: str
    verb: str
    lines: tuple[tuple[str, str], ...]
    added: int
    removed: int
    left_out: int


class PromotionPage(Struct, frozen=True):
    """``waiting`` or ``decided``, never both; ``faults`` are what approving would be refused
    for."""

    name: str
    title: str
    author: str
    proposed: str
    head: str
    waiting: WaitingPromotion | None
    decided: HistoryEntry | None
    cases: tuple[ShownCase, ...]
    faults: tuple[Fault, ...]
    files: tuple[FileDiff, ...]
    actor: str
    reviews: tuple[tuple[str, str], ...] = ()

    @property
    def gate_counts(self) -> Counter[str]:
        return Counter(gate.state for case in self.cases for gate in case.gates)

    @property
    def gate_words(self) -> str:
        """How many gates passed, failed, are as their proposer wrote, or wait for deploying."""
        words = {"passed": "passed", "failed": "failed", "proposed": "as proposed",
                 "waits": "judged later"}  # fmt: skip
        counts = ((self.gate_counts[state], word) for state, word in words.items())
        return ", ".join(f"{count} {word}" for count, word in counts if count)


def short_name(branch: str) -> str:
    return branch.removeprefix(PROMOTION_PREFIX)


def gather_promotions(facts: ProjectFacts, request: PageRequest) -> PromotionList:
    waits, decisions = facts.waiting_promotions, tuple(facts.decisions.items())
    # Of a site of files each that waits has a page, to which this one leads.
    most = max(ON_A_PAGE, len(waits)) if request.is_static else ON_A_PAGE
    waiting = request.cut_list(waits, most, "waiting")
    times = _proposal_times(facts) if waits else {}
    lines = tuple(
        WaitingLine(short_name(wait.branch), wait, times.get(wait.branch, ""))
        for wait in waiting.rows
    )
    decided = request.cut_list(decisions, ON_A_PAGE)
    entries = facts.judge_decisions([promotion for _, promotion in decided.rows])
    named = tuple(zip((name for name, _ in decided.rows), entries, strict=False))
    return PromotionList(
        ListPart(lines, waiting.page, waiting.pages), len(waits),
        ListPart(named, decided.page, decided.pages), len(decisions),
    )  # fmt: skip


def _proposal_times(facts: ProjectFacts) -> Mapping[str, str]:
    """When the head of each promotion's branch was made, here or at the remote as it was last
    fetched."""
    place = _find_place(facts)
    try:
        return branches.read_head_dates(place.repository, PROMOTION_PREFIX, place.remote)
    except RegistryError:  # an object is damaged: its own page says so
        return {}


def _find_place(facts: ProjectFacts) -> PromotionPlace:
    repository = facts.workspace.registry_at_hand
    return PromotionPlace(facts.workspace, repository, remote=remotes.choose_remote(repository))


def _commit_time(repository: Repository, commit: str) -> str:
    if not commit:
        return ""
    words = ("show", "--no-patch", "--format=%cI", commit)
    return repository.recall_output(*words, about=[commit]).strip()


def gather_promotion(facts: ProjectFacts, request: PageRequest) -> PromotionPage:
    name = request.names["promotion"]
    waiting = next((p for p in facts.waiting_promotions if short_name(p.branch) == name), None)
    if waiting:
        return _gather_waiting(facts, name, waiting)
    promotion = facts.decisions.get(name)
    decided = next(iter(facts.judge_decisions([promotion])), None) if promotion else None
    if decided is None:
        what = f"no promotion `{name}` waits, and none was merged"
        raise NoSuchPage(f"{what}; of one that was rejected Git keeps nothing")
    repository = facts.workspace.registry_at_hand
    base = next(iter(commit_history.commit_parents(repository, decided.commit)), None)
    place = decided.stage, decided.model, decided.version
    review = _attempt_review(facts, base, decided.commit, place)
    return PromotionPage(
        name, f"{decided.model}@{decided.version} into {decided.stage}", decided.author,
        decided.merged, decided.commit, None, decided,
        _show_cases(facts, review, {gate.gate: gate for gate in decided.gates}), (),
        _list_diffs(repository, base, decided.commit), "",
    )  # fmt: skip


def _gather_waiting(facts: ProjectFacts, name: str, waiting: WaitingPromotion) -> PromotionPage:
    place = _find_place(facts)
    repository, head = place.repository, ""
    with suppress(UsageError):  # here, or at the remote as it was last fetched; else nowhere
        head = decide_promotion.find_branch_head(place, waiting.branch)
    start = commit_history.merge_base(repository, place.base, head) if head else None
    review = _attempt_review(facts, place.base, head) if start else None
    actor = ""
    with suppress(TowpathError):  # approving says what to type
        actor = str(repository.read_identity())
    return PromotionPage(
        name, waiting.title, waiting.author, _commit_time(repository, head), head,
        waiting, None, _show_cases(facts, review), review.faults if review else (),
        _list_diffs(repository, start, head), actor,
        tuple(
            (r.user, r.state.replace("_", " ") + ("" if r.commit == head else ", of an older head"))
            for r in facts.promotion_reviews(waiting.branch)
        ),
    )  # fmt: skip


def _attempt_review(
    facts: ProjectFacts, base: str | None, head: str,
    decided: tuple[str, str, str | None] | None = None,
) -> PromotionReview | None:  # fmt: skip
    if base is None:
        return None
    repository, folder = facts.workspace.registry_at_hand, facts.workspace.folder
    try:
        if decided:
            return review_decided(repository, folder, base, head, decided)
        return review_promotion(repository, folder, base, head)
    except TowpathError as unreadable:
        facts.notes += [str(fault) for fault in unreadable.faults]
        return None


def _show_cases(
    facts: ProjectFacts, review: PromotionReview | None,
    deployed: Mapping[str, DeployedGate] = MappingProxyType({}),
) -> tuple[ShownCase, ...]:  # fmt: skip
    """``deployed`` are the gates that the deployment of a decided promotion was let in by."""
    return tuple(_show_case(facts, case, deployed) for case in review.reviews) if review else ()


def _show_case(
    facts: ProjectFacts, review: CaseReview, deployed: Mapping[str, DeployedGate]
) -> ShownCase:
    case, candidate = review.case, review.case.candidate
    page = evidence.read_evidence(review.evidence)
    run = (candidate.run if candidate else None) or ""
    return ShownCase(
        model=case.model,
        version=str(case.candidate_version or ""),
        stage=case.stage,
        over=str(case.incumbent_version or ""),
        is_rollback=case.back,
        reason=page.reason,
        gates=tuple(_gate_lines(case, review.verdicts, page, deployed)),
        metrics=tuple(_compare_cases(facts, case)),
        differences=tuple(_list_differences(case)),
        origin=tuple(_origin_rows(candidate)) if candidate else (),
        run=run,
        steps=page.steps,
        evidence=review.evidence,
        needed=review.needed,
        is_own_allowed=review.is_own_allowed,
        people=review.people,
    )


def _gate_lines(
    case: PromotionCase, verdicts: Sequence[GateVerdict], page: evidence.EvidencePage,
    deployed: Mapping[str, DeployedGate],
) -> Iterator[GateLine]:  # fmt: skip
    """What failed first, then what passed, what only its proposer could judge, what waits."""
    order = ("failed", "passed", "unjudged", "waits")
    standings = list_gate_standings(case, verdicts)
    for standing in sorted(standings, key=lambda standing: order.index(standing.state)):
        gate = deployed.get(standing.gate)
        if standing.state == "waits" and gate:
            words = gate.detail or f"judged in {case.stage}, before it was switched"
            value, bound = verdict_cell(gate.value), verdict_cell(gate.bound)
            yield GateLine(gate.gate, gate.kind, "passed", value, bound, words, "")
        else:
            yield _line_of_gate(standing, case.stage, page)


def _line_of_gate(standing: GateStanding, stage: str, page: evidence.EvidencePage) -> GateLine:
    name, kind = standing.gate, standing.kind
    if standing.state == "waits":
        words = f"judged in {stage}, before it is switched"
        return GateLine(name, kind, "waits", "", verdict_cell(standing.bound), words, "")
    if standing.state == "unjudged":
        row = page.gates.get(name, ("", "", "", "", ""))
        return GateLine(name, kind, "proposed", row[2], row[3], row[0], "")
    bar = None
    if standing.number is not None:
        ends = standing.lower, standing.upper, standing.incumbent
        bar = BoundedValue(standing.number, *ends, standing.state == "passed")
    return GateLine(
        name, kind, standing.state, verdict_cell(standing.value), verdict_cell(standing.bound),
        standing.detail, standing.source, bar,
    )  # fmt: skip


def _compare_cases(facts: ProjectFacts, case: PromotionCase) -> Iterator[ComparedMetric]:
    for row in evidence.compare_metrics(case.incumbent, case.candidate):
        verdict = facts.judge_metric(row.name, row.old, row.new)
        change = show_change(row.old, row.new)
        yield ComparedMetric(row.name, show_number(row.old), show_number(row.new), change, verdict)


def _list_differences(case: PromotionCase) -> Iterator[ChangedFact]:
    if case.incumbent and case.candidate:
        for fact in evidence.compare_facts(case.incumbent, case.candidate):
            before, after = show_digest(fact.old), show_digest(fact.new)
            yield ChangedFact(f"{fact.section} {fact.name}".strip(), before, after)


def _origin_rows(record: VersionRecord) -> Iterator[tuple[str, str]]:
    code = record.code
    yield "code", code.commit + (f" of {code.repository}" if code.repository else "")
    for name, digest in record.data.items():
        yield f"data {name}", digest
    yield "file", f"{record.path}, {readable_size(record.artifact.size)}"
    yield "sha256", record.sha256
    yield "made by", record.author or "unknown"


def _list_diffs(repository: Repository, start: str | None, head: str) -> tuple[FileDiff, ...]:
    if not (start and head):
        return ()
    changes = commit_history.changed_files(repository, start, head)
    sides = {id(change): (f"{start}:{change.path}", f"{head}:{change.path}") for change in changes}
    contents = refs.read_contents(repository, [name for pair in sides.values() for name in pair])
    return tuple(
        _diff_file(change, *(contents.get(name, b"") for name in sides[id(change)]))
        for change in changes
    )


def _diff_file(change: FileChange, before: bytes, after: bytes) -> FileDiff:
    verb = "added" if change.old is None else "removed" if change.new is None else "changed"
    if max(len(before), len(after)) > _DIFF_BYTES or b"\0" in before + after:
        return FileDiff(change.path, verb, (("@", "too large to be shown"),), 0, 0, 0)
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    lines = list(difflib.unified_diff(old, new, lineterm=""))[2:]
    signs = [line[:1] for line in lines]
    shown = tuple((line[:1], line if line[:1] == "@" else line[1:]) for line in lines[:_DIFF_LINES])
    return FileDiff(
        change.path, verb, shown, signs.count("+"), signs.count("-"),
        max(0, len(lines) - _DIFF_LINES),
    )  # fmt: skip
