"""Who let a promotion in, at which level and where: from the forge, from Git, or from a tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from towpath.audit.ledger import Ledger
from towpath.errors import ForgeError, TowpathError
from towpath.registry import Promotion
from towpath.registry.main_line import parse_trailers
from towpath.registry.stage_tags import Assigned

if TYPE_CHECKING:
    from towpath.delivery.promotion.approval_rule import ApprovalRule, Judgement
    from towpath.forge import Forge
    from towpath.workspace import Workspace

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Approved:
    """Who approved, at which level, where that can be read, and which evidence they saw.

    ``level`` is ``unknown`` where only a forge could tell, and it was not asked or did not
    answer. ``because`` says what a higher level lacked.
    """

    level: str
    by: tuple[str, ...] = ()
    where: str | None = None
    evidence: str | None = None
    because: str | None = None


@dataclass
class Approvals:
    """The approvals of one audit, by the one rule.

    ``forge`` is None where none is configured or to be asked; ``silent`` says why it is not.
    """

    ledger: Ledger
    forge: Forge | None = None
    silent: str = "the forge was not asked"
    _proved: dict[tuple[str, str], Approved] = field(default_factory=dict)

    @cached_property
    def rule(self) -> ApprovalRule:
        """The rule of approval, of the main branch that is audited."""
        from towpath.delivery.promotion.approval_rule import ApprovalRule

        return ApprovalRule(
            self.ledger.repository, self.ledger.main, self.ledger.folder, self.forge
        )

    def told(self, promotion: Promotion) -> Approved:
        """As ``proved``; where only a forge could tell that is not asked, what the stage tag
        claims, which whoever may push tags could have written."""
        known = self.proved(promotion)
        if known.level != UNKNOWN:
            return known
        for tag in self.ledger.tags(promotion):
            if claimed := _in_tag(tag.tag.message):
                return replace(claimed, because=f"its stage tag says so: {self.silent}")
        return known

    def proved(self, promotion: Promotion) -> Approved:
        """What the forge or Git say themselves; asked once."""
        place = promotion.commit, promotion.path
        if place not in self._proved:
            self._proved[place] = self._asked(promotion)
        return self._proved[place]

    def _asked(self, promotion: Promotion) -> Approved:
        try:
            judged = self.judged(promotion)
        except ForgeError as silent:
            return Approved(UNKNOWN, because=silent.faults[0].what)
        found = judged.approval
        known = Approved(found.level, found.by, found.where, found.evidence, found.why or None)
        if not self.rule.unproved([promotion]):
            return known
        return Approved(UNKNOWN, found.by, found.where, found.evidence, self.silent)

    def judged(self, promotion: Promotion) -> Judgement:
        """What the rule says of a promotion. Raises ``ForgeError``."""
        place = promotion.commit, promotion.path
        if place not in self._judged:
            self._judged[place] = self.rule.judge(promotion)
        return self._judged[place]

    @cached_property
    def _judged(self) -> dict[tuple[str, str], Judgement]:
        return {}

    def outdoes(self, tag: Assigned, promotion: Promotion) -> Approved | None:
        """What a stage tag claims of its promotion's approval, where that is more than is so."""
        from towpath.delivery.promotion import approval

        known: Sequence[str] = approval.ORDER
        claimed, found = _in_tag(tag.tag.message), self.proved(promotion)
        if claimed is None or found.level == UNKNOWN or claimed.level == found.level:
            return None
        low = claimed.level in known and known.index(claimed.level) < known.index(found.level)
        return None if low else claimed


def approvals(workspace: Workspace, ledger: Ledger, ask: bool) -> Approvals:
    """The approvals of an audit that asks the forge, where there is one and it lets us in."""
    from towpath.delivery.promotion.rules_in_force import connected

    if not ask:
        return Approvals(ledger)
    try:
        return Approvals(ledger, connected(workspace, ledger.main))
    except TowpathError as closed:
        return Approvals(ledger, silent=closed.faults[0].what)


def _names(people: str) -> list[str]:
    """The names that one line joins by ", ". One that ends in a mail may hold that itself:
    `Lovelace, Ada <ada@example.org>`."""
    return re.split(r"(?<=>), ", people) if "<" in people else people.split(", ")


def _in_tag(message: str) -> Approved | None:
    """The approval in a stage tag's message, as ``reconcile`` writes it."""
    said = parse_trailers(message)
    level = next(iter(said.get("approval", ())), None)
    if level is None:
        return None
    first = {key: next(iter(said.get(key, ())), None) for key in ("where", "evidence")}
    by = tuple(name for people in said.get("approved-by", ()) for name in _names(people))
    return Approved(level, by, first["where"], first["evidence"])
