"""A promotion that waits: the evidence as it was proposed, and what its merge would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.backends.git import branches, commit_history, refs
from towpath.delivery.promotion.propose import PROMOTION_PREFIX
from towpath.studio.pages.page_kind import NoSuchPage

if TYPE_CHECKING:
    from towpath.delivery.promotion.decide_promotion import WaitingPromotion
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_EVIDENCE = "registry/evidence/"


@dataclass(frozen=True)
class PromotionList:
    waiting: tuple[tuple[str, WaitingPromotion], ...]


@dataclass(frozen=True)
class PromotionPage:
    """``evidence`` is Markdown; ``files`` are those that the merge changes."""

    name: str
    promotion: WaitingPromotion
    head: str
    evidence: str
    files: tuple[str, ...]


def short_name(branch: str) -> str:
    return branch.removeprefix(PROMOTION_PREFIX)


def gather_promotions(facts: ProjectFacts, _: PageRequest) -> PromotionList:
    return PromotionList(tuple((short_name(p.branch), p) for p in facts.waiting_promotions))


def gather_promotion(facts: ProjectFacts, request: PageRequest) -> PromotionPage:
    name = request.names["promotion"]
    waiting = next((p for p in facts.waiting_promotions if short_name(p.branch) == name), None)
    if waiting is None:
        raise NoSuchPage(f"no promotion `{name}` waits")
    repository = facts.workspace.registry
    head = branches.branch_commit(repository, waiting.branch)
    main = branches.main_commit(repository)
    start = commit_history.merge_base(repository, main, head) if head and main else None
    if head is None or start is None:
        return PromotionPage(name, waiting, "", "", ())
    paths = tuple(change.path for change in commit_history.changed_files(repository, start, head))
    page = next((p for p in paths if p.startswith(_EVIDENCE)), None)
    content = refs.read_content(repository, head, page) if page else None
    evidence = (content or b"").decode("utf-8", "replace")
    return PromotionPage(name, waiting, head, evidence, paths)
