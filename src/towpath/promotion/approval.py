"""Who let a promotion in, and how sure one can be of it: forge, signed, recorded, or nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from towpath.git import Repository, history, refs
from towpath.promotion import owners, signing
from towpath.promotion.case import paths
from towpath.registry import Promotion, stages

if TYPE_CHECKING:
    from towpath.forge import Forge, PullRequest, Review
    from towpath.spec.project import Project

Level: TypeAlias = Literal["forge", "signed", "recorded", "none"]
ORDER: tuple[Level, ...] = ("none", "recorded", "signed", "forge")

OWN = "who made it"
ANOTHER = "ask a colleague; a project of one says `policy: {self_approval: true}` on main"

_NOREPLY = re.compile(r"(?:\d+\+)?(?P<login>[\w\[\]-]+)@users\.noreply\.[\w.-]+")
_PERSON = re.compile(r"[^<]*<(?P<mail>[^>]*)>")


@dataclass(frozen=True)
class Approval:
    """The highest level that a promotion reached. ``by`` are logins, signers or names with mails;
    ``where`` is the pull request's address, or the merge; ``evidence`` is the page on main that
    the approver saw; ``why`` says what a higher level lacked."""

    level: Level
    by: tuple[str, ...] = ()
    where: str | None = None
    evidence: str | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.level == "none":
            return "nobody approved" + (f": {self.why}" if self.why else "")
        where = f" ({self.where})" if self.where else ""
        return f"{self.level}: {', '.join(self.by)}{where}"


@dataclass(frozen=True)
class _Asked:
    """A promotion, and what it is judged by."""

    promotion: Promotion
    repository: Repository
    project: Project
    forge: Forge | None
    parent: str

    @cached_property
    def base(self) -> str:
        """Main before any of it: of a rebase that is before the first of its commits, so that
        none of them says who may approve the others."""
        commit, forge = self.parent, self.forge
        while forge and self.pull and self.promotion.head is None:
            before = history.parents(self.repository, commit)
            if not before or all(p.number != self.pull.number for p in forge.of_commit(commit)):
                break
            commit = before[0]
        return commit

    @property
    def named(self) -> tuple[str, ...]:
        """Whom CODEOWNERS of the base or the stage's policy names."""
        stage = self.project.stages.get(self.promotion.stage)
        declared = stage.approvers if stage else ()
        return (*owners.of(self.repository, self.base, self.promotion.path), *declared)

    @property
    def authors(self) -> frozenset[str]:
        """The mails and logins of those who wrote the promotion."""
        head = self.promotion.head or self.promotion.commit
        return people(history.authors(self.repository, self.base, head))

    @cached_property
    def pull(self) -> PullRequest | None:
        """The pull request that brought it: the forge says so, and its head is the one merged."""
        found = self.forge.of_commit(self.promotion.commit) if self.forge else ()
        merged = (pull for pull in found if pull.state == "merged")
        mine = (pull for pull in merged if self.promotion.head in (None, pull.head))
        one = next(mine, None)
        return self.forge.pull(one.number) if self.forge and one else None  # with who merged it


def of(
    promotion: Promotion, repository: Repository, project: Project, forge: Forge | None = None
) -> Approval:
    """Who approved a promotion, at the highest level that can be shown.

    Owners and signers are those of the commit before it; ``project`` says who may approve and
    whether authors may. Raises ``ForgeError`` where the forge does not answer.
    """
    before = history.parents(repository, promotion.commit)
    if not before:
        return Approval("none", why="it came with the first commit")
    asked = _Asked(promotion, repository, project, forge, before[0])
    page = _page(asked)
    lacks: list[str] = []
    for way in (_forge, _signed, _recorded):
        found = way(asked)
        if not isinstance(found, str):
            return Approval(found.level, found.by, found.where, page, "; ".join(lacks))
        lacks += [found] if found else []
    return Approval("none", evidence=page, why="; ".join(lacks))


def least(project: Project, stage: str) -> Level:
    """The least level that the policy asks of a stage."""
    declared = project.stages.get(stage)
    return (declared.approval if declared else None) or project.policy.approval


def enough(approval: Approval, level: Level) -> bool:
    """Whether an approval reaches a level."""
    return ORDER.index(approval.level) >= ORDER.index(level)


def people(pairs: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Mails, lower case, and the logins in mails that a forge made up for its users."""
    found = {mail.lower() for _, mail in pairs}
    logins = {known["login"] for mail in found if (known := _NOREPLY.fullmatch(mail))}
    return frozenset(found | logins)


def standing(reviews: Sequence[Review], head: str) -> dict[str, Review]:
    """The reviews that approve a head, by login: of each person the last word counts."""
    last: dict[str, Review] = {}
    for review in reviews:
        if review.state in ("approved", "changes_requested", "dismissed"):
            last[review.user.lower()] = review
    return {
        user: one for user, one in last.items() if one.state == "approved" and one.commit == head
    }


def _forge(asked: _Asked) -> Approval | str:
    if asked.forge is None:
        return ""
    if asked.pull is None:
        return f"{asked.forge.name} knows no merged pull request of it"
    pull = asked.pull
    if not _is_what_was_seen(asked, pull.head):
        return f"main holds another stage file than {pull.url} did"
    approved = standing(asked.forge.reviews(pull.number), pull.head)
    if not approved:
        return f"{pull.url} was merged without an approving review of its head"
    authors = {pull.author.lower(), *asked.authors}
    free = asked.project.policy.self_approval
    others = [user for user in approved if free or user not in authors]
    may = owners.people(asked.named, asked.forge)
    by = tuple(approved[user].user for user in others if user in may)
    if by:
        return Approval("forge", by, pull.url)
    if not others:
        return f"{pull.url} was approved by {OWN} alone"
    said = f"{pull.url} was approved by {', '.join(others)}"
    return f"{said}, whom neither CODEOWNERS nor the policy names"


def _is_what_was_seen(asked: _Asked, head: str) -> bool:
    """Whether main has the stage file of the head that was reviewed: a merge made by hand may hold
    anything. Of a squash the head may be gone, and the forge made it."""
    if asked.repository.commit(head) is None:
        return True
    names = [f"{commit}:{asked.promotion.path}" for commit in (head, asked.promotion.commit)]
    found = refs.contents(asked.repository, names)
    return found.get(names[0]) == found.get(names[1])


def _signed(asked: _Asked) -> Approval | str:
    commit = asked.promotion.commit
    name = signing.signer(asked.repository, commit, asked.base)
    if name is None:
        if signing.is_signed(asked.repository, commit):
            return f"its signature is none of {signing.SIGNERS}'s"
        return ""
    named = owners.mails(asked.named)
    if named and name.lower() not in named:
        return f"{name} signed it, whom the policy does not name"
    if not asked.project.policy.self_approval and name.lower() in asked.authors:
        return f"{OWN} signed it, {name}"
    return Approval("signed", (name,), f"merge {commit[:7]}")


def _recorded(asked: _Asked) -> Approval | str:
    """A merge, and whom it names: the forge's word before that of a message anybody can write."""
    by, authors = _mergers(asked), set(asked.authors)
    if not by:
        return "it came by no merge, and nothing says who let it in"
    if pull := asked.pull:
        authors.add(pull.author.lower())
    found = [person for person in by if _mail(person) not in authors]
    if not found and not asked.project.policy.self_approval:
        return f"{OWN} merged it"
    where = asked.pull.url if asked.pull else f"merge {asked.promotion.commit[:7]}"
    return Approval("recorded", tuple(found or by), where)


def _mergers(asked: _Asked) -> tuple[str, ...]:
    if asked.pull:
        return (asked.pull.merged_by,) if asked.pull.merged_by else ()
    if asked.promotion.head is None:
        return ()
    return asked.promotion.trailers.get("approved-by", ()) or (asked.promotion.author,)


def _mail(person: str) -> str:
    found = _PERSON.fullmatch(person)
    return (found["mail"] if found else person).lower()


def _page(asked: _Asked) -> str | None:
    """The evidence on main, by its path; None where the promotion brought none."""
    one = asked.promotion
    number = one.version
    if number is None:
        was = stages(asked.repository, asked.base).at(one.stage, one.model)
        number = was.version if was else None
    path = paths(one.stage, one.model, number)[2]
    name = f"{one.commit}:{path}"
    return path if name in refs.contents(asked.repository, [name]) else None
