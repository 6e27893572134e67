"""Which rules are in force: every change of them on main, and who agreed to it under those before.

Whoever may push to main could else lower what main asks for, and promote then. So a change of a
rule file counts once it is approved under the rules before it; until then the rules before it are
in force, and whatever acts upon main stops (docs/trust.md).
"""

from __future__ import annotations

import shlex
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.backends.git.commit_history import MainChange, MainLine, read_changes
from towpath.backends.git.git_command import split_lines
from towpath.delivery.promotion import commit_approvers, rulebook
from towpath.delivery.promotion.commit_approvers import CommitSignature
from towpath.delivery.promotion.promotion_approval import mails_of_writers
from towpath.delivery.promotion.rulebook import Rulebook
from towpath.errors import Fault, Place
from towpath.plain_data import group_by_key
from towpath.registry import ownership
from towpath.registry.ownership import claimed_model
from towpath.registry.policy_at_commit import FILE, declaration_path
from towpath.registry.stage_files import FOLDER, parse_stage_file_path

if TYPE_CHECKING:
    from towpath.config.project_declaration import Approval
    from towpath.forge import Forge

RULES = "rules"  # the trailer that names a rule file which a signed commit approves
ALONE = "alone signed for it, and the policy wants another to"
RATIFY = "towpath approve --rules"
NOT_ASKED = "the forge was not asked"

RuleLevel: TypeAlias = Literal["recorded", "signed", "forge", "none", "unknown"]


class RuleChange(Struct, frozen=True):
    """A commit of main that changed rule files, or agreed to a change that stood there already.
    ``level`` is ``none`` where the rules before it ask for more than it has, and ``unknown`` where
    only a forge could tell that was not asked; ``why`` says what lacks."""

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


class RuleHistory(Struct, frozen=True, dict=True):
    """The rules of main, as far back as it goes, as blobs by path: ``snapshots`` are those in force
    from a place of the line on, ``written`` those that main has now. ``due`` are the paths whose
    content nobody agreed to who had to, with the level that would agree to it now."""

    repository: Repository
    line: MainLine
    changes: tuple[RuleChange, ...]
    snapshots: tuple[tuple[int, Mapping[str, str]], ...]
    written: Mapping[str, str]
    due: Mapping[str, Approval]

    def rules_written(self, folder: str = "") -> Rulebook:
        """The rules as main's files say them now, whoever put them there."""
        return _load_rulebook(self.repository, self.written, folder)

    def rules_at(self, commit: str, folder: str = "") -> Rulebook:
        """The rules in force when main was at a commit."""
        position = self.line.commit_places.get(commit, 0)
        count = bisect_right(self.snapshots, position, key=lambda snapshot: snapshot[0])
        # Rules change seldom, and promotions are many: each rulebook parses its files once.
        if (count, folder) not in self._known_rulebooks:
            blobs = self.snapshots[count - 1][1] if count else {}
            rules = _load_rulebook(self.repository, blobs, folder)
            # A project may have been moved since, from among others: it is known by its name.
            if rules.policy is None:
                path = declaration_path(folder)
                blob = self._in_force.get(path) or self.written.get(path, "")
                text = refs.read_contents(self.repository, filter(None, [blob])).get(blob, b"")
                project = rulebook.read_policy(text)
                rules = replace(rules, name=project.name if project else None)
            self._known_rulebooks[count, folder] = rules
        return self._known_rulebooks[count, folder]

    @cached_property
    def _known_rulebooks(self) -> dict[tuple[int, str], Rulebook]:
        return {}

    @property
    def _in_force(self) -> Mapping[str, str]:
        return self.snapshots[-1][1] if self.snapshots else {}

    def faults(self, folder: str = "") -> tuple[Fault, ...]:
        return tuple(
            self._unagreed_fault(p) for p in self.find_pending(folder) if not rulebook.is_note(p)
        )

    def find_pending(self, folder: str = "") -> tuple[str, ...]:
        """The pending files that concern the project in ``folder``: its own ``towpath.yaml``, what
        all projects of a repository share, and any that says which branch is main, or said it."""
        return tuple(
            path
            for path in self.due
            if path.rpartition("/")[2] != FILE
            or path == declaration_path(folder)
            or any(_declared_mains(self.repository, path, self.written, self._in_force))
        )

    def find_who_agreed(self, path: str) -> tuple[str, ...]:
        """Who agreed to a file as main has it now; nobody where nobody did, or it is not there."""
        agreed = [c for c in self.changes if path in c.paths and c.level != "none"]
        if path in self.due or path not in self.written or not agreed:
            return ()
        return agreed[-1].by or (agreed[-1].author,)

    def last_change(self, path: str) -> RuleChange | None:
        return next((change for change in reversed(self.changes) if path in change.paths), None)

    def _unagreed_fault(self, path: str) -> Fault:
        last = self.last_change(path)
        where = f" in {last.commit[:7]} by {last.author}" if last else ""
        why = f": {last.why}" if last and last.why else ""
        what = f"it says who may approve, and was changed{where} without an approval{why}"
        # Bare, the command only shows it: nobody lets count what they have not seen.
        hint = f"{RATIFY} shows it; {RATIFY} {shlex.quote(path)} lets it count"
        return Fault(what, Place(path), hint=hint)


def read_rule_history(
    repository: Repository, line: MainLine, forge: Forge | None = None, strict: bool = False
) -> RuleHistory:
    """The rules from main's first commit to ``line.head``, each change asked about at the forge
    that the rules before it name. Without one a change that only a forge could prove is in force,
    but not with ``strict``. Raises ``ForgeError``."""
    decided = read_changes(repository, line.head, "--", f":(top,glob){FOLDER}/*/*.yaml")
    places = (line.commit_places[change.commit] for change in decided)
    walk = _RuleWalk(repository, line, forge, min(places, default=len(line.commits) + 1), strict)
    for change in _rule_commits(repository, line):
        walk.take_commit(change)
    due = walk.find_due(_load_rulebook(repository, walk.force), line.head, len(line.commits))
    changes, snapshots = tuple(walk.changes), tuple(walk.snapshots)
    return RuleHistory(repository, line, changes, snapshots, walk.now, due)


def _rule_commits(repository: Repository, line: MainLine) -> list[MainChange]:
    changed = {c.commit: c for c in read_changes(repository, line.head, "--", *rulebook.PATTERNS)}
    agrees = ("-i", f"--grep=^{RULES}: ")
    words = ("log", *agrees, "--format=%H")
    listed = commit_history.recall_line(
        repository, line.head, words, lambda bounds: split_lines(repository.call(*words, *bounds))
    )
    beside = {commit for commit in listed if not line.holds_commit(commit)}
    # On most lines no commit agrees to rules, and more need not be asked.
    on_line = read_changes(repository, line.head, *agrees) if len(beside) < len(listed) else ()
    agreed = {c.commit: c for c in on_line}
    # A forge's merge has a message of its own, and the review is of what was merged: so the merges
    # count whose merged commit agrees.
    merges = {c.name for c in line.commits if beside & set(c.parents[1:])}
    for commit in merges - set(agreed) - set(changed):
        [agreed[commit]] = read_changes(repository, commit, "-1")
    commits = {name: replace(change, files={}) for name, change in agreed.items()} | changed
    return sorted(commits.values(), key=lambda change: line.commit_places[change.commit])


class _RuleWalk(Struct):
    """The rules while main's line is walked. ``now`` is what main says, ``force`` what counts, as
    blobs by path; ``signed`` are those who signed for what a path says now, and whether they named
    it; ``claimed`` is what a first claim of a model needs, for as long as it waits."""

    repository: Repository
    line: MainLine
    forge: Forge | None
    first_decision: int  # the place of the first commit of the line that changed a stage file
    strict: bool
    changes: list[RuleChange] = field(default_factory=list)
    snapshots: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    now: dict[str, str] = field(default_factory=dict)
    force: dict[str, str] = field(default_factory=dict)
    signed: dict[str, list[tuple[CommitSignature, bool]]] = field(default_factory=dict)
    claimed: dict[str, _FirstClaim] = field(default_factory=dict)

    def take_commit(self, change: MainChange) -> None:
        files = {path: blob for path, blob in change.files.items() if rulebook.is_rule(path)}
        for path in files:
            # Who signed for what a file said did not sign for what it says from here on.
            for by_path in (self.signed, self.claimed, self.now):
                by_path.pop(path, None)
        self.now |= {path: blob for path, blob in files.items() if blob is not None}
        position = self.line.commit_places[change.commit]
        if not position:  # there was nobody before the first commit who could agree to it
            if self.now:
                self._record_change(change, sorted(self.now), "recorded", (change.author,))
            return
        rules = _load_rulebook(self.repository, self.force)
        for path in self.now.keys() & files.keys() - self.force.keys():
            # It puts the model under the claiming project's rules and takes it from nobody.
            if first := _read_first_claim(self.repository, rules, path, change):
                self.claimed[path] = first
        due = self.find_due(rules, next(iter(change.parents), None), position)
        self._judge_due(change, due, rules)

    def _judge_due(self, change: MainChange, due: Mapping[str, Approval], rules: Rulebook) -> None:
        by_level = {
            level: [p for p, least in due.items() if least == level] for level in rulebook.LEVELS
        }
        if paths := by_level["recorded"]:
            self._record_change(change, paths, "recorded", (change.author,))
        if paths := by_level["signed"]:
            self._weigh_signatures(change, paths, rules)
        if paths := by_level["forge"]:
            self._weigh_reviews(change, paths, rules)

    def find_due(self, rules: Rulebook, base: str | None, position: int) -> dict[str, Approval]:
        """The level that each path needs that main has otherwise than the rules in force."""
        paths = sorted({*self.now, *self.force})
        return {
            path: self._find_required(rules, path, base, position)
            for path in paths
            if self.now.get(path) != self.force.get(path)
        }

    def _find_required(
        self, rules: Rulebook, path: str, base: str | None, position: int
    ) -> Approval:
        # What it says decides, where it claims a model, or says which branch is main: that concerns
        # every project, whichever's file says it. Else the file alone.
        main_before, main_after = _declared_mains(self.repository, path, self.force, self.now)
        asked_levels = rules.asked_levels if main_before != main_after else None
        if path in self.claimed:
            asked_levels, _ = self.claimed[path]
        least = rules.required_level(path, asked_levels)
        if least != "forge":
            return least
        # A project is set up before it is put on a forge, where no pull request tells of that:
        # until the first promotion its rules are taken as they come. So are those that nobody is
        # named for who could agree.
        is_set_up = position < self.first_decision
        stage_files = _stage_files(self.repository, base)
        able = not is_set_up and bool(_people_who_may_agree(path, rules, stage_files))
        return rules.required_level(path, asked_levels, at_forge=able)

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
            # A copy: the next commit goes on with the same mapping.
            self.snapshots.append((self.line.commit_places[change.commit], dict(self.force)))
        commit, time, author = change.commit, self.line.times[change.commit], change.author
        self.changes.append(RuleChange(commit, time, author, tuple(paths), level, by, where, why))

    def _weigh_signatures(self, change: MainChange, paths: list[str], rules: Rulebook) -> None:
        """Signatures: one that names the path, and where nobody approves their own, another's."""
        if self.line.backdated([change.commit]):
            # A key that expired would else sign at a date at which it had not.
            self._record_change(change, paths, "none", why="its date cannot be")
            return
        weighed: list[tuple[tuple[str, str], str]] = []
        own = all(project.policy.self_approval for project in rules.policies_by_path.values())
        for path in paths:
            sponsors = self.signed.setdefault(path, [])
            sponsors += _find_sponsors(self.repository, change, path, rules)
            _, alone = self.claimed.get(path, (None, own))
            weighed.append((_weigh_signers(sponsors, path, rules, alone), path))
        # Together for the same people, and for the same lack: a finding each, not one a file; what
        # somebody agreed to first.
        groups = sorted(group_by_key(weighed).items(), key=lambda group: bool(group[0][1]))
        for (name, why), mine in groups:
            by = () if why else (name,)
            self._record_change(change, mine, "none" if why else "signed", by, why=why)

    def _weigh_reviews(self, change: MainChange, paths: list[str], rules: Rulebook) -> None:
        if self.forge is None:
            self._record_change(change, paths, "unknown", why=NOT_ASKED)
            return
        # By the file itself as it was, or, for one that concerns all, the first that names one.
        projects = rules.policies_by_path
        naming = [file for file in sorted(projects) if projects[file].forge]
        by_project = group_by_key((path if path in naming else naming[0], path) for path in paths)
        for declaration, mine in by_project.items():
            # Whoever changes which forge is named does not have the new one say who agreed.
            before = self.forge.turn_to(projects[declaration])
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
    if path.rpartition("/")[2] != FILE:
        return (None,) * len(files)
    blobs = [blobs_by_path.get(path, "") for blobs_by_path in files]
    texts = refs.read_contents(repository, filter(None, blobs))
    return tuple(main_branch.read_declared_name(texts.get(blob, b"")) for blob in blobs)


# What the first claim of a model needs, by the rules of the project that claims it: the levels that
# count, and whether who claims it may approve it.
_FirstClaim: TypeAlias = tuple[frozenset["Approval"], bool]


def _read_first_claim(
    repository: Repository, rules: Rulebook, path: str, change: MainChange
) -> _FirstClaim | None:
    """What the claim of a model that main never had before needs: what the claiming project asks,
    or, where it travels with a promotion of the model, what that stage asks. None of any other."""
    model = claimed_model(path)
    if model is None or not change.parents:
        return None
    text = refs.read_content(repository, change.commit, path) or b""
    folder = ownership.read_claim(model, text.decode("utf-8", "replace"))
    if isinstance(folder, Fault):
        return None
    project = rules.policies_by_path.get(declaration_path(folder))
    if project is None:
        return None
    # Anything of it that main ever held makes the claim a change of hands.
    ever = (f"registry/models/{model}", f"registry/evidence/{model}", f"{FOLDER}/*/{model}.yaml")
    patterns = [f":(top,glob){pattern}" for pattern in ever]
    if any(read_changes(repository, change.parents[0], "-1", "--", *patterns)):
        return None
    stage_files = {f"{change.commit}:{FOLDER}/{s}/{model}.yaml": s for s in project.stages}
    stages = [stage_files[name] for name in refs.read_contents(repository, stage_files)]
    return rulebook.read_levels(project, stages), project.policy.self_approval


def _find_sponsors(
    repository: Repository, change: MainChange, path: str, rules: Rulebook
) -> Iterator[tuple[CommitSignature, bool]]:
    """Who signed for what a path says now, in a commit of main, and whether they named it."""
    # A signature under a merge says nothing of what the merge happens to bring: who signed what
    # was merged wrote it, as far as that is what main has.
    makers = [change.commit]
    for merged in change.parents[1:]:
        writers = commit_history.file_writers(repository, change.parents[0], merged, [path])
        makers += [writer.commit for writer in writers]
    signatures = commit_approvers.read_signatures(repository, makers, rules.signers)
    for commit, signature in signatures.items():
        named = commit == change.commit and _names_path(change, path)
        wrote = commit != change.commit or (path in change.files and len(change.parents) < 2)
        if named or (wrote and refs.has_same_files(repository, commit, change.commit, [path])):
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
) -> tuple[str, str]:
    """Whose name approves a path, or what lacks; ``alone`` says whether one signer is enough."""
    owned = rulebook.find_owner_mails(rules.owners_of_path(path))
    named = [s for s, names_it in signed if names_it and (not owned or s.names & owned)]
    if not named:
        whom = f" by {' or '.join(sorted(owned))}" if owned else ""
        return "", f"no commit that is signed{whom} names it (`Rules: {path}`)"
    for approver in named:
        if alone or any(not other.is_same_person(approver) for other, _ in signed):
            return approver.name, ""
    return "", f"{named[0].name} {ALONE}"


def _find_reviewers(
    repository: Repository, change: MainChange, paths: list[str], rules: Rulebook, forge: Forge
) -> tuple[tuple[str, ...], str | None, str]:
    head = change.parents[1] if len(change.parents) > 1 else None
    pull = commit_approvers.find_pull(repository, forge, change.commit, head)
    if pull is None:
        return (), None, f"{forge.name} knows no merged pull request of it"
    if not commit_approvers.bring_head(repository, pull):
        return (), pull.url, f"the head of {pull.url} cannot be had: nobody knows what was reviewed"
    # A merge made by hand may hold anything, and so may a commit that was pushed onto it.
    if commit_history.changed_files(repository, pull.head, change.commit, *paths):
        return (), pull.url, f"main holds another content than {pull.url} did"
    approved = commit_approvers.find_standing_reviews(forge.reviews(pull.number), pull.head)
    makers = commit_history.file_writers(repository, change.parents[0], pull.head, paths)
    authors = {pull.author.lower(), *mails_of_writers(makers)}
    by = [review.user for user, review in approved.items() if user not in authors]
    stage_files = _stage_files(repository, change.parents[0])
    for path in paths:  # whoever counts owns every one of them
        may = rulebook.find_owner_logins(_people_who_may_agree(path, rules, stage_files), forge)
        by = [user for user in by if user.lower() in may]
    if by:
        return tuple(by), pull.url, ""
    return (), pull.url, f"{pull.url} has no approving review of its head by an owner of it"


def _people_who_may_agree(
    path: str, rules: Rulebook, stage_files: Sequence[str]
) -> tuple[str, ...]:
    if owned := rules.owners_of_path(path):
        return owned
    projects = rules.policies_by_path.values()
    stages = [item for project in projects for item in project.stages.items()]
    # A model that has not come yet: its owners are those of a whole stage.
    files = [*stage_files, *(f"{FOLDER}/{name}/model.yaml" for name, _ in stages)]
    persons = [person for _, stage in stages for person in stage.approvers]
    persons += [owner for file in files for owner in rules.owners_of_path(file)]
    persons = persons or [owner for file in rules.texts for owner in rules.owners_of_path(file)]
    return tuple(dict.fromkeys(persons))


def _stage_files(repository: Repository, base: str | None) -> tuple[str, ...]:
    listed = commit_history.list_paths(repository, base, f"{FOLDER}/") if base else ()
    return tuple(filter(parse_stage_file_path, listed))
