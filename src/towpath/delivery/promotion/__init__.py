"""Promotions: a stage file, its evidence, a branch, a pull request, and who let it in."""

from towpath.delivery.promotion import approval
from towpath.delivery.promotion.approval import Approval
from towpath.delivery.promotion.decide_promotion import Put, approve, refuse, waiting
from towpath.delivery.promotion.merge_promotion import Approved
from towpath.delivery.promotion.promotion_case import Case
from towpath.delivery.promotion.promotion_check import Checked, check
from towpath.delivery.promotion.proposal import GatesRefused, Proposed
from towpath.delivery.promotion.propose import demote, promote, rollback

__all__ = [
    "Approval",
    "Approved",
    "Case",
    "Checked",
    "GatesRefused",
    "Proposed",
    "Put",
    "approval",
    "approve",
    "check",
    "demote",
    "promote",
    "refuse",
    "rollback",
    "waiting",
]
