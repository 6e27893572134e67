"""The one rule of approval, as docs/trust.md says it: asked by approve, check, reconcile, verify
and history alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, commit_history, main_branch
from towpath.delivery.promotion.approval import (
    ORDER,
    Approval,
    Inquiry,
    Level,
    approve_under,
    enough,
    least,
)
from towpath.delivery.promotion.displaced_decisions import Displaced, find_displaced
from towpath.delivery.promotion.rule_changes import NOT_ASKED, RuleHistory, read_rule_history
from towpath.delivery.promotion.rulebook import Rulebook
from towpath.errors import Fault, Place, Refused
from towpath.registry import ModelVersion, Promotion, Version
from towpath.registry.main_line import Backdated, MainLine, read_main_line
from towpath.registry.promotion_log import promotions
from towpath.registry.version_signatures import lacking_signature

if TYPE_CHECKING:
    from towpath.forge import Forge

ASK = 'export GITHUB_TOKEN="$(gh auth token)"; then run it again, without --offline'


@dataclass(frozen=True)
class Judgement:
    """What a promotion reached, and the least that it needed; ``backdated`` where its commit's
    date cannot be."""

    approval: Approval
    needed: Level
    backdated: Backdated | None = None

    @property
    def is_enough(self) -> bool:
        """Whether it is approved as its stage asks."""
        return enough(self.approval, self.needed)


@dataclass(frozen=True)
class Redirect:
    """That another branch is main than the one that would be: what says so at ``commit`` of that
    one, and who agreed to it there; ``faults`` are what nobody agreed to there who had to."""

    main: str
    commit: str
    paths: tuple[str, ...]
    by: tuple[str, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class ApprovalRule:
    """The rule, for the main branch that ends at ``head`` and the project in ``folder``.

    ``forge`` is asked where there is one. Every method raises ``ForgeError`` where it does not
    answer, and ``RegistryError`` in a shallow clone.
    """

    repository: Repository
    head: str
    folder: str = ""
    forge: Forge | None = None

    @cached_property
    def line(self) -> MainLine:
        """Main's first-parent line."""
        return read_main_line(self.repository, self.head)

    @cached_property
    def log(self) -> tuple[Promotion, ...]:
        """Every promotion on it, oldest first."""
        return promotions(self.repository, self.head, line=self.line)

    @cached_property
    def rules(self) -> RuleHistory:
        """The rules on it, and which of them are in force."""
        return read_rule_history(self.repository, self.line, self.forge)

    @cached_property
    def displaced(self) -> tuple[Displaced, ...]:
        """Decisions that main took once, and that its first-parent line does not hold any more."""
        return find_displaced(self.repository, self.line)

    def judge(self, promotion: Promotion) -> Judgement:
        """How a promotion was approved.

        It is judged by the rules in force before it; what a stage wants now, by those of now as
        well, and the stricter counts.
        """
        backdated = self.line.backdated([promotion.commit])
        inquiry = self._inquiry(promotion)
        judged = self._under(self._rules_at(inquiry.base), inquiry)
        if self._current.get((promotion.stage, promotion.model)) == promotion.commit:
            judged = _stricter(judged, self._under(self._rules_at(self.head), inquiry))
            if self.rules.pending:
                judged = _stricter(judged, self._under(self._written, inquiry))
        return replace(judged, backdated=backdated[0] if backdated else None)

    def _under(self, rules: Rulebook, inquiry: Inquiry) -> Judgement:
        project = rules.policy
        needed = least(project, inquiry.promotion.stage) if project else rules.strictest
        return Judgement(approve_under(rules, inquiry), needed)

    @cached_property
    def _written(self) -> Rulebook:
        return self.rules.rules_written(self.folder)

    def _rules_at(self, commit: str) -> Rulebook:
        known = self._rulebooks
        if commit not in known:
            known[commit] = self.rules.rules_at(commit, self.folder)
        return known[commit]

    @cached_property
    def _rulebooks(self) -> dict[str, Rulebook]:
        return {}

    @cached_property
    def _current(self) -> Mapping[tuple[str, str], str]:
        """The commit that made each stage want what it wants now of a model."""
        return {(one.stage, one.model): one.commit for one in self.log}

    def _inquiry(self, promotion: Promotion) -> Inquiry:
        changed = self._changed.get(promotion.commit, ())
        together = tuple(self._together[promotion.commit]) or (promotion,)
        return Inquiry(
            promotion,
            self.repository,
            self.forge,
            promotion.base or promotion.commit,
            tuple(change.path for change in changed if not change.keeps_folder),
            promotion.version or self._left.get((promotion.commit, promotion.path)),
            together,
            self._left.get((promotion.commit, promotion.path)),
        )

    @cached_property
    def _changed(self) -> Mapping[str, tuple[commit_history.Change, ...]]:
        """What each promotion's commit changed on main, of all in one call of Git."""
        parents = {one.commit: one.base for one in self.log if one.base}
        return commit_history.changes_against(self.repository, parents)

    @cached_property
    def _together(self) -> Mapping[str, list[Promotion]]:
        beside: defaultdict[str, list[Promotion]] = defaultdict(list)
        for promotion in self.log:
            beside[promotion.commit].append(promotion)
        return beside

    @cached_property
    def _left(self) -> Mapping[tuple[str, str], Version | None]:
        """What each stage was to run of a model until a promotion came."""
        ran: dict[tuple[str, str], Version | None] = {}
        left: dict[tuple[str, str], Version | None] = {}
        for promotion in self.log:
            place = promotion.stage, promotion.model
            left[promotion.commit, promotion.path] = ran.get(place)
            ran[place] = promotion.version
        return left

    def counted(self, model: str | None = None) -> tuple[Promotion, ...]:
        """The promotions that count: what came by no sufficient approval was never in a stage, for
        the ladder, a soak or a rollback. Where no forge is asked, those that Git alone proves."""
        mine = tuple(one for one in self.log if model in (None, one.model))
        return tuple(one for one in mine if self.judge(one).is_enough)

    def unproved(self, promotions: Iterable[Promotion]) -> tuple[Promotion, ...]:
        """Those of some promotions that a forge could still prove, which is not asked."""
        policy = self.rules_now().policy
        if self.forge is not None or policy is None or policy.forge is None:
            return ()
        return tuple(one for one in promotions if not self.judge(one).is_enough)

    def rules_now(self) -> Rulebook:
        """The rules in force at main's head."""
        return self._rules_at(self.head)

    def decisions(self) -> tuple[str, ...]:
        """The commits of main that count: promotions that were approved as they had to be, and
        changes of the rules that were agreed to."""
        approved = [one.commit for one in self.log if self.judge(one).is_enough]
        agreed = [one.commit for one in self.rules.changes if one.level not in ("none", "unknown")]
        return tuple(dict.fromkeys([*approved, *agreed]))

    def version_faults(
        self, version: ModelVersion, promotion: Promotion | None = None
    ) -> tuple[Fault, ...]:
        """Why a version does not count, where the rules of now, or those before its promotion,
        want each signed: by the signers of now. Raises ``ForgeError``."""
        books = [self.rules_now()]
        books += [self._written] if self.rules.pending else []
        books += [self._rules_at(promotion.base)] if promotion and promotion.base else []
        if not any(book.policy and book.policy.policy.versions == "signed" for book in books):
            return ()
        allowed = self.rules_now().signers or b""
        fault = lacking_signature(self.repository, version, allowed)
        return (replace(fault, what=f"{version}: {fault.what}"),) if fault else ()

    def unsound(self) -> tuple[Fault, ...]:
        """What keeps main from being acted upon: rules that nobody agreed to, here, or on the
        branch that says that this one is main."""
        other = self.redirect.faults if self.redirect else ()
        if self.redirect and self.redirect.commit == self.head:
            return other
        return (*other, *self.rules.faults(self.folder))

    @cached_property
    def redirect(self) -> Redirect | None:
        """What says that this branch is main, and not the one that would be; None where that is
        this one. The rules of that other branch decide whether it counts."""
        commit = main_branch.redirecting(self.repository)
        if commit is None:
            return None
        there = replace(self, head=commit).rules
        paths = tuple(sorted(main_branch.find_declarations(self.repository, commit)))
        by = tuple(dict.fromkeys(name for path in paths for name in there.agreed(path)))
        name = main_branch.name(self.repository)
        faults = tuple(_redirected(fault, name, commit) for fault in there.faults(self.folder))
        return Redirect(name, commit, paths, by, faults)

    def unasked(self) -> tuple[Fault, ...]:
        """The rules of which only a forge could tell whether they were agreed to, which is not
        asked: nothing that they say is run, opened or counted."""
        if self.forge is not None:
            return ()
        redirecting = main_branch.redirecting(self.repository)
        heads = [self.head] if redirecting is None else [redirecting, self.head]
        open_ones = [fault for head in heads for fault in replace(self, head=head)._open()]
        known = {fault.place for fault in self.unsound()}
        return tuple(
            Fault(f"whether this was agreed to is not known: {NOT_ASKED}", fault.place, ASK)
            for fault in dict.fromkeys(open_ones)
            if fault.place not in known
        )

    def _open(self) -> tuple[Fault, ...]:
        """The rules that Git alone does not prove to be in force."""
        if all(change.level != "unknown" for change in self.rules.changes):
            return ()
        return read_rule_history(self.repository, self.line, strict=True).faults(self.folder)

    def refuse_unsound(self) -> None:
        """Raise ``Refused`` unless it is known that the rules on main were agreed to: asked before
        anything that they say is run, opened or written."""
        if faults := [*self.unsound(), *self.unasked()]:
            raise Refused(*faults)

    def displaced_faults(self) -> tuple[Fault, ...]:
        """The decisions that were put out of main's line, as faults."""
        return tuple(displaced_fault(one) for one in self.displaced)


def _redirected(fault: Fault, name: str, commit: str) -> Fault:
    """A fault in the rules of the branch that names another one as main: ``approve --rules`` agrees
    to what stands on main, which that one is not before it was agreed to."""
    hint = (
        f"take `main: {name}` out of it there; or read it, and let signers agree on that branch: "
        f"printf '%s\\n' Agree '' 'Rules: {fault.place}' 'Approval: signed' | "
        "git commit -S --allow-empty -F -"
    )
    what = f"{fault.what}; it stands at {commit[:7]}, on the branch that names `{name}` as main"
    return replace(fault, what=what, hint=hint)


def displaced_fault(displaced: Displaced) -> Fault:
    """A decision that a merge put out of main's line."""
    what = (
        f"{displaced.merge[:7]} put {displaced.subject} ({displaced.commit[:7]}) out of main's "
        "first-parent line: main was re-parented, and what it decided there counts no more"
    )
    hint = (
        f"git log --graph {displaced.merge[:7]} shows it; decide again what was lost, and: "
        "towpath reconcile STAGE --apply --accept-history"
    )
    return Fault(what, Place("main"), hint)


def _stricter(then: Judgement, now: Judgement) -> Judgement:
    """Of two judgements of one promotion, what both of them allow."""
    needed = max(then.needed, now.needed, key=ORDER.index)
    if ORDER.index(now.approval.level) < ORDER.index(then.approval.level):
        why = f"by the rules of now {now.approval.why or 'nobody may approve it so'}"
        return Judgement(replace(now.approval, why=why), needed)
    return Judgement(then.approval, needed)


def decide_again(promotion: Promotion, log: Sequence[Promotion]) -> str:
    """How what main wants without a sufficient approval comes to have one: the command that a
    person types. ``log`` are main's promotions, the oldest first."""
    model, stage, version = promotion.model, promotion.stage, promotion.version
    mine = [one for one in log if (one.stage, one.model) == (stage, model)]
    before = [one.version for one in mine[: mine.index(promotion)] if one.version]
    if version is None:
        return f"towpath promote {model}@{before[-1] if before else 'latest'} --to {stage}"
    if version in before:
        return f"towpath rollback {model} --stage {stage} --to {version}"
    return f"towpath promote {model}@{version} --to {stage}"


def backdated_fault(promotion: Promotion, dated: Backdated, log: Sequence[Promotion]) -> Fault:
    """A promotion whose commit has a date that cannot be."""
    said = (moment(dated.time), moment(dated.parent_time))
    relation = "which has not come yet: it is" if dated.is_ahead else "before the commit under it,"
    what = f"its commit {dated.commit[:7]} is dated {said[0]}, {relation} {said[1]}"
    hint = f"{decide_again(promotion, log)}, and let it be approved"
    return Fault(what, Place(f"{promotion.path} at {dated.commit[:7]}"), hint)


def moment(seconds: int) -> str:
    """A time in UTC, ISO 8601; one beyond the calendar is its end."""
    last = 253_402_300_799  # 9999-12-31T23:59:59Z
    return datetime.fromtimestamp(min(max(seconds, 0), last), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
