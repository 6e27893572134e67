"""A promotion as a change of files: its branch, its commit, its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.delivery.promotion import evidence
from towpath.delivery.promotion.promotion_case import PromotionCase, name_promotion
from towpath.errors import Fault, Refused
from towpath.registry import ownership, stage_files

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict

PROMOTION_PREFIX = "promote/"


@dataclass(frozen=True)
class ProposedPromotion:
    """What came of proposing. ``head`` is None where nothing was written (``dry_run``), ``url``
    where there is no pull request. ``new`` is False where the branch had been there before;
    ``pushed`` says whether the remote has it. ``files`` is by path from the repository's root;
    a path in ``without`` is taken away. ``unchecked`` says which bytes could not be looked at.
    """

    case: PromotionCase
    branch: str
    base: str
    evidence: str
    verdicts: tuple[GateVerdict, ...]
    files: Mapping[str, bytes]
    without: tuple[str, ...] = ()
    head: str | None = None
    url: str | None = None
    number: int | None = None
    new: bool = True
    pushed: bool = False
    unchecked: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no gate holds this up."""
        return self.case.back or all(verdict.passed for verdict in self.verdicts)


class ReviewGatesRefused(Refused):
    """A review gate said no; ``proposed`` is what would have been written."""

    def __init__(self, proposed: ProposedPromotion) -> None:
        super().__init__(*gate_failures(proposed.case, proposed.verdicts))
        self.proposed = proposed


def draft_promotion(
    case: PromotionCase, verdicts: tuple[GateVerdict, ...], record: bytes | None, why: str | None
) -> ProposedPromotion:
    """A promotion before anything is written; ``record`` is the bytes of the version's tag."""
    stage_file, record_file, page = case.file_paths
    text = evidence.write_evidence(case, verdicts, why)
    files = {page: text.encode()}
    if case.written_stage_file and record is not None:
        files |= {
            stage_file: stage_files.write_stage_file(case.written_stage_file).encode(),
            record_file: record,
        }
    if case.written_stage_file and case.claims:
        files[ownership.claim_path(case.model)] = ownership.write_claim(case.folder)
    return ProposedPromotion(
        case=case,
        branch=name_promotion_branch(case),
        base=case.base,
        evidence=text,
        verdicts=verdicts,
        files=files,
        without=() if case.written_stage_file else (stage_file,),
    )


def name_promotion_branch(case: PromotionCase) -> str:
    """The branch of a promotion, the same each time."""
    return f"{PROMOTION_PREFIX}{case.model}-{case.candidate_version or 'out'}-{case.stage}"


def promotion_message(case: PromotionCase, why: str | None = None) -> str:
    """The message of a promotion's commit; a squash keeps it, and with it the trailers."""
    lines = [evidence.promotion_title(case), ""]
    if why:
        lines += [" ".join(why.split()), ""]
    return "\n".join([*lines, *promotion_trailers(case)]) + "\n"


def promotion_trailers(case: PromotionCase) -> list[str]:
    """What tools read of a promotion's commit."""
    named = [f"Promotion: {name_promotion(case.model, case.candidate_version, case.stage)}"]
    if case.candidate:
        named += [f"Digest: {case.model}@{case.candidate_version} sha256:{case.candidate.sha256}"]
    return [*named, *([f"Replaces: {case.incumbent_version}"] if case.incumbent_version else [])]


def gate_failures(case: PromotionCase, verdicts: Sequence[GateVerdict]) -> list[Fault]:
    """The gates that said no, each with what it found."""
    return [_gate_fault(case, verdict) for verdict in verdicts if not verdict.passed]


def _gate_fault(case: PromotionCase, verdict: GateVerdict) -> Fault:
    parts = [f"value {verdict.value}" if verdict.value is not None else "", verdict.detail]
    because = "; ".join(part for part in parts if part)
    bound = f", bound {verdict.bound}" if verdict.bound is not None else ""
    what = (
        f"the gate `{verdict.gate}` keeps {case.model}@{case.candidate_version} out of {case.stage}"
    )
    where = f"declared at {verdict.source}" if verdict.source else None
    return Fault(f"{what}: {because}{bound}", hint=where)
