"""Who let a promotion in, at which level and where: from the forge, from Git, or from a tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from towpath.audit.ledger import Ledger
from towpath.errors import DeclarationError, ForgeError, TowpathError
from towpath.registry import Promotion, policy
from towpath.registry.promotions import parse_trailers
from towpath.registry.staging import Assigned

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.spec.project import Project
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
    """The approvals of one audit.

    ``forge`` is None where none is configured or to be asked; ``silent`` says why it is not.
    """

    ledger: Ledger
    forge: Forge | None = None
    silent: str = "the forge was not asked"
    _policies: dict[str, Project] = field(default_factory=dict)
    _proved: dict[tuple[str, str], Approved] = field(default_factory=dict)

    def told(self, promotion: Promotion) -> Approved:
        """What reconcile wrote into the stage tag, which no network is needed for; without a tag,
        as ``proved``."""
        for tag in self.ledger.tags(promotion):
            if found := _in_tag(tag.tag.message):
                return found
        return self.proved(promotion)

    def proved(self, promotion: Promotion) -> Approved:
        """What the forge or Git say themselves; asked once."""
        place = promotion.commit, promotion.path
        if place not in self._proved:
            self._proved[place] = self._asked(promotion)
        return self._proved[place]

    def _asked(self, promotion: Promotion) -> Approved:
        from towpath.promotion import approval

        project = self.policy(promotion)
        try:
            found = approval.of(promotion, self.ledger.repository, project, self.forge)
        except ForgeError as silent:
            return Approved(UNKNOWN, because=silent.faults[0].what)
        known = Approved(found.level, found.by, found.where, found.evidence, found.why or None)
        if project.forge is None or self.forge is not None or self.is_enough(promotion, known):
            return known
        return Approved(UNKNOWN, found.by, found.where, found.evidence, self.silent)

    def outdoes(self, tag: Assigned, promotion: Promotion) -> Approved | None:
        """What a stage tag claims of its promotion's approval, where that is more than is so."""
        from towpath.promotion import approval

        known: Sequence[str] = approval.ORDER
        claimed, found = _in_tag(tag.tag.message), self.proved(promotion)
        if claimed is None or found.level == UNKNOWN or claimed.level == found.level:
            return None
        low = claimed.level in known and known.index(claimed.level) < known.index(found.level)
        return None if low else claimed

    def least(self, promotion: Promotion) -> str:
        """The level that the policy asked for at the merge."""
        from towpath.promotion import approval

        return approval.least(self.policy(promotion), promotion.stage)

    def is_enough(self, promotion: Promotion, found: Approved) -> bool:
        """Whether an approval reaches that level."""
        from towpath.promotion import approval

        known: Sequence[str] = approval.ORDER
        return known.index(found.level) >= known.index(self.least(promotion))

    def policy(self, promotion: Promotion) -> Project:
        """The declaration that judged a promotion: that of the commit before it."""
        text = self._texts.get(promotion.commit, "")
        if text not in self._policies:
            self._policies[text] = self._parsed(text)
        return self._policies[text]

    @cached_property
    def _texts(self) -> dict[str, str]:
        """The declarations' texts by promotion: few differ, and all are read in one call."""
        path = policy.place(self.ledger.folder)
        bases = {one.commit: self.ledger.base(one.commit) for one in self.ledger.promotions}
        found = self.ledger.files_at({(base, path) for base in bases.values()})
        told = {commit: found.get((base, path), b"") for commit, base in bases.items()}
        return {commit: text.decode("utf-8", "replace") for commit, text in told.items()}

    def _parsed(self, text: str) -> Project:
        from towpath.spec.project import parse_project

        try:
            return parse_project(text)
        except DeclarationError:  # there was none yet, or one that cannot be read
            return self.ledger.project


def approvals(workspace: Workspace, ledger: Ledger, ask: bool) -> Approvals:
    """The approvals of an audit that asks the forge, where there is one and it lets us in."""
    from towpath.promotion import place

    if not ask:
        return Approvals(ledger)
    try:
        return Approvals(ledger, place.connected(workspace))
    except TowpathError as closed:
        return Approvals(ledger, silent=closed.faults[0].what)


def _in_tag(message: str) -> Approved | None:
    """The approval in a stage tag's message, as ``reconcile`` writes it."""
    said = parse_trailers(message)
    level = next(iter(said.get("approval", ())), None)
    if level is None:
        return None
    first = {key: next(iter(said.get(key, ())), None) for key in ("where", "evidence")}
    by = tuple(name for people in said.get("approved-by", ()) for name in people.split(", "))
    return Approved(level, by, first["where"], first["evidence"])
