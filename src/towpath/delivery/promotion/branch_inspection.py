"""A branch looked at as a promotion: is it one, is it clean, is it the very version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, commit_history, refs
from towpath.backends.git.commit_history import Change
from towpath.delivery.promotion import evidence, promotion_rules
from towpath.delivery.promotion import promotion_case as cases
from towpath.delivery.promotion.approval_rule import ASK
from towpath.delivery.promotion.promotion_case import Case
from towpath.delivery.promotion.rulebook import is_note, is_rule
from towpath.errors import Fault, Place, TowpathError, UsageError, did_you_mean
from towpath.registry import Found, Reference, policy_at_commit, stage_files, version_record
from towpath.registry.main_decisions import EVIDENCE
from towpath.registry.ownership import (
    Owners,
    claim_path,
    claimed_model,
    read_claim,
    read_owners,
    write_claim,
)
from towpath.registry.stage_files import FOLDER, Wanted

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.forge import Forge

KEPT = ("registry/models/", f"{EVIDENCE}/", f"{FOLDER}/")
MOST_NAMED = 5
ONE_OR_OTHER = "a pull request holds a promotion or code, not both: make two of them"


@dataclass(frozen=True)
class Inspected:
    """What a branch would change on the main branch, and all that is wrong with it.

    ``cases`` is empty where it is no promotion; ``base`` is main's head, ``start`` the commit
    where the branch left main.
    """

    base: str
    start: str
    head: str
    cases: tuple[Case, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class _Branch:
    """A branch while it is looked at."""

    repository: Repository
    folder: str
    base: str
    start: str
    head: str
    changes: tuple[Change, ...]
    forge: Forge | None = None

    @cached_property
    def project(self) -> Project:
        """The policy that judges; a change of code, which may mend it, needs none."""
        return policy_at_commit.at(self.repository, self.base, self.folder)

    @cached_property
    def owners(self) -> Owners:
        """Whose each model is, by main."""
        return read_owners(self.repository, self.base)

    def project_of(self, model: str) -> str:
        """The folder of the project whose policy judges a model's promotion: whose it is by main,
        or, for a model that is nobody's yet, that which the promotion claims it for."""
        owner = self.owners.project_of(model)
        if owner is None and self.owners.is_unclaimed(model):
            claim = read_claim(model, self.text(self.head, claim_path(model)) or "")
            return claim if isinstance(claim, str) else self.folder
        return self.folder if owner is None else owner

    def text(self, commit: str, path: str) -> str | None:
        name = f"{commit}:{path}"
        found = refs.contents(self.repository, [name]).get(name)
        return None if found is None else found.decode("utf-8", "replace")

    def bytes(self, commit: str, path: str) -> bytes | None:
        name = f"{commit}:{path}"
        return refs.contents(self.repository, [name]).get(name)


def inspect(
    repository: Repository, folder: str, base: str, head: str, forge: Forge | None = None
) -> Inspected:
    """Everything about the change from the main branch's ``base`` to ``head``, but its gates.

    ``folder`` is the project's, from the Git root. The policy is that of ``base``, so that no
    branch is judged by rules that it brings along. ``forge`` is asked who approved what the
    version climbed over.
    """
    start = commit_history.merge_base(repository, base, head)
    if start is None:
        raise UsageError(f"{head[:7]} has nothing in common with {base[:7]}")
    changes = commit_history.changes(repository, start, head)
    branch = _Branch(repository, folder, base, start, head, changes, forge)
    touched = [change for change in changes if stage_files.place(change.path)]
    faults = list(_strangers(branch, touched))
    looked = [_look(branch, change) for change in touched]
    made = tuple(one for one in looked if isinstance(one, Case))
    faults += [fault for one in looked if not isinstance(one, Case) for fault in one]
    faults += [fault for one in made for fault in _faults(branch, one)]
    return Inspected(base, start, head, made, tuple(dict.fromkeys(map(_printable, faults))))


def _printable(fault: Fault) -> Fault:
    """A fault on one line: what a branch brings along is printed in CI's log, which obeys lines
    that begin in its own way."""
    place = fault.place and replace(fault.place, file=_one_line(fault.place.file))
    return Fault(_one_line(fault.what), place, fault.hint and _one_line(fault.hint))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)


def _strangers(branch: _Branch, touched: Sequence[Change]) -> Iterator[Fault]:
    """Files that do not belong to the promotion, or to any."""
    own = {path for change in touched for path in _paths(branch, change)}
    strangers = [c for c in branch.changes if c.path not in own and not c.keeps_folder]
    others = [change.path for change in strangers]
    yield from (
        Fault("this is no plain file", Place(change.path))
        for change in branch.changes
        if change.path in own and change.new and change.mode != commit_history.PLAIN
    )
    if not touched:
        others = [p for p in others if p.startswith(KEPT) and claimed_model(p) is None]
        if others:
            hint = "towpath promote writes them; main keeps what was decided as it was"
            yield Fault(f"only a promotion changes {_named(others)}", hint=hint)
        return
    judged_by = [path for path in others if is_rule(path) and not is_note(path)]
    if judged_by:
        what = f"this promotion changes {_named(judged_by)}, by which it is judged"
        yield Fault(what, hint="merge the change of the rules first, and promote then")
    if rest := [path for path in others if path not in judged_by]:
        yield Fault(f"this promotion also changes {_named(rest)}", hint=ONE_OR_OTHER)


def _paths(branch: _Branch, change: Change) -> tuple[str, ...]:
    """The files that the promotion in one stage file may touch."""
    place = stage_files.place(change.path)
    assert place
    commit = branch.head if change.new else branch.start
    read = stage_files.read(change.path, branch.text(commit, change.path) or "")
    if isinstance(read, Fault):
        return (change.path,)
    files = cases.paths(place[0], place[1], read.version)
    if not change.new:
        return (files[0], files[2])
    return (*files, claim_path(place[1])) if branch.owners.is_unclaimed(place[1]) else files


def _look(branch: _Branch, change: Change) -> Case | tuple[Fault, ...]:
    """The promotion in one stage file, or why it is none."""
    stage, model = stage_files.place(change.path) or ("", "")
    folder = branch.project_of(model)
    project = policy_at_commit.at(branch.repository, branch.base, folder)
    if stage not in project.stages:
        hint = did_you_mean(stage, project.stages)
        return (Fault(f"there is no stage `{stage}`", Place(change.path), hint),)
    read = stage_files.read(change.path, branch.text(branch.head, change.path) or "")
    if change.new and isinstance(read, Fault):
        return (read,)
    try:
        found = _found(branch, read) if isinstance(read, Wanted) and change.new else None
        case = cases.gather(
            branch.repository,
            folder,
            branch.base,
            stage,
            model,
            found.record if found else None,
        )
    except TowpathError as error:
        at = Place(change.path)
        return tuple(replace(fault, place=fault.place or at) for fault in error.faults)
    return promotion_rules.count_approved(branch.repository, case, branch.forge)


def _found(branch: _Branch, read: Wanted) -> Found:
    found = registry.get(branch.repository, Reference(read.model, read.version))
    if said := list(promotion_rules.standing(found.version)):
        raise UsageError(*said)
    return found


def _faults(branch: _Branch, case: Case) -> Iterator[Fault]:
    """What is wrong with one promotion: its rungs, its three files, a rival that was quicker."""
    at = Place(case.paths[0])
    amiss = promotion_rules.faults(branch.repository, case, branch.forge)
    yield from (replace(fault, place=at) for fault in amiss)
    yield from _rival(branch, case)
    yield from _evidence(branch, case)
    yield from _claimed(branch, case)
    yield from promotion_rules.contradictions(branch.repository, case)
    yield from promotion_rules.unsigned(branch.repository, case)
    if case.candidate is None:
        return
    read = stage_files.read(at.file, branch.text(branch.head, at.file) or "")
    if isinstance(read, Wanted) and read.sha256 != case.candidate.sha256:
        what = f"`sha256` is {read.sha256[:12]}…, and {case.model}@{case.version} is"
        yield Fault(f"{what} {case.candidate.sha256[:12]}…", at, "towpath promote writes it")
    yield from _kept(branch, case)


def _rival(branch: _Branch, case: Case) -> Iterator[Fault]:
    """Another promotion reached main since the branch was made."""
    at = case.paths[0]
    text = branch.text(branch.head if case.candidate else branch.start, at)
    read = stage_files.read(at, text or "")
    if isinstance(read, Fault):
        return
    assumed = read.replaces if case.candidate else read.version
    if assumed != case.replaces and case.version != case.replaces:
        now = f"runs {case.model}@{case.replaces}" if case.replaces else f"runs no {case.model}"
        said = f"this replaces {assumed or 'none'}"
        hint = "another promotion was quicker: reject this one, and promote again"
        yield Fault(f"{case.stage} {now} by now, and {said}", Place(at), hint)


def _kept(branch: _Branch, case: Case) -> Iterator[Fault]:
    """The record on main proves what was promoted."""
    record_file = case.paths[1]
    version = registry.find(branch.repository, Reference(case.model, case.version))
    tagged = branch.bytes(version.commit, version_record.place(case.model, case.version))
    kept = branch.bytes(branch.head, record_file)
    if kept is None:
        yield Fault("the version's record is missing", Place(record_file), "towpath promote")
    elif kept != tagged:
        what = f"this is not the record that {case.model}@{case.version} was registered with"
        yield Fault(what, Place(record_file), "towpath promote copies it from the version's tag")


def _evidence(branch: _Branch, case: Case) -> Iterator[Fault]:
    """The page that is kept with the decision is the one that Towpath writes of it."""
    page = case.paths[2]
    if page not in {change.path for change in branch.changes if change.new}:
        yield Fault("the evidence is missing", Place(page), "towpath promote writes it")
    elif not evidence.is_of(branch.text(branch.head, page) or "", case):
        what = "this is not the evidence as it is now: it was edited, or main has changed since"
        asking = f"; {case.unproved}, so it may be right: {ASK}" if case.unproved else ""
        yield Fault(what, Place(page), f"reject this promotion, and promote again{asking}")


def _claimed(branch: _Branch, case: Case) -> Iterator[Fault]:
    """The first promotion of a model says whose it is, where more than one may be meant."""
    path = claim_path(case.model)
    if case.claims and branch.bytes(branch.head, path) != write_claim(case.folder):
        what = f"the first promotion of {case.model} says whose it is, and this does not"
        yield Fault(what, Place(path), "towpath promote writes it")


def _named(paths: Sequence[str]) -> str:
    more = len(paths) - MOST_NAMED
    return ", ".join([*paths[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
