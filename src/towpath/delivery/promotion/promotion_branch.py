"""A promotion as a change of files: where it is made, its words, its branch, its pull request."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import (
    CommitStamp,
    Repository,
    branches,
    clones,
    commit_beside,
    commit_history,
    hold_lock,
    main_branch,
    refs,
    remotes,
)
from towpath.delivery.promotion import commit_approvers, evidence
from towpath.delivery.promotion.approval import least_level
from towpath.delivery.promotion.promotion_case import PromotionCase, name_promotion
from towpath.delivery.promotion.rules_in_force import (
    connect_forge_if_let_in,
    connect_forge_in_force,
    names_forge,
)
from towpath.errors import Fault, Refused, RegistryError, UsageError
from towpath.registry import ownership, stage_files

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict
    from towpath.forge import Forge
    from towpath.workspace import Workspace


PROMOTION_PREFIX = "promote/"


@dataclass(frozen=True)
class ProposedPromotion:
    """What came of proposing. ``head`` is None where nothing was written (``dry_run``), ``url``
    where there is no pull request. ``new`` is False where the branch had been there before;
    ``pushed`` says whether the remote has it. ``files`` is by path from the repository's root;
    a path in ``without`` is taken away. ``unchecked`` says which bytes could not be looked at.
    """

    case: PromotionCase
    branch: str
    base: str
    evidence: str
    verdicts: tuple[GateVerdict, ...]
    files: Mapping[str, bytes]
    without: tuple[str, ...] = ()
    head: str | None = None
    url: str | None = None
    number: int | None = None
    new: bool = True
    pushed: bool = False
    unchecked: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no gate holds this up."""
        return self.case.back or all(verdict.passed for verdict in self.verdicts)


class ReviewGatesRefused(Refused):
    """A review gate said no; ``proposed`` is what would have been written."""

    def __init__(self, proposed: ProposedPromotion) -> None:
        super().__init__(*gate_failures(proposed.case, proposed.verdicts))
        self.proposed = proposed


def draft_promotion(
    case: PromotionCase, verdicts: tuple[GateVerdict, ...], record: bytes | None, why: str | None
) -> ProposedPromotion:
    """A promotion before anything is written; ``record`` is the bytes of the version's tag."""
    stage_file, record_file, page = case.file_paths
    text = evidence.write_evidence(case, verdicts, why)
    files = {page: text.encode()}
    if case.written_stage_file and record is not None:
        files |= {
            stage_file: stage_files.write_stage_file(case.written_stage_file).encode(),
            record_file: record,
        }
    if case.written_stage_file and case.claims:
        files[ownership.claim_path(case.model)] = ownership.write_claim(case.folder)
    return ProposedPromotion(
        case=case,
        branch=name_promotion_branch(case),
        base=case.base,
        evidence=text,
        verdicts=verdicts,
        files=files,
        without=() if case.written_stage_file else (stage_file,),
    )


def name_promotion_branch(case: PromotionCase) -> str:
    """The branch of a promotion, the same each time."""
    return f"{PROMOTION_PREFIX}{case.model}-{case.candidate_version or 'out'}-{case.stage}"


def promotion_message(case: PromotionCase, why: str | None = None) -> str:
    """The message of a promotion's commit; a squash keeps it, and with it the trailers."""
    lines = [evidence.promotion_title(case), ""]
    if why:
        lines += [" ".join(why.split()), ""]
    return "\n".join([*lines, *promotion_trailers(case)]) + "\n"


def promotion_trailers(case: PromotionCase) -> list[str]:
    """What tools read of a promotion's commit."""
    named = [f"Promotion: {name_promotion(case.model, case.candidate_version, case.stage)}"]
    if case.candidate:
        named += [f"Digest: {case.model}@{case.candidate_version} sha256:{case.candidate.sha256}"]
    return [*named, *([f"Replaces: {case.incumbent_version}"] if case.incumbent_version else [])]


def gate_failures(case: PromotionCase, verdicts: Sequence[GateVerdict]) -> list[Fault]:
    """The gates that said no, each with what it found."""
    return [_gate_fault(case, verdict) for verdict in verdicts if not verdict.passed]


def _gate_fault(case: PromotionCase, verdict: GateVerdict) -> Fault:
    parts = [f"value {verdict.value}" if verdict.value is not None else "", verdict.detail]
    because = "; ".join(part for part in parts if part)
    bound = f", bound {verdict.bound}" if verdict.bound is not None else ""
    what = (
        f"the gate `{verdict.gate}` keeps {case.model}@{case.candidate_version} out of {case.stage}"
    )
    where = f"declared at {verdict.source}" if verdict.source else None
    return Fault(f"{what}: {because}{bound}", hint=where)


@dataclass(frozen=True)
class PromotionPlace:
    """Where one promotion is made, and what was asked for.

    ``forge`` is None where the rules in force name none, and where nothing is to be pushed and no
    token lets it be asked; ``remote`` where the repository has none. ``pushes`` says whether
    anything is fetched and pushed.
    """

    workspace: Workspace
    repository: Repository
    forge: Forge | None = None
    remote: str | None = None
    pushes: bool = False
    dry_run: bool = False
    why: str | None = None

    @cached_property
    def base(self) -> str:
        """The commit promoted upon: a forge merges into its own main branch, not into ours."""
        remote_main = main_branch.remote_main(self.repository) if self.names_forge else None
        base = remote_main or main_branch.main_commit(self.repository)
        if base is None:
            raise UsageError("nothing is committed yet", hint="git add . && git commit")
        return base

    @cached_property
    def names_forge(self) -> bool:
        """Whether the rules in force name a forge."""
        return names_forge(self.workspace, self.repository)

    @property
    def remote_age(self) -> float | None:
        """Seconds since the remote was last looked at; None without a remote."""
        return remotes.tags_age(self.repository) if self.remote else None


def find_promotion_place(
    workspace: Workspace,
    push: bool | None = None,
    dry_run: bool = False,
    why: str | None = None,
) -> PromotionPlace:
    """The place, its view of the remote brought up to date where something is to be pushed.

    ``push`` is by default whether a forge is configured and there is a remote.
    """
    repository = workspace.registry
    remote = remotes.choose_remote(repository)
    if push and remote is None:
        raise UsageError("there is no remote to push to", hint="git remote add origin <url>")
    configured = remote is not None and names_forge(workspace, repository)
    pushes = (configured if push is None else push) and not dry_run
    if pushes:
        registry.fetch_registry(repository)
    promotion_place = PromotionPlace(workspace, repository, None, remote, pushes, dry_run, why)
    if not configured:
        return promotion_place
    ask = connect_forge_in_force if pushes else connect_forge_if_let_in
    return replace(promotion_place, forge=ask(workspace, promotion_place.base))


LOCK = "promotion"


def write_promotion_branch(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    """Make the branch or find it as an earlier call left it; go on to the pull request.

    Raises ``UsageError`` where a branch of that name makes another change.
    """
    with hold_lock(place.repository, LOCK):
        written = _make_branch(place, proposed)
        return _open_pull_request(place, written) if place.pushes else written


def _make_branch(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    repository = place.repository
    old = _existing_branch_head(place, proposed.branch)
    if old and not _is_done(repository, proposed, old):
        if not _is_same(repository, proposed, old):
            raise _other_change_error(proposed, old)
        return replace(
            proposed, head=old, new=False, evidence=_read_evidence(repository, proposed, old)
        )
    stamp = CommitStamp(repository.read_identity(), int(time.time()))
    words = promotion_message(proposed.case, place.why)
    head = commit_beside(
        repository,
        proposed.base,
        proposed.files,
        words,
        stamp,
        proposed.without,
        sign=_needs_signature(repository, proposed),
    )
    branches.put_branch(repository, proposed.branch, head)
    return replace(proposed, head=head)


def _needs_signature(repository: Repository, proposed: ProposedPromotion) -> bool | None:
    """Whether the promotion is signed: where its stage asks for signatures, nobody can tell its
    maker from its approver otherwise. Raises ``UsageError`` where Git knows no key for it."""
    case = proposed.case
    needed = (
        least_level(case.project, case.stage) == "signed" and not case.project.policy.self_approval
    )
    if needed and not commit_approvers.is_configured(repository):
        what = f"{case.stage} asks for signatures, and an unsigned promotion is nobody's"
        raise UsageError(what, hint=f"{commit_approvers.CONFIGURE}; then promote again")
    return needed or None  # else as Git signs every commit


def _existing_branch_head(place: PromotionPlace, branch: str) -> str | None:
    """A promotion's branch as it is already: here, or on a remote that may be asked."""
    if near := branches.branch_commit(place.repository, branch):
        return near
    ref = f"refs/heads/{branch}"
    remote_to_ask = place.remote if place.pushes else None
    far = (
        remotes.list_remote_refs(place.repository, remote_to_ask, ref).get(ref)
        if remote_to_ask
        else None
    )
    return far if far and place.repository.commit(far) else None


def _is_done(repository: Repository, proposed: ProposedPromotion, old: str) -> bool:
    """Whether a branch was merged: as it is, or its files by a squash or a rebase."""
    if commit_history.is_ancestor(repository, old, proposed.base):
        return True
    names = [f"{commit}:{proposed.case.file_paths[2]}" for commit in (old, proposed.base)]
    contents = refs.read_contents(repository, names)
    return len(contents) == 2 and contents[names[0]] == contents[names[1]]


def _is_same(repository: Repository, proposed: ProposedPromotion, old: str) -> bool:
    """Whether a branch makes this very change; its evidence may be of an earlier hour."""
    start = commit_history.merge_base(repository, proposed.base, old)
    if start is None:
        return False
    page = proposed.case.file_paths[2]
    changed = {change.path for change in commit_history.changed_files(repository, start, old)}
    needed = {*proposed.files, *proposed.without} - _as_on(repository, proposed, start)
    if changed - {page} != needed - {page}:
        return False
    names = {f"{old}:{path}": content for path, content in proposed.files.items() if path != page}
    return refs.read_contents(repository, names) == names


def _as_on(repository: Repository, proposed: ProposedPromotion, start: str) -> set[str]:
    """The files that a commit had already, such as the record of what was promoted before."""
    names = {f"{start}:{path}": path for path in proposed.files}
    contents = refs.read_contents(repository, names)
    return {
        names[name] for name, content in contents.items() if content == proposed.files[names[name]]
    }


def _read_evidence(repository: Repository, proposed: ProposedPromotion, head: str) -> str:
    name = f"{head}:{proposed.case.file_paths[2]}"
    return refs.read_contents(repository, [name]).get(name, b"").decode("utf-8", "replace")


def _other_change_error(proposed: ProposedPromotion, old: str) -> UsageError:
    what = f"the branch {proposed.branch} is there already ({old[:7]}), and makes another change"
    hint = f"towpath reject {proposed.branch} --reason '...' puts it away; then try again"
    return UsageError(Fault(what, hint=hint))


def _open_pull_request(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    _push_branch(place, proposed)
    if place.forge is None:
        return replace(proposed, pushed=True)
    name = main_branch.main_branch_name(place.repository)
    pull = place.forge.open(
        _head_at_forge(place, place.forge, proposed.branch),
        name,
        evidence.promotion_title(proposed.case),
        proposed.evidence,
    )
    return replace(proposed, pushed=True, url=pull.url, number=pull.number)


def _head_at_forge(place: PromotionPlace, forge: Forge, branch: str) -> str:
    """What the forge calls a branch: one of a fork, to which the remote leads, with its owner."""
    address = clones.remote_address(place.repository, place.remote) if place.remote else None
    if address and clones.is_fork(address, forge.repository):
        return f"{clones.repository_owner(address)}:{branch}"
    return branch


def _push_branch(place: PromotionPlace, proposed: ProposedPromotion) -> None:
    repository, remote, head = place.repository, place.remote, proposed.head
    assert remote and head
    ref = f"refs/heads/{proposed.branch}"
    over = remotes.list_remote_refs(repository, remote, ref).get(ref)
    if over == head:
        return
    if over and not _may_go(repository, proposed, over, head):
        raise _other_change_error(proposed, over)
    try:
        refused = remotes.push_branch(repository, remote, proposed.branch, head, over)
    except remotes.NotAllowed as no:
        raise RegistryError(*(_by_fork(place, proposed.branch, f.what) for f in no.faults)) from no
    if refused:
        what = f"{remote} refused the branch {proposed.branch}: {refused}"
        raise RegistryError(what, hint="it is here; push it by hand, or run this again")


def _by_fork(place: PromotionPlace, branch: str, what: str) -> Fault:
    """What is left to whom the repository does not let push."""
    where = place.forge.repository if place.forge else place.remote
    own = f"git remote add mine URL-OF-YOUR-FORK, git push mine {branch}"
    if place.forge:
        own = f"gh repo fork {where} --remote --remote-name mine, git push mine {branch}"
        own += f", gh pr create --repo {where} --head YOU:{branch}"
    what = f"{what}; the promotion is here, on the branch {branch}"
    return Fault(what, hint=f"from a fork of your own: {own}; or ask who may push to {where}")


def _may_go(repository: Repository, proposed: ProposedPromotion, over: str, head: str) -> bool:
    """Whether the remote's branch is one that was merged, or that ours goes on from."""
    if repository.commit(over) is None:
        return False
    return _is_done(repository, proposed, over) or commit_history.is_ancestor(
        repository, over, head
    )
