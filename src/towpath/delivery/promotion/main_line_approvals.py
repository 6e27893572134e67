"""The one rule of approval over a whole main line, as docs/trust.md says it: asked by approve,
check, reconcile, verify and history alike. ``promotion_approval`` weighs a single promotion."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, reduce

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.backends.git.commit_history import Backdated, MainLine, read_main_line, read_trailers
from towpath.backends.git.git_command import split_lines
from towpath.backends.git.main_branch import MainBranch
from towpath.config.foreign_values import format_second
from towpath.delivery.promotion.commit_approvers import is_signed, read_signatures
from towpath.delivery.promotion.promotion_approval import (
    LEVEL_ORDER,
    ApprovalInquiry,
    ApprovalLevel,
    PromotionApproval,
    approve_under,
    reaches_level,
)
from towpath.delivery.promotion.rule_changes import NOT_ASKED, RuleHistory, read_rule_history
from towpath.delivery.promotion.rulebook import PATTERNS, Rulebook, is_rule
from towpath.errors import Fault, ForgeError, Place, Refused, RegistryError
from towpath.forge import Forge
from towpath.plain_data import group_by_key
from towpath.registry import ModelVersion, Promotion, VersionNumber
from towpath.registry.main_decisions import read_promotions
from towpath.registry.stage_files import FOLDER
from towpath.registry.version_signatures import lacking_signature

_MANY = 8  # promotions from which on they are read together
ASK_FORGE = 'export GITHUB_TOKEN="$(gh auth token)"; then run it again, without --offline'


class ApprovalJudgement(Struct, frozen=True):
    """What a promotion reached, what it needed; ``backdated`` where its date cannot be."""

    approval: PromotionApproval
    needed: ApprovalLevel
    backdated: Backdated | None = None

    @property
    def is_enough(self) -> bool:
        return reaches_level(self.approval, self.needed)


class MainRedirect(Struct, frozen=True):
    """That another branch is main than the one that would be: what says so at ``commit`` of that
    one, and who agreed to it there; ``faults`` are what nobody agreed to there who had to."""

    main: str
    commit: str
    paths: tuple[str, ...]
    by: tuple[str, ...]
    faults: tuple[Fault, ...]


class DisplacedDecision(Struct, frozen=True):
    """A decision (an approval, or a merge of a promotion) beside the line, and the commit of the
    line that merged it along; ``subject`` is the decision's, which anybody can have written."""

    commit: str
    subject: str
    merge: str


def _is_kept(repository: Repository, line: MainLine, commit: str, merge: str) -> bool:
    """Whether a merge took away nothing of what a decision beside the line was about."""
    parent = next(iter(commit_history.commit_parents(repository, commit)), None)
    if parent is None or merge == commit:
        return False
    patterns = (f":(top){FOLDER}", *PATTERNS)
    changed = commit_history.changed_files(repository, parent, commit, *patterns)
    words = ("log", "-1", "--no-show-signature", "--format=%B", commit)
    message = repository.recall_output(*words, about=[commit])
    paths = [*(change.path for change in changed), *read_trailers(message).get("rules", ())]
    merged = line.merged_parents(merge)
    sides = (side for side in merged if commit_history.is_ancestor(repository, commit, side))
    side = next(sides, None)
    return side is None or refs.has_same_files(repository, merge, side, paths)


def _other_beginnings(repository: Repository, line: MainLine) -> Iterator[DisplacedDecision]:
    """A history that was merged along and has rules, but another first commit than the line."""
    # The line of one's own that was put first names its own first signers.
    first = line.commits[0].name
    words = ("rev-list", "--max-parents=0", line.head)
    listed = split_lines(repository.recall_output(*words, about=[line.head]))
    for root in (root for root in listed if root != first):
        merge = _find_bringing_commit(repository, line, root)
        for side in line.merged_parents(merge):
            if commit_history.is_ancestor(repository, first, side):
                continue
            if any(map(is_rule, commit_history.list_paths(repository, side))):
                yield DisplacedDecision(side, "what main was from its first commit on", merge)


def _decisions_beside(repository: Repository, line: MainLine) -> Iterator[tuple[str, str]]:
    """Commits beside the line that only main can have had, with their subjects: those that say an
    approval, which ``towpath approve`` writes upon main alone, and merges of a promotion's own."""
    named: set[str] = set()
    decisions = ("-E", "-i", "--grep=^(Promotion|Rules)[ \t]*:")
    for commit, _, approves, subject in _read_side_commits(repository, line, *decisions):
        named.add(commit)
        if approves:
            yield commit, subject
    if not named:
        return
    for commit, parents, approves, subject in _read_side_commits(repository, line, "--merges"):
        if parents[1] not in named or approves:
            continue
        # A merge that brought a branch up to date merged main, and with it a promotion.
        brought = split_lines(repository.call("rev-list", f"{parents[0]}..{parents[1]}"))
        if not any(map(line.holds_commit, brought)):
            yield commit, subject


def _read_side_commits(
    repository: Repository, line: MainLine, *words: str
) -> Iterator[tuple[str, list[str], bool, str]]:
    """Main's commits beside its line that fit: name, parents, whether they approve, subject."""
    listed = ("log", "-z", "--format=%H%x00%P%x00%s%x00%b", *words, line.head)
    cells = iter(repository.recall_output(*listed, about=[line.head]).split("\0"))
    # zip ends with the last whole row: Git writes a NUL behind it.
    for commit, parents, subject, body in zip(cells, cells, cells, cells, strict=False):
        if not line.holds_commit(commit):
            yield commit, parents.split(), "approval" in read_trailers(body), subject


def _find_bringing_commit(repository: Repository, line: MainLine, commit: str) -> str:
    # Git is asked a dozen times where main has thousands of commits: once held, always held.
    place = bisect_left(
        line.commits,
        True,
        hi=len(line.commits) - 1,
        key=lambda held: commit_history.is_ancestor(repository, commit, held.name),
    )
    return line.commits[place].name


class ApprovalRule(Struct, frozen=True, dict=True):
    """The rule, for the main branch that ends at ``head`` and the project in ``folder``. ``forge``
    is asked where there is one. ``branch`` is that branch where it was just found, else it is
    looked for. Every method raises ``ForgeError`` where the forge does not answer, and
    ``RegistryError`` in a shallow clone."""

    repository: Repository
    head: str
    folder: str = ""
    forge: Forge | None = None
    branch: MainBranch | None = None

    @cached_property
    def line(self) -> MainLine:
        return read_main_line(self.repository, self.head)

    @cached_property
    def log(self) -> tuple[Promotion, ...]:
        return read_promotions(self.repository, self.head, line=self.line)

    @cached_property
    def rules(self) -> RuleHistory:
        return read_rule_history(self.repository, self.line, self.forge)

    @cached_property
    def displaced_decisions(self) -> tuple[DisplacedDecision, ...]:
        """Decisions that main took once, and that its first-parent line does not hold any more."""
        # Whoever pushes a merge says which of its parents comes first. Merging main into a branch
        # of one's own, and pushing that as main, makes one's own commits the line and what was
        # decided meanwhile a thing that was merged along: nobody is asked about it any more.
        repository, line, lost = self.repository, self.line, []
        for commit, subject in dict(_decisions_beside(repository, line)).items():
            merge = _find_bringing_commit(repository, line, commit)
            if not _is_kept(repository, line, commit, merge):
                lost.append(DisplacedDecision(commit, subject, merge))
        return (*lost, *_other_beginnings(repository, line))

    def read_ahead(self, promotions: Sequence[Promotion]) -> None:
        """Read in one pass what the judgements of many promotions hang on: each is then judged
        without a call of Git, and as it would be alone. What cannot be read, an object that is
        lost say, is told by the judgement that hangs on it."""
        based = [promotion for promotion in promotions if promotion.base]
        if len(based) < _MANY:
            return
        with suppress(RegistryError, ForgeError):
            self._read_changed_files(based)
            repository, inquiries = self.repository, [*map(self._open_inquiry, based)]
            commits = {name for p in based for name in (p.commit, p.head) if name}
            refs.read_contents(repository, commits)
            first = self.log[0].base if self.log else None
            # As `file_writers` asks of one that came as it was proposed.
            questions = [
                commit_history.WriterQuestion(
                    i.parent, i.promotion.head or i.promotion.commit, i.files
                )
                for i in inquiries
            ]
            commit_history.read_writers_ahead(repository, self.line, first, questions)
            self._read_signatures_ahead(inquiries)

    def _read_signatures_ahead(self, inquiries: Iterable[ApprovalInquiry]) -> None:
        """Those of signed promotions and of who wrote them, by the signers in force before each."""
        asked: defaultdict[bytes, list[str]] = defaultdict(list)
        files: list[str] = []
        for inquiry in inquiries:
            commit, head = inquiry.promotion.commit, inquiry.promotion.head
            if not is_signed(self.repository, commit):
                continue
            files += [f"{side}:{path}" for side in (commit, head) if side for path in inquiry.files]
            signers = self.rules.rules_at(inquiry.parent, self.folder).signers
            writers = (writer.commit for writer in inquiry.file_writers)
            asked[signers or b""] += [commit, *writers]
        refs.read_contents(self.repository, files)
        for signers, commits in asked.items():
            read_signatures(self.repository, commits, signers)

    def judge(self, promotion: Promotion) -> ApprovalJudgement:
        place = promotion.commit, promotion.path
        if place not in self._judgements:
            self._judgements[place] = self._judge_anew(promotion)
        return self._judgements[place]

    @cached_property
    def _judgements(self) -> dict[tuple[str, str], ApprovalJudgement]:
        return {}

    def _judge_anew(self, promotion: Promotion) -> ApprovalJudgement:
        backdated = self.line.backdated([promotion.commit])
        inquiry = self._open_inquiry(promotion)
        # By the rules in force before it: none that came with it. What a stage wants now, by those
        # of now as well, for a signer may have been taken out since; and by what waits for an
        # agreement, so that a rule that is made stricter holds at once. The strictest counts.
        books = [self.rules.rules_at(inquiry.base, self.folder)]
        place = promotion.stage, promotion.model
        if self._current_commits.get(place) == promotion.commit:
            books += self._books_of_now
        judgements = [
            ApprovalJudgement(approve_under(book, inquiry), book.least_level(promotion.stage))
            for book in {id(book): book for book in books}.values()  # often the same rules
        ]
        judged = reduce(_stricter_judgement, judgements)
        return replace(judged, backdated=backdated[0] if backdated else None)

    @cached_property
    def _books_of_now(self) -> tuple[Rulebook, ...]:
        """The rules in force, and those that main's files say where nobody agreed to these yet."""
        written = [self.rules.rules_written(self.folder)] if self.rules.due else []
        return (self.rules_now(), *written)

    @cached_property
    def _current_commits(self) -> Mapping[tuple[str, str], str]:
        return {(promotion.stage, promotion.model): promotion.commit for promotion in self.log}

    def _open_inquiry(self, promotion: Promotion) -> ApprovalInquiry:
        if promotion.base and promotion.commit not in self._changes_by_commit:
            self._read_changed_files(self.log)
        changed = self._changes_by_commit.get(promotion.commit, ())
        before = self._replaced_versions.get((promotion.commit, promotion.path))
        return ApprovalInquiry(
            promotion,
            self.repository,
            self.forge,
            promotion.base or promotion.commit,
            tuple(change.path for change in changed if not change.keeps_folder),
            tuple(self._promotions_by_commit.get(promotion.commit, [promotion])),
            before,
        )

    @cached_property
    def _changes_by_commit(self) -> dict[str, tuple[commit_history.FileChange, ...]]:
        return {}

    def _read_changed_files(self, promotions: Iterable[Promotion]) -> None:
        changes = self._changes_by_commit
        parents = {p.commit: p.base for p in promotions if p.base and p.commit not in changes}
        changes.update(commit_history.changes_against(self.repository, parents))

    @cached_property
    def _promotions_by_commit(self) -> Mapping[str, list[Promotion]]:
        return group_by_key((promotion.commit, promotion) for promotion in self.log)

    @cached_property
    def _replaced_versions(self) -> Mapping[tuple[str, str], VersionNumber | None]:
        ran: dict[tuple[str, str], VersionNumber | None] = {}
        left: dict[tuple[str, str], VersionNumber | None] = {}
        for promotion in self.log:
            place = promotion.stage, promotion.model
            left[promotion.commit, promotion.path] = ran.get(place)
            ran[place] = promotion.version
        return left

    def find_counted(self, model: str | None = None) -> tuple[Promotion, ...]:
        """Where no forge is asked, those that Git alone proves."""
        # What came by no sufficient approval was never in a stage, for the ladder, a soak or a
        # rollback.
        mine = [promotion for promotion in self.log if model in (None, promotion.model)]
        self.read_ahead(mine)
        return tuple(promotion for promotion in mine if self.judge(promotion).is_enough)

    def find_unproved(self, promotions: Iterable[Promotion]) -> tuple[Promotion, ...]:
        """Those of some promotions that a forge could still prove, which is not asked."""
        policy = self.rules_now().policy
        if self.forge is not None or policy is None or policy.forge is None:
            return ()
        return tuple(promotion for promotion in promotions if not self.judge(promotion).is_enough)

    def rules_now(self) -> Rulebook:
        return self.rules.rules_at(self.head, self.folder)

    def find_decisions(self) -> tuple[str, ...]:
        """The commits of main that count: promotions and changes of the rules."""
        approved = [decision.commit for decision in self.find_counted()]
        agreed = [c.commit for c in self.rules.changes if c.level not in ("none", "unknown")]
        return tuple(dict.fromkeys([*approved, *agreed]))

    def version_faults(
        self, version: ModelVersion, promotion: Promotion | None = None
    ) -> tuple[Fault, ...]:
        """Why a version does not count, where the rules of now, or those before its promotion,
        want each signed: by the signers of now. Raises ``ForgeError``."""
        books = [*self._books_of_now]
        if promotion and promotion.base:
            books.append(self.rules.rules_at(promotion.base, self.folder))
        if not any(book.policy and book.policy.policy.versions == "signed" for book in books):
            return ()
        allowed = self.rules_now().signers or b""
        fault = lacking_signature(self.repository, version, allowed)
        return (replace(fault, what=f"{version}: {fault.what}"),) if fault else ()

    def unsound_faults(self) -> tuple[Fault, ...]:
        """Rules that nobody agreed to, here, or on the branch that names this one as main."""
        redirect = self.main_redirect
        # Where both branches end at one commit, its rules are said once, with the redirect.
        own = redirect is None or redirect.commit != self.head
        faults = self.rules.faults(self.folder) if own else ()
        return (*redirect.faults, *faults) if redirect else faults

    @cached_property
    def _redirecting_commit(self) -> str | None:
        # Once: each look asks Git five times, and every decision looks.
        if self.branch:
            return self.branch.named_at
        return main_branch.redirecting_commit(self.repository)

    @cached_property
    def main_redirect(self) -> MainRedirect | None:
        """What says that this branch is main, and not the one that would be; None where that is
        this one. The rules of that other branch decide whether it counts."""
        commit = self._redirecting_commit
        if commit is None:
            return None
        other_rules = replace(self, head=commit).rules
        paths = tuple(sorted(main_branch.find_declarations(self.repository, commit)))
        by = dict.fromkeys(name for path in paths for name in other_rules.find_who_agreed(path))
        name = main_branch.main_branch_name(self.repository)
        faults = [_redirect_fault(fault, name, commit) for fault in other_rules.faults(self.folder)]
        return MainRedirect(name, commit, paths, tuple(by), tuple(faults))

    def unasked_faults(self) -> tuple[Fault, ...]:
        """The rules of which only a forge could tell whether they were agreed to, which is not
        asked: nothing that they say is run, opened or counted."""
        if self.forge is not None:
            return ()
        unproved: dict[Fault, None] = {}
        for head in filter(None, (self._redirecting_commit, self.head)):
            line, rules = (rule := replace(self, head=head)).line, rule.rules
            # Without any that is not known a second walk along main would say the same.
            if any(change.level == "unknown" for change in rules.changes):
                strict = read_rule_history(self.repository, line, strict=True)
                unproved |= dict.fromkeys(strict.faults(self.folder))
        unsound_places = {fault.place for fault in self.unsound_faults()}
        what = f"whether this was agreed to is not known: {NOT_ASKED}"
        places = [fault.place for fault in unproved if fault.place not in unsound_places]
        return tuple(Fault(what, place, ASK_FORGE) for place in places)

    def refuse_unsound(self) -> None:
        """Raise ``Refused`` unless it is known that the rules on main were agreed to: asked before
        anything that they say is run, opened or written."""
        if faults := [*self.unsound_faults(), *self.unasked_faults()]:
            raise Refused(*faults)


def _redirect_fault(fault: Fault, name: str, commit: str) -> Fault:
    # Not `approve --rules`: that agrees to what stands on main, which that one is not before it
    # was agreed to.
    hint = (
        f"take `main: {name}` out of it there; or read it, and let signers agree on that branch: "
        f"printf '%s\\n' Agree '' 'Rules: {fault.place}' 'Approval: signed' | "
        "git commit -S --allow-empty -F -"
    )
    what = f"{fault.what}; it stands at {commit[:7]}, on the branch that names `{name}` as main"
    return replace(fault, what=what, hint=hint)


def displaced_fault(displaced: DisplacedDecision) -> Fault:
    what = f"{displaced.merge[:7]} put {displaced.subject} ({displaced.commit[:7]}) out of main's "
    what += "first-parent line: main was re-parented, and what it decided there counts no more"
    hint = f"git log --graph {displaced.merge[:7]} shows it; decide again what was lost, and: "
    hint += "towpath reconcile STAGE --apply --accept-history"
    return Fault(what, Place("main"), hint)


def _stricter_judgement(then: ApprovalJudgement, now: ApprovalJudgement) -> ApprovalJudgement:
    needed = max(then.needed, now.needed, key=LEVEL_ORDER.index)
    if LEVEL_ORDER.index(now.approval.level) < LEVEL_ORDER.index(then.approval.level):
        why = f"by the rules of now {now.approval.why or 'nobody may approve it so'}"
        return ApprovalJudgement(replace(now.approval, why=why), needed)
    return ApprovalJudgement(then.approval, needed)


def decide_again(promotion: Promotion, log: Sequence[Promotion]) -> str:
    """The command by which what main wants comes to have a sufficient approval."""
    model, stage, version = promotion.model, promotion.stage, promotion.version
    mine = [entry for entry in log if (entry.stage, entry.model) == (stage, model)]
    before = [entry.version for entry in mine[: mine.index(promotion)] if entry.version]
    if version is None:
        return f"towpath promote {model}@{before[-1] if before else 'latest'} --to {stage}"
    if version in before:
        return f"towpath rollback {model} --stage {stage} --to {version}"
    return f"towpath promote {model}@{version} --to {stage}"


def backdated_fault(promotion: Promotion, dated: Backdated, log: Sequence[Promotion]) -> Fault:
    times = (format_second(dated.time), format_second(dated.parent_time))
    relation = "which has not come yet: it is" if dated.is_ahead else "before the commit under it,"
    what = f"its commit {dated.commit[:7]} is dated {times[0]}, {relation} {times[1]}"
    hint = f"{decide_again(promotion, log)}, and let it be approved"
    return Fault(what, Place(f"{promotion.path} at {dated.commit[:7]}"), hint)
