"""A promotion as a change of files: its branch, its commit, its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.delivery.promotion import evidence
from towpath.delivery.promotion.promotion_case import Case, naming
from towpath.errors import Fault, Refused
from towpath.registry import ownership, stage_files

if TYPE_CHECKING:
    from towpath.delivery.gates import Verdict

BRANCH = "promote/"


@dataclass(frozen=True)
class Proposed:
    """What came of proposing. ``head`` is None where nothing was written (``dry_run``), ``url``
    where there is no pull request. ``new`` is False where the branch had been there before;
    ``pushed`` says whether the remote has it. ``files`` is by path from the repository's root;
    a path in ``without`` is taken away. ``unchecked`` says which bytes could not be looked at.
    """

    case: Case
    branch: str
    base: str
    evidence: str
    verdicts: tuple[Verdict, ...]
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


class GatesRefused(Refused):
    """A review gate said no; ``proposed`` is what would have been written."""

    def __init__(self, proposed: Proposed) -> None:
        super().__init__(*failures(proposed.case, proposed.verdicts))
        self.proposed = proposed


def draft(
    case: Case, verdicts: tuple[Verdict, ...], record: bytes | None, why: str | None
) -> Proposed:
    """A promotion before anything is written; ``record`` is the bytes of the version's tag."""
    stage_file, record_file, page = case.paths
    text = evidence.write(case, verdicts, why)
    files = {page: text.encode()}
    if case.wanted and record is not None:
        files |= {stage_file: stage_files.write(case.wanted).encode(), record_file: record}
    if case.wanted and case.claims:
        files[ownership.claim_path(case.model)] = ownership.write_claim(case.folder)
    return Proposed(
        case=case,
        branch=branch(case),
        base=case.base,
        evidence=text,
        verdicts=verdicts,
        files=files,
        without=() if case.wanted else (stage_file,),
    )


def branch(case: Case) -> str:
    """The branch of a promotion, the same each time."""
    return f"{BRANCH}{case.model}-{case.version or 'out'}-{case.stage}"


def message(case: Case, why: str | None = None) -> str:
    """The message of a promotion's commit; a squash keeps it, and with it the trailers."""
    lines = [evidence.title(case), ""]
    if why:
        lines += [" ".join(why.split()), ""]
    return "\n".join([*lines, *trailers(case)]) + "\n"


def trailers(case: Case) -> list[str]:
    """What tools read of a promotion's commit."""
    named = [f"Promotion: {naming(case.model, case.version, case.stage)}"]
    if case.candidate:
        named += [f"Digest: {case.model}@{case.version} sha256:{case.candidate.sha256}"]
    return [*named, *([f"Replaces: {case.replaces}"] if case.replaces else [])]


def failures(case: Case, verdicts: Sequence[Verdict]) -> list[Fault]:
    """The gates that said no, each with what it found."""
    return [_fault(case, verdict) for verdict in verdicts if not verdict.passed]


def _fault(case: Case, verdict: Verdict) -> Fault:
    parts = [f"value {verdict.value}" if verdict.value is not None else "", verdict.detail]
    because = "; ".join(part for part in parts if part)
    bound = f", bound {verdict.bound}" if verdict.bound is not None else ""
    what = f"the gate `{verdict.gate}` keeps {case.model}@{case.version} out of {case.stage}"
    where = f"declared at {verdict.source}" if verdict.source else None
    return Fault(f"{what}: {because}{bound}", hint=where)
