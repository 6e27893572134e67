"""Promotions: a stage file, its evidence, a branch, a pull request, and who let it in."""

from towpath.promotion import approval
from towpath.promotion.approval import Approval
from towpath.promotion.case import Case
from towpath.promotion.checking import Checked, check
from towpath.promotion.deciding import Put, approve, refuse, waiting
from towpath.promotion.merging import Approved
from towpath.promotion.proposal import GatesRefused, Proposed
from towpath.promotion.proposing import demote, promote, rollback

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
