"""Proposing: that a version enter a stage, that a stage go back, that a model leave one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath import registry
from towpath.backends.git import (
    CommitStamp,
    Repository,
    branches,
    commit_beside,
    commit_history,
    hold_lock,
    main_branch,
    refs,
    remotes,
)
from towpath.delivery.promotion import commit_approvers, evidence, promotion_case, rules_in_force
from towpath.delivery.promotion.main_line_approvals import ASK_FORGE, ApprovalRule
from towpath.delivery.promotion.promotion_approval import name_promotion, short_promotion_name
from towpath.delivery.promotion.promotion_case import PromotionCase, find_rollback_target
from towpath.delivery.promotion.rulebook import least_level
from towpath.delivery.promotion.stored_bytes import look_at_bytes
from towpath.errors import Fault, Refused, RegistryError, UsageError
from towpath.registry import VersionNumber, VersionRecord, VersionReference, ownership, stage_files

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict
    from towpath.forge import Forge
    from towpath.workspace import Workspace


PROMOTION_PREFIX = "promote/"
# One lock for whatever makes a branch of a promotion or moves main in this clone: two commands
# would else both find that it is not there yet.
LOCK = "promotion"


class ProposedPromotion(Struct, frozen=True):
    """What came of proposing. ``head`` is None where nothing was written (``dry_run``), ``url``
    where there is no pull request; ``new`` is False where the branch had been there before.
    ``files`` is by path from the Git root, a path in ``without`` is taken away; ``unchecked`` says
    which bytes could not be looked at."""

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
    files, written = {page: text.encode()}, case.written_stage_file
    if written and record is not None:
        files[stage_file] = stage_files.write_stage_file(written).encode()
        files[record_file] = record
    if written and case.claims:
        files[ownership.claim_path(case.model)] = ownership.write_claim(case.folder)
    return ProposedPromotion(
        case=case,
        # The same each time, so that who runs it again goes on, and rivals meet.
        branch=PROMOTION_PREFIX
        + short_promotion_name(case.model, case.candidate_version, case.stage),
        base=case.base,
        evidence=text,
        verdicts=verdicts,
        files=files,
        without=() if written else (stage_file,),
    )


def promotion_trailers(case: PromotionCase) -> list[str]:
    named = [f"Promotion: {name_promotion(case.model, case.candidate_version, case.stage)}"]
    if case.candidate:
        named += [f"Digest: {case.model}@{case.candidate_version} sha256:{case.candidate.sha256}"]
    return [*named, *([f"Replaces: {case.incumbent_version}"] if case.incumbent_version else [])]


def gate_failures(case: PromotionCase, verdicts: Sequence[GateVerdict]) -> list[Fault]:
    faults, name = [], f"{case.model}@{case.candidate_version}"
    for verdict in (verdict for verdict in verdicts if not verdict.passed):
        value = f"value {verdict.value}" if verdict.value is not None else ""
        because = "; ".join(filter(None, (value, verdict.detail)))
        bound = f", bound {verdict.bound}" if verdict.bound is not None else ""
        what = f"the gate `{verdict.gate}` keeps {name} out of {case.stage}: {because}{bound}"
        hint = f"declared at {verdict.source}" if verdict.source else None
        faults.append(Fault(what, hint=hint))
    return faults


class PromotionPlace(Struct, frozen=True, dict=True):
    """Where one promotion is made, and what was asked for. ``forge`` is None where the rules in
    force name none, and where nothing is to be pushed and no token lets it be asked; ``remote``
    where the repository has none. ``pushes`` says whether anything is fetched and pushed."""

    workspace: Workspace
    repository: Repository
    forge: Forge | None = None
    remote: str | None = None
    pushes: bool = False
    dry_run: bool = False
    why: str | None = None

    @cached_property
    def base(self) -> str:
        # A forge merges into its own main branch, not into ours.
        branch = main_branch.find_main_branch(self.repository)
        newest = main_branch.newest_commit(self.repository, branch) if branch else None
        at_forge = rules_in_force.names_forge(self.workspace, self.repository, newest)
        base = branch.far if branch and branch.far and at_forge else newest
        if base is None:
            raise UsageError("nothing is committed yet", hint="git add . && git commit")
        return base


def find_promotion_place(
    workspace: Workspace, push: bool | None = None, dry_run: bool = False, why: str | None = None
) -> PromotionPlace:
    """Brought up to date where something is to be pushed; ``push`` is by default whether a forge is
    configured and there is a remote."""
    repository = workspace.registry
    remote = remotes.choose_remote(repository)
    if push and remote is None:
        raise UsageError("there is no remote to push to", hint="git remote add origin <url>")
    configured = remote is not None and rules_in_force.names_forge(
        workspace, repository, main_branch.main_commit(repository)
    )
    pushes = (configured if push is None else push) and not dry_run
    if pushes:
        registry.fetch_registry(repository)
    promotion_place = PromotionPlace(workspace, repository, None, remote, pushes, dry_run, why)
    if not configured:
        return promotion_place
    # Who pushes needs the forge, and is told what keeps it away; who only looks does without.
    ask = (
        rules_in_force.connect_forge_in_force if pushes else rules_in_force.connect_forge_if_let_in
    )
    return replace(promotion_place, forge=ask(workspace, promotion_place.base))


def _make_branch(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    """Make the branch or find it as an earlier call left it. Raises ``UsageError`` where a branch
    of that name makes another change, and where Git knows no key to sign with that must."""
    repository, case = place.repository, proposed.case
    old = branches.branch_commit(repository, proposed.branch)
    if not old and place.remote and place.pushes:  # only then may the remote be asked
        ref = f"refs/heads/{proposed.branch}"
        far = remotes.list_remote_refs(repository, place.remote, ref).get(ref)
        old = far if far and repository.commit(far) else None
    if old and not _is_done(repository, proposed, old):
        if not _is_same(repository, proposed, old):
            raise _other_change_error(proposed, old)
        # Its page stays: of an earlier hour, and perhaps reviewed by now.
        page = refs.read_content(repository, old, case.file_paths[2]) or b""
        return replace(proposed, head=old, new=False, evidence=page.decode("utf-8", "replace"))
    # A squash at a forge keeps the messages of what it squashed, and with them the trailers.
    reason = [" ".join(place.why.split()), ""] if place.why else []
    lines = [evidence.promotion_title(case), "", *reason, *promotion_trailers(case)]
    head = commit_beside(
        repository,
        proposed.base,
        proposed.files,
        "\n".join(lines) + "\n",
        CommitStamp(repository.read_identity(), int(time.time())),
        proposed.without,
        sign=_needs_signature(repository, case) or None,  # else as Git signs every commit
    )
    branches.put_branch(repository, proposed.branch, head)
    return replace(proposed, head=head)


def _needs_signature(repository: Repository, case: PromotionCase) -> bool:
    # Where its stage asks for signatures, nobody can tell its maker from its approver otherwise.
    is_asked = least_level(case.project, case.stage) == "signed"
    needed = is_asked and not case.project.policy.self_approval
    if needed and not commit_approvers.is_configured(repository):
        what = f"{case.stage} asks for signatures, and an unsigned promotion is nobody's"
        raise UsageError(what, hint=f"{commit_approvers.CONFIGURE}; then promote again")
    return needed


def _is_done(repository: Repository, proposed: ProposedPromotion, old: str) -> bool:
    """Whether a branch was merged: as it is, or its files by a squash or a rebase."""
    if commit_history.is_ancestor(repository, old, proposed.base):
        return True
    page = proposed.case.file_paths[2]
    decided = refs.read_content(repository, proposed.base, page)
    return decided is not None and decided == refs.read_content(repository, old, page)


def _is_same(repository: Repository, proposed: ProposedPromotion, old: str) -> bool:
    """Whether a branch makes this very change; its evidence may be of an earlier hour."""
    start = commit_history.merge_base(repository, proposed.base, old)
    if start is None:
        return False
    page = proposed.case.file_paths[2]
    files = {path: content for path, content in proposed.files.items() if path != page}
    # What main had already, such as the record of what was promoted before, is no change.
    news = {path for path in files if refs.read_content(repository, start, path) != files[path]}
    changed = {change.path for change in commit_history.changed_files(repository, start, old)}
    if changed - {page} != {*news, *proposed.without}:
        return False
    return all(refs.read_content(repository, old, path) == files[path] for path in files)


def _other_change_error(proposed: ProposedPromotion, old: str) -> UsageError:
    what = f"the branch {proposed.branch} is there already ({old[:7]}), and makes another change"
    hint = f"towpath reject {proposed.branch} --reason '...' puts it away; then try again"
    return UsageError(what, hint=hint)


def _open_pull_request(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    _push_branch(place, proposed)
    forge = place.forge
    if forge is None:
        return replace(proposed, pushed=True)
    case, branch, main = (
        proposed.case,
        proposed.branch,
        main_branch.main_branch_name(place.repository),
    )
    # A branch of a fork, to which the remote leads, is named with its owner.
    address = remotes.remote_address(place.repository, place.remote) if place.remote else None
    if address and remotes.is_fork(address, forge.repository):
        branch = f"{remotes.repository_owner(address)}:{branch}"
    pull = forge.open(branch, main, evidence.promotion_title(case), proposed.evidence)
    return replace(proposed, pushed=True, url=pull.url, number=pull.number)


def _push_branch(place: PromotionPlace, proposed: ProposedPromotion) -> None:
    repository, remote, head = place.repository, place.remote, proposed.head
    assert remote and head
    ref = f"refs/heads/{proposed.branch}"
    over = remotes.list_remote_refs(repository, remote, ref).get(ref)
    if over == head:  # an earlier call was killed behind the push
        return
    may_go = (
        over
        and repository.commit(over)
        and (
            commit_history.is_ancestor(repository, over, head)
            or _is_done(repository, proposed, over)
        )
    )
    if over and not may_go:
        raise _other_change_error(proposed, over)
    try:
        # Over that commit alone: who pushed to the branch meanwhile is not overwritten.
        refused = remotes.push_branch(repository, remote, proposed.branch, head, over)
    except remotes.NotAllowed as no:
        raise RegistryError(*(_by_fork(place, proposed.branch, f.what) for f in no.faults)) from no
    if refused:
        what = f"{remote} refused the branch {proposed.branch}: {refused}"
        raise RegistryError(what, hint="it is here; push it by hand, or run this again")


def _by_fork(place: PromotionPlace, branch: str, what: str) -> Fault:
    where = place.forge.repository if place.forge else place.remote
    own = f"git remote add mine URL-OF-YOUR-FORK, git push mine {branch}"
    if place.forge:
        own = f"gh repo fork {where} --remote --remote-name mine, git push mine {branch}"
        own += f", gh pr create --repo {where} --head YOU:{branch}"
    what = f"{what}; the promotion is here, on the branch {branch}"
    return Fault(what, hint=f"from a fork of your own: {own}; or ask who may push to {where}")


def propose_promotion(
    workspace: Workspace,
    reference: str,
    stage: str,
    *,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> ProposedPromotion:
    """Propose that a version enter a stage: a branch, and where there is a forge, or ``push`` asks
    for it, a pull request. Raises ``UsageError`` for what cannot be promoted,
    ``ReviewGatesRefused`` where a gate says no; then nothing is written."""
    place = find_promotion_place(workspace, push, dry_run, why)
    promotable = promotion_case.find_promotable_version(place.repository, reference)
    case = _gather_case(place, stage, promotable.version.model, promotable.record)
    return _propose_case(place, case)


def propose_rollback(
    workspace: Workspace,
    model: str,
    stage: str,
    *,
    to: str | None = None,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> ProposedPromotion:
    """Propose that a stage go back to the version it ran before, or to one of those before that."""
    # The ladder and the gates do not hold a rollback up: the version passed them when it came.
    place = find_promotion_place(workspace, push, dry_run, why)
    known_model = registry.known_model(place.repository, model)
    asked_version = VersionNumber.parse(to) if to else None
    if to and asked_version is None:
        raise UsageError(f"`{to}` is no version", hint="write --to v1.0.0")
    case = _gather_case(place, stage, model, None)
    rejected = {v.version for v in known_model.versions if v.rejected is not None}
    try:
        number = find_rollback_target(case, rejected, asked_version)
    except UsageError as nowhere:
        if case.unproved is None:
            raise
        raise UsageError(*nowhere.faults, Fault(case.unproved, hint=ASK_FORGE)) from nowhere
    target = promotion_case.find_promotable_version(place.repository, f"{model}@{number}")
    return _propose_case(place, replace(case, candidate=target.record, back=True))


def propose_demotion(
    workspace: Workspace,
    model: str,
    stage: str,
    *,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> ProposedPromotion:
    place = find_promotion_place(workspace, push, dry_run, why)
    stage_files = registry.read_stage_files(place.repository, place.base)
    if stage_files.find_stage_file(stage, model) is None:
        registry.known_model(place.repository, model)  # else main knows it, be its tags lost
    return _propose_case(place, _gather_case(place, stage, model, None))


def _gather_case(
    place: PromotionPlace, stage: str, model: str, candidate: VersionRecord | None
) -> PromotionCase:
    repository, folder = place.repository, place.workspace.folder
    case = promotion_case.gather_promotion_case(
        repository, folder, place.base, stage, model, candidate
    )
    return promotion_case.count_approved(repository, case, place.forge)


def _propose_case(place: PromotionPlace, case: PromotionCase) -> ProposedPromotion:
    # The cheap and the certain first: no store is opened, and none of the project's code run,
    # for what would be refused anyway, or by rules that nobody agreed to.
    ApprovalRule(place.repository, case.base, case.folder, place.forge).refuse_unsound()
    faults = promotion_case.entry_faults(place.repository, case, place.forge)
    if refusals := [*faults, *promotion_case.tag_faults(place.repository, case)]:
        raise UsageError(*refusals)
    stored = look_at_bytes(place.workspace, case)
    if stored.faults:
        raise Refused(*stored.faults)
    verdicts = promotion_case.judge_review_gates(place.workspace, place.repository, case)
    record = None
    if case.candidate_version:  # as the tag's commit has it: the copy on main is the very same
        reference = VersionReference(case.model, case.candidate_version)
        commit = registry.find_version(place.repository, reference).commit
        record = refs.read_content(place.repository, commit, case.file_paths[1])
    proposed = draft_promotion(case, verdicts, record, place.why)
    unproved = (case.unproved,) if case.unproved and case.candidate_version else ()
    proposed = replace(proposed, unchecked=(*stored.unchecked, *unproved))
    if not proposed.passed:
        raise ReviewGatesRefused(proposed)
    if place.dry_run:
        return proposed
    with hold_lock(place.repository, LOCK):
        written = _make_branch(place, proposed)
        return _open_pull_request(place, written) if place.pushes else written
