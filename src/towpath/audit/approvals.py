"""Who let a promotion in, at which level and where: from the forge, from Git, or from a tag."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.audit.ledger import AuditLedger
from towpath.backends.git.commit_history import parse_trailers
from towpath.config.foreign_values import T
from towpath.errors import ForgeError, TowpathError
from towpath.registry import Promotion
from towpath.registry.stage_tags import StageTag

if TYPE_CHECKING:
    from towpath.delivery.promotion.main_line_approvals import ApprovalRule
    from towpath.forge import Forge
    from towpath.workspace import Workspace

UNKNOWN = "unknown"


class AuditedApproval(Struct, frozen=True):
    """Who approved, at which level, where that can be read, and which evidence they saw.

    ``level`` is ``unknown`` where only a forge could tell, and it was not asked or did not
    answer. ``because`` says what a higher level lacked.
    """

    level: str
    by: tuple[str, ...] = ()
    where: str | None = None
    evidence: str | None = None
    because: str | None = None


class Approvals(Struct, dict=True):
    """The approvals of one audit, by the one rule.

    ``forge`` is None where none is configured or to be asked; ``silent`` says why it is not.
    """

    ledger: AuditLedger
    forge: Forge | None = None
    silent: str = "the forge was not asked"
    # Asked once each, since several checks want to know: the forge answers over the network.
    _proved: dict[tuple[str, str], AuditedApproval] = field(default_factory=dict)

    @cached_property
    def rule(self) -> ApprovalRule:
        from towpath.delivery.promotion.main_line_approvals import ApprovalRule

        ledger = self.ledger
        return ApprovalRule(ledger.repository, ledger.main, ledger.folder, self.forge)

    def find_approval(self, promotion: Promotion) -> AuditedApproval:
        """As ``prove_approval``; where only a forge could tell that is not asked, what the stage
        tag claims, which whoever may push tags could have written."""
        proved = self.prove_approval(promotion)
        if proved.level != UNKNOWN:
            return proved
        for tag in self.ledger.find_tags(promotion):
            if claimed := _in_tag(tag.tag.message):
                return replace(claimed, because=f"its stage tag says so: {self.silent}")
        return proved

    def prove_approval(self, promotion: Promotion) -> AuditedApproval:
        """What the forge or Git say themselves; asked once."""
        place = promotion.commit, promotion.path
        if place not in self._proved:
            try:
                approval = self.rule.judge(promotion).approval
            except ForgeError as silent:
                proved = AuditedApproval(UNKNOWN, because=silent.faults[0].what)
            else:
                # Then only the forge, which was not asked, could tell.
                is_unproved = self.rule.find_unproved([promotion])
                proved = AuditedApproval(
                    UNKNOWN if is_unproved else approval.level,
                    approval.by,
                    approval.where,
                    approval.evidence,
                    self.silent if is_unproved else approval.why or None,
                )
            self._proved[place] = proved
        return self._proved[place]

    def find_excess_claim(self, tag: StageTag, promotion: Promotion) -> AuditedApproval | None:
        """What a stage tag claims of its promotion's approval, where that is more than is so."""
        from towpath.delivery.promotion import promotion_approval

        levels: Sequence[str] = promotion_approval.LEVEL_ORDER
        claimed, proved = _in_tag(tag.tag.message), self.prove_approval(promotion)
        if claimed is None or proved.level == UNKNOWN or claimed.level == proved.level:
            return None
        # Less than is so is no lie: a forge may have been out of reach as the tag was written.
        low = claimed.level in levels and levels.index(claimed.level) < levels.index(proved.level)
        return None if low else claimed


def open_approvals(workspace: Workspace, ledger: AuditLedger, ask: bool) -> Approvals:
    """The approvals of an audit that asks the forge, where there is one and it lets us in."""
    from towpath.delivery.promotion.rules_in_force import connect_forge_in_force

    if not ask:
        return Approvals(ledger)
    try:
        return Approvals(ledger, connect_forge_in_force(workspace, ledger.main))
    except TowpathError as closed:
        return Approvals(ledger, silent=closed.faults[0].what)


def _in_tag(message: str) -> AuditedApproval | None:
    trailers = parse_trailers(message)
    level, where, evidence = (
        next(iter(trailers.get(key, ())), None) for key in ("approval", "where", "evidence")
    )
    if level is None:
        return None
    # One that ends in a mail may hold the comma itself: `Lovelace, Ada <ada@example.org>`.
    lines = trailers.get("approved-by", ())
    by = (name for line in lines for name in re.split(r"(?<=>), " if "<" in line else ", ", line))
    return AuditedApproval(level, tuple(by), where, evidence)


def ask_rule(ask: Callable[[], T], otherwise: T) -> T:
    """What the rule of approval says; that a forge keeps silent is told among what could not be
    looked at."""
    try:
        return ask()
    except ForgeError:
        return otherwise
