"""To which version a stage goes back: its log, read as a stack."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.errors import UsageError
from towpath.registry import Promotion, VersionNumber

if TYPE_CHECKING:
    from towpath.registry.registry_state import Model


def find_rollback_target(
    case: PromotionCase, rejected: Set[VersionNumber | None], asked: VersionNumber | None = None
) -> VersionNumber:
    """The version that a stage ran before the one it runs; ``asked`` names another of those.

    Going back takes off what was above, so that going back twice goes two back. Raises
    ``UsageError`` where there is nothing to go back to.
    """
    if case.incumbent_version is None:
        hint = f"towpath history {case.model} --stage {case.stage}"
        raise UsageError(f"{case.stage} runs no {case.model}", hint=hint)
    if asked:
        return _check_asked_version(case, asked)
    candidates = [
        version
        for version in _stack_versions(_versions_that_ran(case))
        if version != case.incumbent_version and version not in rejected
    ]
    if candidates:
        return candidates[-1]
    raise UsageError(
        f"{case.stage} ran no other version of {case.model} that still stands",
        hint=f"towpath demote {case.model} --stage {case.stage} takes it out",
    )


def leave_version(model: Model, stage: str, log: Iterable[Promotion]) -> str:
    """The command by which a stage leaves the version that it should run: back to the one before
    that still stands, or out. ``log`` are main's promotions, oldest first."""
    ran = [p.version for p in log if (p.stage, p.model) == (stage, model.name) and p.version]
    rejected = {
        model_version.version
        for model_version in model.versions
        if model_version.rejected is not None
    }
    if any(version not in rejected for version in _stack_versions(ran)[:-1]):
        return f"towpath rollback {model.name} --stage {stage}"
    return f"towpath demote {model.name} --stage {stage}"


def _stack_versions(ran: Iterable[VersionNumber]) -> list[VersionNumber]:
    stack: list[VersionNumber] = []
    for version in ran:
        stack = [*(stack[: stack.index(version)] if version in stack else stack), version]
    return stack


def _versions_that_ran(case: PromotionCase) -> list[VersionNumber]:
    return [
        promotion.version
        for promotion in case.stays
        if promotion.stage == case.stage and promotion.version
    ]


def _check_asked_version(case: PromotionCase, asked: VersionNumber) -> VersionNumber:
    ran = sorted(set(_versions_that_ran(case)))
    if asked == case.incumbent_version and not case.by_hand:
        raise UsageError(f"{case.stage} runs {case.model}@{asked} already")
    if asked not in ran:
        what = f"{case.stage} never ran {case.model}@{asked}, so that is no rollback"
        hint = f"it ran {', '.join(map(str, ran))}"
        raise UsageError(
            what, hint=f"{hint}; towpath promote {case.model}@{asked} --to {case.stage}"
        )
    return asked
