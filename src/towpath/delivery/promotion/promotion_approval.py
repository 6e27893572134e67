"""Who let a promotion in, and how sure one can be of it: forge, signed, recorded, or nobody.

What counts is written down in docs/trust.md. ``main_line_approvals`` asks it of a whole main.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git import Repository, commit_history, refs
from towpath.backends.git.commit_history import read_trailers
from towpath.backends.git.signatures import SIGNERS, read_allowed_signers
from towpath.delivery.promotion import commit_approvers, rulebook
from towpath.delivery.promotion.commit_approvers import CommitSignature
from towpath.delivery.promotion.rulebook import Rulebook
from towpath.forge import Forge, PullRequest
from towpath.registry import Promotion, VersionNumber, stage_files, version_record
from towpath.registry.main_decisions import EVIDENCE
from towpath.registry.ownership import claim_path

ApprovalLevel: TypeAlias = Literal["forge", "signed", "recorded", "none"]
LEVEL_ORDER: tuple[ApprovalLevel, ...] = ("none", "recorded", "signed", "forge")

OWN = "who made it"
ANOTHER = "ask a colleague; a project of one says `policy: {self_approval: true}` on main"
UNSIGNED = "the promotion is unsigned, so it is nobody's"

_NOREPLY = re.compile(r"(?:\d+\+)?(?P<login>[\w\[\]-]+)@users\.noreply\.[\w.-]+")
_PERSON = re.compile(r"[^<]*<(?P<mail>[^>]*)>")


class PromotionApproval(Struct, frozen=True):
    """The highest level that a promotion reached. ``by`` are logins, signers or names with mails;
    ``where`` is the pull request's address, or the merge; ``evidence`` is the page on main that
    the approver saw; ``why`` says what a higher level lacked."""

    level: ApprovalLevel
    by: tuple[str, ...] = ()
    where: str | None = None
    evidence: str | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.level == "none":
            return "nobody approved" + (f": {self.why}" if self.why else "")
        where = f" ({self.where})" if self.where else ""
        return f"{self.level}: {', '.join(self.by)}{where}"


class ApprovalInquiry(Struct, frozen=True, dict=True):
    """A promotion on main, the commit before it, and what is known of how it came. ``commit_paths``
    are the files that its commit changed, ``together`` the promotions of that commit, ``before``
    what the stage was to run until then."""

    promotion: Promotion
    repository: Repository
    forge: Forge | None
    parent: str
    commit_paths: tuple[str, ...]
    together: tuple[Promotion, ...]
    before: VersionNumber | None = None

    @cached_property
    def base(self) -> str:
        """Main before any of it."""
        # Of a rebase that is before the first of its commits, so that none of them says who may
        # approve the others.
        commit, forge = self.parent, self.forge
        while forge and self.pull and self.promotion.head is None:
            before = commit_history.commit_parents(self.repository, commit)
            if not before or all(p.number != self.pull.number for p in forge.of_commit(commit)):
                break
            commit = before[0]
        return commit

    @cached_property
    def files(self) -> tuple[str, str, str]:
        promotion = self.promotion
        # Of a model taken out it is about the version that left.
        version = promotion.version or self.before
        return promotion_paths(promotion.stage, promotion.model, version)

    @cached_property
    def evidence_page(self) -> str | None:
        path = self.files[2]
        if path in self.commit_paths:
            return path
        content = refs.read_content(self.repository, self.promotion.commit, path)
        return None if content is None else path

    @property
    def stranger_files(self) -> tuple[str, ...]:
        own = {path for path in self.commit_paths for p in self.together if _belongs_to(path, p)}
        return tuple(path for path in self.commit_paths if path not in own)

    @property
    def is_as_proposed(self) -> bool:
        """Whether its commit merged one branch, and has the promotion's files as that has them."""
        # A merge made by hand may hold anything, and merge something else for its look.
        commit, head = self.promotion.commit, self.promotion.head
        if head is None or len(commit_history.commit_parents(self.repository, commit)) != 2:
            return False
        return refs.has_same_files(self.repository, commit, head, self.files)

    @cached_property
    def file_writers(self) -> tuple[commit_history.CommitWriter, ...]:
        head = self.promotion.head or self.promotion.commit
        return commit_history.file_writers(self.repository, self.base, head, self.files)

    @property
    def author_names(self) -> frozenset[str]:
        return mails_of_writers(self.file_writers)

    @cached_property
    def pull(self) -> PullRequest | None:
        """The pull request that brought it: the forge says so, and its head is the one merged."""
        if self.forge is None:
            return None
        promotion = self.promotion
        return commit_approvers.find_pull(
            self.repository, self.forge, promotion.commit, promotion.head
        )

    @property
    def line_that_names(self) -> str:
        promotion = self.promotion
        return name_promotion(promotion.model, promotion.version, promotion.stage)

    @property
    def named(self) -> bool:
        """Whether its commit's message names it (``Promotion:``) and its digest, if it says one."""
        promotion, trailers = self.promotion, self.promotion.trailers
        digests = (line.split(" ") for line in trailers.get("digest", ()))
        version = f"{promotion.model}@{promotion.version}"
        mine = [words[-1] for words in digests if words[0] == version]
        return self.line_that_names in trailers.get("promotion", ()) and all(
            digest == f"sha256:{promotion.sha256}" for digest in mine
        )

    @cached_property
    def head_trailers(self) -> Mapping[str, tuple[str, ...]]:
        """What the merged commit says, as ``towpath promote`` and ``towpath approve`` write it."""
        head = self.promotion.head
        content = refs.read_contents(self.repository, [head]).get(head, b"") if head else b""
        return read_trailers(content.decode("utf-8", "replace").partition("\n\n")[2])


def _belongs_to(path: str, promotion: Promotion) -> bool:
    if path in (promotion.path, claim_path(promotion.model)):
        return True
    if promotion.version is not None:
        return path in promotion_paths(promotion.stage, promotion.model, promotion.version)
    # Of a model that is taken out, or a stage file that is beyond understanding, the stage file
    # does not say which version it was about: any page of that model and stage may be its own.
    folder, ending = f"{EVIDENCE}/{promotion.model}/", f"-{promotion.stage}.md"
    return path.startswith(folder) and path.endswith(ending)


def approve_under(rules: Rulebook, inquiry: ApprovalInquiry) -> PromotionApproval:
    promotion = inquiry.promotion
    if promotion.base is None:
        return PromotionApproval("none", why="it came with the first commit")
    page = inquiry.evidence_page
    if promotion.fault:
        return PromotionApproval("none", evidence=page, why="its stage file cannot be understood")
    if inquiry.stranger_files:
        more = " and more" if inquiry.stranger_files[3:] else ""
        named = ", ".join(inquiry.stranger_files[:3]) + more
        why = f"its commit also changed {named}, so nothing approves it alone"
        return PromotionApproval("none", evidence=page, why=why)
    lacks: list[str] = []
    # The highest first; an empty word says that a level was not tried, which lacks nothing.
    for way in (_weigh_forge_approval, _weigh_signature, _weigh_merge):
        reached = way(rules, inquiry)
        if not isinstance(reached, str):
            return replace(reached, evidence=page, why="; ".join(lacks))
        lacks += [reached] if reached else []
    return PromotionApproval("none", evidence=page, why="; ".join(lacks))


def describe_level(level: str) -> str:
    """An approval's level for a person: of `recorded`, that it proves nothing."""
    return f"{level}, which proves nothing to others" if level == "recorded" else level


def reaches_level(approval: PromotionApproval, level: ApprovalLevel) -> bool:
    return LEVEL_ORDER.index(approval.level) >= LEVEL_ORDER.index(level)


def mails_of_writers(writers: Iterable[commit_history.CommitWriter]) -> frozenset[str]:
    """Who wrote commits: mails, lower case, and the logins in those that a forge made up."""
    mails = {mail.lower() for writer in writers for mail in writer.writer_mails}
    logins = {login_match["login"] for mail in mails if (login_match := _NOREPLY.fullmatch(mail))}
    return frozenset(mails | logins)


def named_people(rules: Rulebook, stage: str, path: str) -> tuple[str, ...]:
    declared = rules.policy.stages.get(stage) if rules.policy else None
    return (*rules.owners_of_path(path), *(declared.approvers if declared else ()))


def allows_self_approval(rules: Rulebook) -> bool:
    return rules.policy is not None and rules.policy.policy.self_approval


def _weigh_forge_approval(rules: Rulebook, inquiry: ApprovalInquiry) -> PromotionApproval | str:
    forge, pull = inquiry.forge, inquiry.pull
    if forge is None:
        return ""
    if pull is None:
        return f"{forge.name} knows no merged pull request of it"
    if wrong := _replaces_another(inquiry):
        return wrong
    if not commit_approvers.bring_head(inquiry.repository, pull):
        return f"the head of {pull.url} cannot be had, so nobody knows what was reviewed"
    # A merge made by hand may hold anything, and so may an earlier commit of the branch that
    # somebody pushed to main.
    commit, path = inquiry.promotion.commit, inquiry.promotion.path
    if not refs.has_same_files(inquiry.repository, pull.head, commit, [path]):
        return f"main holds another stage file than {pull.url} did"
    approved = commit_approvers.find_standing_reviews(forge.reviews(pull.number), pull.head)
    if not approved:
        return f"{pull.url} was merged without an approving review of its head"
    authors = {pull.author.lower(), *inquiry.author_names}
    reviewers = {login: review.user for login, review in approved.items()}
    return weigh_reviews(rules, inquiry.promotion.stage, path, forge, pull, reviewers, authors)


def weigh_reviews(
    rules: Rulebook,
    stage: str,
    path: str,
    forge: Forge,
    pull: PullRequest,
    reviewers: dict[str, str],
    authors: Collection[str],
) -> PromotionApproval | str:
    """What reviews of a pull request's head come to; ``reviewers`` are logins by lower case."""
    free = allows_self_approval(rules)
    others = [login for login in reviewers if free or login not in authors]
    may = rulebook.find_owner_logins(named_people(rules, stage, path), forge)
    by = tuple(reviewers[login] for login in others if login in may)
    if by:
        return PromotionApproval("forge", by, pull.url)
    if not others:
        return f"{pull.url} was approved by {OWN} alone"
    approved_by = f"{pull.url} was approved by {', '.join(reviewers[login] for login in others)}"
    return f"{approved_by}, whom neither CODEOWNERS nor the policy names"


def _replaces_another(inquiry: ApprovalInquiry) -> str | None:
    # An old proposal, merged again later, was made and approved over something else.
    promotion, was = inquiry.promotion, inquiry.before
    if promotion.version is None or promotion.replaces == was:
        return None
    claimed = promotion.replaces or "nothing"
    return f"it says that it replaces {claimed}, and {was or 'nothing'} was there"


def _weigh_signature(rules: Rulebook, inquiry: ApprovalInquiry) -> PromotionApproval | str:
    commit = inquiry.promotion.commit
    if not commit_approvers.is_signed(inquiry.repository, commit):
        return ""
    commits = [commit, *(writer.commit for writer in inquiry.file_writers)]
    signatures = commit_approvers.read_signatures(inquiry.repository, commits, rules.signers)
    approver = signatures.get(commit)
    if approver is None:
        return f"its signature is none of {SIGNERS}'s{_first_passed_over(rules)}"
    if not inquiry.named or "approval" not in inquiry.promotion.trailers:
        return f"{approver.name} signed a commit whose message does not say that it approves it"
    if wrong := _replaces_another(inquiry):
        return wrong
    people = named_people(rules, inquiry.promotion.stage, inquiry.promotion.path)
    named = rulebook.find_owner_mails(people)
    if named and not approver.names & named:
        return f"{approver.name} signed it, whom the policy does not name"
    own = None if allows_self_approval(rules) else _explain_own(inquiry, approver, signatures)
    return own or PromotionApproval("signed", (approver.name,), f"merge {commit[:7]}")


def _first_passed_over(rules: Rulebook) -> str:
    """The first line of the signers that counts for nothing, which may be whose it was."""
    faults = read_allowed_signers(rules.signers or b"").faults
    return f" ({faults[0].place}: {faults[0].what})" if faults else ""


def _explain_own(
    inquiry: ApprovalInquiry, approver: CommitSignature, signatures: dict[str, CommitSignature]
) -> str | None:
    """Why it cannot be told that another made the promotion than who approved it."""
    # Names and mails of commits are whatever their maker typed: they can give away who approves
    # their own, and clear nobody. Signatures alone tell makers apart.
    own = f"{OWN} signed it, {approver.name}"
    if (approver.names | approver.signer.person) & inquiry.author_names:
        return own
    if inquiry.promotion.head is None:
        return own
    if not inquiry.is_as_proposed:
        return f"{approver.name} signed a merge with other files than the branch that it merged"
    makers = [signatures.get(writer.commit) for writer in inquiry.file_writers]
    if any(maker is not None and maker.is_same_person(approver) for maker in makers):
        return own
    if not makers or None in makers:
        return f"{UNSIGNED}: {approver.name} may have made it"
    return None


def _weigh_merge(rules: Rulebook, inquiry: ApprovalInquiry) -> PromotionApproval | str:
    """A merge, and whom it names: the forge's word before that of a message anybody can write."""
    promotion, pull = inquiry.promotion, inquiry.pull
    by, authors = _find_mergers(inquiry), set(inquiry.author_names)
    if not by:
        return "it came by no merge, and nothing says who let it in"
    merged_names = inquiry.head_trailers.get("promotion", ())
    if pull is None and not (inquiry.named or inquiry.line_that_names in merged_names):
        return "neither the merge nor what it merged names this promotion"
    if pull:
        authors.add(pull.author.lower())
    others = [person for person in by if _mail_of(person).lower() not in authors]
    if not others and not allows_self_approval(rules):
        return f"{OWN} merged it"
    where = pull.url if pull else f"merge {promotion.commit[:7]}"
    return PromotionApproval("recorded", tuple(others or by), where)


def _mail_of(person: str) -> str:
    parts = _PERSON.fullmatch(person)
    return parts["mail"] if parts else person


def _find_mergers(inquiry: ApprovalInquiry) -> tuple[str, ...]:
    if inquiry.pull:
        return (inquiry.pull.merged_by,) if inquiry.pull.merged_by else ()
    if inquiry.promotion.head is None:
        return ()
    approvers = inquiry.promotion.trailers.get("approved-by", ())
    # A pull with a merge puts its own commit before an approval that main had: that one counts.
    return approvers or inquiry.head_trailers.get("approved-by", ()) or (inquiry.promotion.author,)


def promotion_paths(stage: str, model: str, version: VersionNumber | None) -> tuple[str, str, str]:
    """Where the stage file, the record and the evidence of a promotion lie."""
    stage_file = stage_files.stage_file_path(stage, model)
    page = f"{EVIDENCE}/{model}/{version}-{stage}.md"
    return stage_file, version_record.record_path(model, version), page


def name_promotion(model: str, version: VersionNumber | None, stage: str) -> str:
    """A promotion by its name, as the ``Promotion:`` trailer of its commits says it."""
    return f"{model}@{version} -> {stage}" if version else f"{model} out of {stage}"


def short_promotion_name(model: str, version: object, stage: str) -> str:
    """``mean-v1.0.0-uat``: what its branch is called, and the page of what was decided; of a model
    that leaves, ``version`` is None."""
    return f"{model}-{version or 'out'}-{stage}"
