"""Promotions: a stage file, its evidence, a branch, a pull request, and who let it in."""

from towpath.delivery.promotion.decide_promotion import (
    ApprovedPromotion,
    RejectedPromotion,
    approve_promotion,
    find_waiting_promotions,
    reject_promotion,
)
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.promotion_check import CheckedBranch, check_promotion_branch
from towpath.delivery.promotion.propose import (
    ProposedPromotion,
    ReviewGatesRefused,
    propose_demotion,
    propose_promotion,
    propose_rollback,
)

__all__ = [
    "ApprovedPromotion",
    "CheckedBranch",
    "PromotionCase",
    "ProposedPromotion",
    "RejectedPromotion",
    "ReviewGatesRefused",
    "approve_promotion",
    "check_promotion_branch",
    "find_waiting_promotions",
    "propose_demotion",
    "propose_promotion",
    "propose_rollback",
    "reject_promotion",
]
