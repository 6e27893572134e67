"""What a project needs its forge to enforce, and what of that the forge does not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.forge.forge_backend import Environment, Rules

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

#: The template's workflows, and the check that each of two gives to a pull request.
WORKFLOWS = ("checks", "promotion", "training", "promote", "reconcile", "drift")
CHECKS = ("checks", "promotion")
#: Versions and their rejections; stage tags.
TAGS = ("*@v*", "*#*")


@dataclass(frozen=True)
class Lack:
    """A rule that is not enforced as it should be. ``where`` is ``main``, ``tags`` or the name of
    an environment with ``environment `` before it."""

    where: str
    rule: str
    wanted: str
    actual: str

    def __str__(self) -> str:
        return f"{self.where}: {self.rule}: {self.wanted}; now: {self.actual}"


def derive_forge_rules(
    project: Project, main: str = "main", workflows: Collection[str] = WORKFLOWS
) -> Rules:
    """What the forge must enforce for a project, by its declaration alone.

    ``workflows`` are those that the repository has: a required check that no workflow gives would
    stop every merge.
    """
    reviewed = any(
        (stage.approval or project.policy.approval) == "forge" for stage in project.stages.values()
    )
    return Rules(
        required_checks=tuple(name for name in CHECKS if name in workflows),
        pull_request=True,
        approvals=1 if reviewed else 0,
        code_owners=reviewed,
        dismiss_stale=reviewed,
        last_push=reviewed,
        no_force_push=True,
        protected_tags=TAGS,
        tag_writers=(project.forge.tag_writers if project.forge else ()) or None,
        environments={
            environment.name: environment
            for environment in _wanted_environments(project, main, workflows)
        },
    )


def _wanted_environments(
    project: Project, main: str, workflows: Collection[str]
) -> Iterator[Environment]:
    """The environments that the workflows name: only main may use one."""
    for name, stage in project.stages.items():
        yield Environment(name, _forge_reviewers(stage.approvers), (main,))
        if "drift" in workflows:
            yield Environment(f"{name}-read", (), (main,))
    for name in ("training", "promote"):
        if name in workflows:
            yield Environment(name, (), (main,))


def _forge_reviewers(approvers: Collection[str]) -> tuple[str, ...]:
    """Those approvers that a forge knows: logins and teams. Mails are for signatures."""
    logins = (approver for approver in approvers if "@" not in approver.removeprefix("@"))
    return tuple(approver if "/" in approver else approver.removeprefix("@") for approver in logins)


def find_lacking_rules(wanted: Rules, actual: Rules) -> tuple[Lack, ...]:
    """What is wanted and not enforced. A forge that enforces more than is wanted lacks nothing."""
    return (*_of_main(wanted, actual), *_of_tags(wanted, actual), *_of_places(wanted, actual))


def _of_main(wanted: Rules, actual: Rules) -> Iterator[Lack]:
    named = (
        ("pull_request", "changes come by pull request alone"),
        ("no_force_push", "no history is overwritten, and it is not deleted"),
        ("code_owners", "a code owner reviews"),
        ("dismiss_stale", "a push dismisses the reviews before it"),
        ("last_push", "who pushed last does not count as reviewer"),
    )
    for name, rule in named:
        if getattr(wanted, name) and not getattr(actual, name):
            yield Lack("main", rule, "yes", "no")
    if wanted.approvals > actual.approvals:
        many = str(wanted.approvals)
        yield Lack("main", "reviews that approve", f"at least {many}", str(actual.approvals))
    missing = [check for check in wanted.required_checks if check not in actual.required_checks]
    if missing:
        actual_checks = ", ".join(actual.required_checks) or "none"
        yield Lack(
            "main", "checks that must pass", ", ".join(wanted.required_checks), actual_checks
        )


def _of_tags(wanted: Rules, actual: Rules) -> Iterator[Lack]:
    for pattern in wanted.protected_tags:
        if pattern not in actual.protected_tags:
            yield Lack("tags", f"{pattern} is not moved or deleted", "by nobody", "by who may push")
    if wanted.tag_writers is not None and _lowercase_set(wanted.tag_writers) != _lowercase_set(
        actual.tag_writers
    ):
        patterns = " and ".join(wanted.protected_tags)
        yield Lack(
            "tags",
            f"{patterns} is made",
            _allowed_writers(wanted.tag_writers),
            _allowed_writers(actual.tag_writers),
        )


def _of_places(wanted: Rules, actual: Rules) -> Iterator[Lack]:
    for name, place in wanted.environments.items():
        where, existing = f"environment {name}", actual.environments.get(name)
        if existing is None:
            yield Lack(where, "is there", "yes", "no")
        current = existing or Environment(name)
        if place.reviewers and _lowercase_set(place.reviewers) != _lowercase_set(current.reviewers):
            agreed = ", ".join(current.reviewers) or "nobody"
            yield Lack(where, "who must agree", ", ".join(place.reviewers), agreed)
        if place.branches != current.branches:
            yield Lack(
                where,
                "may be used from",
                _allowed_branches(place.branches),
                _allowed_branches(current.branches),
            )


def _lowercase_set(names: Collection[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(name.lower() for name in names)


def _allowed_writers(writers: Collection[str] | None) -> str:
    return "by who may push" if writers is None else f"by {', '.join(writers) or 'nobody'}"


def _allowed_branches(branches: Collection[str] | None) -> str:
    return "any branch" if branches is None else ", ".join(branches) or "no branch"
