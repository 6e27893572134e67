"""Which rules are in force: every change of them on main, and who agreed to it under those before.

Whoever may push to main could else lower what main asks for, and promote then. So a change of a
rule file counts once it is approved under the rules before it; until then the rules before it are
in force, and whatever acts upon main stops (docs/trust.md).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.backends.git.git_command import split_lines
from towpath.delivery.promotion import code_owners
from towpath.delivery.promotion.approval import mails_and_logins
from towpath.delivery.promotion.commit_approvers import (
    CommitSignature,
    bring_head,
    find_pull,
    find_standing_reviews,
    read_signatures,
)
from towpath.delivery.promotion.rulebook import PATTERNS, Rulebook, is_note, is_rule, read_levels
from towpath.errors import Fault, Place
from towpath.registry import ownership, policy_at_commit
from towpath.registry.main_line import MainChange, MainLine, read_changes
from towpath.registry.ownership import claimed_model
from towpath.registry.stage_files import FOLDER, parse_stage_file_path

if TYPE_CHECKING:
    from towpath.config.project_declaration import Approval
    from towpath.forge import Forge

RULES = "rules"
"""The trailer that names a rule file which a signed commit approves."""

ALONE = "alone signed for it, and the policy wants another to"

RATIFY = "towpath approve --rules"

NOT_ASKED = "the forge was not asked"

RuleLevel: TypeAlias = Literal["recorded", "signed", "forge", "none", "unknown"]


@dataclass(frozen=True)
class RuleChange:
    """A commit of main that changed rule files, or agreed to a change that stood there already.

    ``level`` is ``none`` where the rules before it ask for more than it has, and ``unknown`` where
    only a forge could tell that was not asked; ``why`` says what lacks.
    """

    commit: str
    time: int
    author: str
    paths: tuple[str, ...]
    level: RuleLevel
    by: tuple[str, ...] = ()
    where: str | None = None
    why: str = ""

    def __str__(self) -> str:
        named = ", ".join(self.paths[:3]) + (" and more" if self.paths[3:] else "")
        return f"{named} ({self.commit[:7]})"


@dataclass(frozen=True)
class RuleSnapshot:
    """The rule files in force from a place of the line on: blobs by path."""

    place: int
    blobs: Mapping[str, str]


@dataclass(frozen=True)
class RuleHistory:
    """The rules of main, as far back as it goes.

    ``pending`` are the paths whose content on main now nobody agreed to who had to.
    """

    repository: Repository
    line: MainLine
    changes: tuple[RuleChange, ...]
    snapshots: tuple[RuleSnapshot, ...]
    pending: tuple[str, ...]
    written: Mapping[str, str]
    """The rule files as main has them now, agreed to or not: blobs by path."""
    due: Mapping[str, Approval]
    """The level at which each of the pending paths would be agreed to now."""

    def rules_written(self, folder: str = "") -> Rulebook:
        """The rules as main's files say them now, whoever put them there."""
        return _load_rulebook(self.repository, self.written, folder)

    def rules_at(self, commit: str, folder: str = "") -> Rulebook:
        """The rules in force when main was at a commit."""
        position = self.line.commit_places.get(commit, 0)
        place = max((s.place for s in self.snapshots if s.place <= position), default=-1)
        if (
            place,
            folder,
        ) not in self._known_rulebooks:  # rules change seldom, and promotions are many
            self._known_rulebooks[place, folder] = self._rules_from(place, folder)
        return self._known_rulebooks[place, folder]

    @cached_property
    def _known_rulebooks(self) -> dict[tuple[int, str], Rulebook]:
        """The rules that were asked for, by the place of their snapshot and the folder."""
        return {}

    def _rules_from(self, place: int, folder: str) -> Rulebook:
        blobs = next((s.blobs for s in reversed(self.snapshots) if s.place == place), {})
        rules = _load_rulebook(self.repository, blobs, folder)
        # A project may have been moved since, from among others: it is known by its name.
        return rules if rules.policy else replace(rules, name=self._find_name(folder))

    def _find_name(self, folder: str) -> str | None:
        """What the project in a folder is called, by the newest of its rules."""
        in_force = self.snapshots[-1].blobs if self.snapshots else {}
        blob = in_force.get(policy_at_commit.declaration_path(folder)) or self.written.get(
            policy_at_commit.declaration_path(folder)
        )
        project = (
            _load_rulebook(self.repository, {policy_at_commit.FILE: blob}).policy if blob else None
        )
        return project.name if project else None

    def faults(self, folder: str = "") -> tuple[Fault, ...]:
        """What keeps main from being acted upon: rules of this project that nobody agreed to."""
        return tuple(
            Fault(self._explain_unagreed(path), Place(path), hint=_way_to_agree(path))
            for path in self.find_pending(folder)
            if not is_note(path)
        )

    def find_pending(self, folder: str = "") -> tuple[str, ...]:
        """The pending files that concern the project in ``folder``: its own ``towpath.yaml``, what
        all projects of a repository share, and any that says which branch is main, or said it."""
        return tuple(p for p in self.pending if concerns_project(p, folder) or self._names_main(p))

    def _names_main(self, path: str) -> bool:
        in_force = self.snapshots[-1].blobs if self.snapshots else {}
        return any(_declared_mains(self.repository, path, self.written, in_force))

    def find_who_agreed(self, path: str) -> tuple[str, ...]:
        """Who agreed to a file as main has it now; nobody where nobody did, or it is not there."""
        if path in self.pending or path not in self.written:
            return ()
        counted = (change for change in reversed(self.changes) if path in change.paths)
        last = next((change for change in counted if change.level != "none"), None)
        return (last.by or (last.author,)) if last else ()

    def last_change(self, path: str) -> tuple[str, str]:
        """The commit of main that changed a rule file last, or agreed to it, and its author."""
        last = self._last_rule_change(path)
        return (last.commit, last.author) if last else ("", "")

    def _last_rule_change(self, path: str) -> RuleChange | None:
        return next((change for change in reversed(self.changes) if path in change.paths), None)

    def _explain_unagreed(self, path: str) -> str:
        last = self._last_rule_change(path)
        where = f" in {last.commit[:7]} by {last.author}" if last else ""
        why = f": {last.why}" if last and last.why else ""
        return f"it says who may approve, and was changed{where} without an approval{why}"


def _way_to_agree(path: str) -> str:
    """How a rule that waits is read, and then agreed to: bare, the command only shows it."""
    return f"{RATIFY} shows it; {RATIFY} {shlex.quote(path)} lets it count"


def concerns_project(path: str, folder: str) -> bool:
    """Whether a rule file is one of the project in ``folder``: its own ``towpath.yaml``, and what
    all projects of a repository share."""
    return path.rpartition("/")[
        2
    ] != policy_at_commit.FILE or path == policy_at_commit.declaration_path(folder)


def read_rule_history(
    repository: Repository, line: MainLine, forge: Forge | None = None, strict: bool = False
) -> RuleHistory:
    """The rules from main's first commit to ``line.head``. Each change is asked about at the forge
    that the rules before it name, as ``forge`` turns there. Without one a change that only a forge
    could prove is in force, but not with ``strict``.

    Raises ``ForgeError`` where the forge does not answer.
    """
    fold = _Fold(repository, line, forge, _first_decision(repository, line), strict)
    for change in _rule_commits(repository, line):
        fold.take_commit(change)
    return RuleHistory(
        repository,
        line,
        tuple(fold.changes),
        tuple(fold.snapshots),
        tuple(fold.open_paths()),
        fold.now,
        fold.find_due(),
    )


def _first_decision(repository: Repository, line: MainLine) -> int:
    """The place of the first commit of the line that changed a stage file; behind its end where
    none did."""
    decided = read_changes(repository, line.head, "--", f":(top,glob){FOLDER}/*/*.yaml")
    return min(
        (line.commit_places[change.commit] for change in decided), default=len(line.commits) + 1
    )


def _rule_commits(repository: Repository, line: MainLine) -> list[MainChange]:
    """The commits that changed a rule file, and those whose message agrees to one."""
    changed = {c.commit: c for c in read_changes(repository, line.head, "--", *PATTERNS)}
    agreed = read_changes(repository, line.head, "-i", f"--grep=^{RULES}: ")
    commits = {**{c.commit: replace(c, files={}) for c in agreed}, **changed}
    for commit in _merges_that_agree(repository, line) - set(commits):
        [merge] = read_changes(repository, commit, "-1")
        commits[commit] = replace(merge, files={})
    return sorted(commits.values(), key=lambda change: line.commit_places[change.commit])


def _merges_that_agree(repository: Repository, line: MainLine) -> set[str]:
    """The merges of the line whose merged commit agrees to rules: a forge's merge has a message of
    its own, and the review is of what was merged."""
    words = ("log", "-i", f"--grep=^{RULES}: ", "--format=%H", line.head)
    listed = repository.recall_output(*words, about=[line.head])
    beside = {commit for commit in split_lines(listed) if not line.holds_commit(commit)}
    return {c.name for c in line.commits if beside & set(c.parents[1:])}


@dataclass
class _Fold:
    """The rules while main's line is walked. ``now`` is what main says, ``force`` what counts;
    ``signed`` are those who signed for what a path says now, and whether they named it."""

    repository: Repository
    line: MainLine
    forge: Forge | None
    first_decision: int
    strict: bool
    changes: list[RuleChange] = field(default_factory=list)
    snapshots: list[RuleSnapshot] = field(default_factory=list)
    now: dict[str, str] = field(default_factory=dict)
    force: dict[str, str] = field(default_factory=dict)
    signed: dict[str, list[tuple[CommitSignature, bool]]] = field(default_factory=dict)
    claimed: dict[str, FirstClaim] = field(default_factory=dict)
    """What a first claim of a model needs, for as long as it waits."""

    def open_paths(self) -> list[str]:
        """The paths that main has otherwise than the rules in force."""
        return [p for p in sorted({*self.now, *self.force}) if self.now.get(p) != self.force.get(p)]

    def take_commit(self, change: MainChange) -> None:
        """Go on by one commit."""
        for path, blob in change.files.items():
            if not is_rule(path):
                continue
            self.signed.pop(path, None)
            self.claimed.pop(path, None)
            self.now.pop(path, None)
            if blob is not None:
                self.now[path] = blob
        paths = self.open_paths()
        if not paths:
            return
        rules = _load_rulebook(self.repository, self.force)
        if not self.line.commit_places[change.commit]:
            self._record_change(change, paths, "recorded", (change.author,))
            return
        for path in paths:
            # It puts the model under the claiming project's rules and takes it from nobody.
            is_new = path in change.files and path not in self.force
            if is_new and (first := _read_first_claim(self.repository, rules, path, change)):
                self.claimed[path] = first
        base, position = next(iter(change.parents), None), self.line.commit_places[change.commit]
        due = {path: self._find_required(rules, path, base, position) for path in paths}
        plain = [path for path in paths if due[path] == "recorded"]
        if plain:
            self._record_change(change, plain, "recorded", (change.author,))
        self._weigh_signatures(change, [path for path in paths if due[path] == "signed"], rules)
        self._weigh_forge_reviews(change, [path for path in paths if due[path] == "forge"], rules)

    def find_due(self) -> dict[str, Approval]:
        """The level that an agreement upon main as it is needs, of each open path."""
        if not (paths := self.open_paths()):
            return {}
        rules, head, position = (
            _load_rulebook(self.repository, self.force),
            self.line.head,
            len(self.line.commits),
        )
        return {path: self._find_required(rules, path, head, position) for path in paths}

    def _find_required(
        self, rules: Rulebook, path: str, base: str | None, position: int
    ) -> Approval:
        """The level that a change upon ``base`` needs, at its place of the line.

        A project is set up before it is put on a forge, where no pull request tells of that: until
        the first promotion its rules are taken as they come. So are those that nobody is named for
        who could agree.
        """
        asked_levels = self._find_asked(rules, path)
        least = rules.required_level(path, asked_levels)
        if least != "forge":
            return least
        is_set_up = position < self.first_decision
        stage_files = _stage_files(self.repository, base)
        able = not is_set_up and bool(_people_who_may_agree(path, rules, stage_files))
        return rules.required_level(path, asked_levels, at_forge=able)

    def _find_asked(self, rules: Rulebook, path: str) -> frozenset[Approval] | None:
        """The levels that a change is held to by what it says; None where the file alone decides.

        Which branch is main concerns every project, whichever's file says it.
        """
        if path in self.claimed:
            return self.claimed[path].levels
        main_before, main_after = _declared_mains(self.repository, path, self.force, self.now)
        return rules.asked_levels if main_before != main_after else None

    def _record_change(
        self,
        change: MainChange,
        paths: list[str],
        level: RuleLevel,
        by: tuple[str, ...] = (),
        where: str | None = None,
        why: str = "",
    ) -> None:
        if level != "none" and not (self.strict and level == "unknown"):
            for path in paths:
                self.force.pop(path, None)
                if path in self.now:
                    self.force[path] = self.now[path]
            position = self.line.commit_places[change.commit]
            self.snapshots.append(RuleSnapshot(position, dict(self.force)))
        time = self.line.times[change.commit]
        self.changes.append(
            RuleChange(change.commit, time, change.author, tuple(paths), level, by, where, why)
        )

    def _weigh_signatures(self, change: MainChange, paths: list[str], rules: Rulebook) -> None:
        """Signatures: one that names the path, and where nobody approves their own, another's."""
        if not paths:
            return
        if self.line.backdated([change.commit]):
            # A key that expired would else sign at a date at which it had not.
            self._record_change(change, paths, "none", why="its date cannot be")
            return
        agreed: dict[str, list[str]] = {}
        lacks: dict[str, list[str]] = {}
        for path in paths:
            self.signed.setdefault(path, []).extend(
                _find_sponsors(self.repository, change, path, rules)
            )
            first = self.claimed.get(path)
            alone = first.self_approval if first else rules.lets_all_approve_their_own
            names, why = _weigh_signers(self.signed[path], path, rules, alone)
            if why:
                lacks.setdefault(why, []).append(path)
            else:
                agreed.setdefault(", ".join(names), []).append(path)
        for names_, mine in agreed.items():
            self._record_change(change, mine, "signed", tuple(names_.split(", ")))
        for why, mine in lacks.items():
            self._record_change(change, mine, "none", why=why)

    def _weigh_forge_reviews(self, change: MainChange, paths: list[str], rules: Rulebook) -> None:
        """A pull request whose head was approved by those who own the files."""
        if not paths:
            return
        if self.forge is None:
            self._record_change(change, paths, "unknown", why=NOT_ASKED)
            return
        by_project: dict[str, list[str]] = {}
        for path in paths:
            by_project.setdefault(_naming_a_forge(path, rules), []).append(path)
        for declaration, mine in by_project.items():
            # Whoever changes which forge is named does not have the new one say who agreed.
            before = self.forge.turn_to(rules.policies_by_path[declaration])
            assert before is not None
            by, where, why = _find_reviewers(self.repository, change, mine, rules, before)
            self._record_change(change, mine, "none" if why else "forge", by, where, why)


def _load_rulebook(repository: Repository, blobs: Mapping[str, str], folder: str = "") -> Rulebook:
    contents = refs.read_contents(repository, set(blobs.values()))
    # A submodule in the place of a rule file has no bytes here: it says nothing.
    return Rulebook({path: contents.get(blob, b"") for path, blob in blobs.items()}, folder)


def _declared_mains(
    repository: Repository, path: str, *files: Mapping[str, str]
) -> tuple[str | None, ...]:
    """What a ``towpath.yaml`` says to be the main branch, in each of these sets of files."""
    if path.rpartition("/")[2] != policy_at_commit.FILE:
        return (None,) * len(files)
    blobs = [blobs_by_path.get(path, "") for blobs_by_path in files]
    texts = refs.read_contents(repository, {blob for blob in blobs if blob})
    return tuple(main_branch.read_declared_name(texts.get(blob, b"")) for blob in blobs)


@dataclass(frozen=True)
class FirstClaim:
    """What the first claim of a model needs, by the rules of the project that claims it."""

    levels: frozenset[Approval]
    self_approval: bool


def _read_first_claim(
    repository: Repository, rules: Rulebook, path: str, change: MainChange
) -> FirstClaim | None:
    """What the claim of a model that main never had before needs: what the claiming project asks,
    or, where it travels with a promotion of the model, what that stage asks. None of any other."""
    model = claimed_model(path)
    if model is None or change.files.get(path) is None or not change.parents:
        return None
    text = refs.read_contents(repository, [f"{change.commit}:{path}"]).get(
        f"{change.commit}:{path}"
    )
    folder = ownership.read_claim(model, (text or b"").decode("utf-8", "replace"))
    project = (
        rules.policies_by_path.get(policy_at_commit.declaration_path(folder))
        if isinstance(folder, str)
        else None
    )
    if project is None:
        return None
    stage_files = {f"{FOLDER}/{stage}/{model}.yaml": stage for stage in project.stages}
    ever = (f"registry/models/{model}", f"registry/evidence/{model}", f"{FOLDER}/*/{model}.yaml")
    before = read_changes(
        repository, change.parents[0], "-1", "--", *(f":(top,glob){pattern}" for pattern in ever)
    )
    if next(before, None) is not None:
        return None
    after = refs.read_contents(repository, [f"{change.commit}:{file}" for file in stage_files])
    stages = tuple(stage_files[name.partition(":")[2]] for name in after)
    return FirstClaim(read_levels(project, stages), project.policy.self_approval)


def _find_sponsors(
    repository: Repository, change: MainChange, path: str, rules: Rulebook
) -> Iterator[tuple[CommitSignature, bool]]:
    """Who signed for what a path says now, in a commit of main, and whether they named it.

    A signature under a merge says nothing of what the merge happens to bring: who signed what was
    merged wrote it, as far as that is what main has.
    """
    makers = [change.commit]
    if len(change.parents) > 1:
        first, *merged = change.parents
        for end in merged:
            makers += [
                writer.commit
                for writer in commit_history.file_writers(repository, first, end, [path])
            ]
    signatures = read_signatures(repository, makers, rules.signers)
    contents = refs.read_contents(repository, [f"{commit}:{path}" for commit in makers])
    main = contents.get(f"{change.commit}:{path}")
    for commit, signature in signatures.items():
        named = commit == change.commit and _names_path(change, path)
        wrote = commit != change.commit or (path in change.files and len(change.parents) < 2)
        if named or (wrote and contents.get(f"{commit}:{path}") == main):
            yield signature, named


def _names_path(change: MainChange, path: str) -> bool:
    """Whether a commit's message says ``Approval:`` and names a path: by ``Rules:``, or, for a file
    that says whose a model is and travels with the model's promotion, by ``Promotion:``."""
    if "approval" not in change.trailers:
        return False
    if path in change.trailers.get(RULES, ()):
        return True
    model = claimed_model(path)
    named = change.trailers.get("promotion", ())
    return model is not None and any(line.startswith(f"{model}@") for line in named)


def _weigh_signers(
    signed: list[tuple[CommitSignature, bool]], path: str, rules: Rulebook, alone: bool
) -> tuple[list[str], str]:
    """The names that approve a path, or what lacks; ``alone`` says whether one signer is enough."""
    owned = code_owners.find_owner_mails(rules.owners_of_path(path))
    named = [s for s, names_it in signed if names_it and (not owned or s.names & owned)]
    if not named:
        whom = f" by {' or '.join(sorted(owned))}" if owned else ""
        return [], f"no commit that is signed{whom} names it (`Rules: {path}`)"
    for approver in named:
        others = [other for other, _ in signed if not other.is_same_person(approver)]
        if others or alone:
            return [approver.name], ""
    return [], f"{named[0].name} {ALONE}"


def _find_reviewers(
    repository: Repository,
    change: MainChange,
    paths: list[str],
    rules: Rulebook,
    forge: Forge,
) -> tuple[tuple[str, ...], str | None, str]:
    """Who approved a change of rules at the forge, where; or why nobody did."""
    head = change.parents[1] if len(change.parents) > 1 else None
    pull = find_pull(repository, forge, change.commit, head)
    if pull is None:
        return (), None, f"{forge.name} knows no merged pull request of it"
    if not bring_head(repository, pull):
        return (), pull.url, f"the head of {pull.url} cannot be had: nobody knows what was reviewed"
    if _has_other_content(repository, pull.head, change.commit, paths):
        return (), pull.url, f"main holds another content than {pull.url} did"
    approved = find_standing_reviews(forge.reviews(pull.number), pull.head)
    makers = commit_history.file_writers(repository, change.parents[0], pull.head, paths)
    authors = {
        pull.author.lower(),
        *mails_and_logins(("", m) for maker in makers for m in maker.writer_mails),
    }
    by = [review.user for user, review in approved.items() if user not in authors]
    stage_files = _stage_files(repository, change.parents[0])
    for path in paths:
        may = code_owners.find_owner_logins(_people_who_may_agree(path, rules, stage_files), forge)
        by = [user for user in by if user.lower() in may]
    if by:
        return tuple(by), pull.url, ""
    return (), pull.url, f"{pull.url} has no approving review of its head by an owner of it"


def _people_who_may_agree(
    path: str, rules: Rulebook, stage_files: Sequence[str]
) -> tuple[str, ...]:
    """Who may agree to a change of a rule file: its owners, or else those of the stages, or else
    those of any rule file, so that where anybody is named nobody gets past them."""
    if owned := rules.owners_of_path(path):
        return owned
    stages = [
        item for project in rules.policies_by_path.values() for item in project.stages.items()
    ]
    # A model that has not come yet: its owners are those of a whole stage.
    files = [*stage_files, *(f"{FOLDER}/{name}/model.yaml" for name, _ in stages)]
    persons = [person for _, stage in stages for person in stage.approvers]
    persons += [owner for file in files for owner in rules.owners_of_path(file)]
    persons = persons or [owner for file in rules.texts for owner in rules.owners_of_path(file)]
    return tuple(dict.fromkeys(persons))


def _stage_files(repository: Repository, base: str | None) -> tuple[str, ...]:
    """The stage files of main before a change: whose owners are named by the model, too."""
    if base is None:
        return ()
    return tuple(
        filter(parse_stage_file_path, commit_history.list_paths(repository, base, f"{FOLDER}/"))
    )


def _naming_a_forge(path: str, rules: Rulebook) -> str:
    """The declaration that names the forge at which a change is agreed to: the file itself as it
    was, or, for one that concerns all, the first that names one."""
    own = rules.policies_by_path.get(path)
    if own and own.forge:
        return path
    return next(file for file, project in sorted(rules.policies_by_path.items()) if project.forge)


def _has_other_content(repository: Repository, head: str, commit: str, paths: list[str]) -> bool:
    """Whether main has these files otherwise than the head that was reviewed."""
    return bool(commit_history.changed_files(repository, head, commit, *paths))
