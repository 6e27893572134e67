"""The rules that decide who may approve what: ``towpath.yaml``, the owners, the signers.

They stand in files on main, so that whoever changes those files changes the rules. A rulebook is
what they say at one commit; ``rule_changes`` says which of them are in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, commit_history, refs
from towpath.backends.git.signatures import SIGNERS
from towpath.delivery.promotion import code_owners
from towpath.errors import DeclarationError
from towpath.registry import policy_at_commit
from towpath.registry.ownership import CLAIMS, claimed_model

if TYPE_CHECKING:
    from towpath.config.project_declaration import Approval, Project

NOTES = "registry/notes"
"""Where findings of the past are explained (``audit.notes``): as a rule is, a note is a word that
counts once those agreed who had to."""

PATTERNS = (
    f":(top,glob)**/{policy_at_commit.FILE}",
    *(f":(top,literal){path}" for path in code_owners.FILES),
    f":(top,literal){SIGNERS}",
    f":(top,glob){CLAIMS}",
    f":(top,glob){NOTES}/*.md",
)
"""What Git is asked for: every file that counts once it was agreed to."""

LEVELS: tuple[Approval, ...] = ("recorded", "signed", "forge")


@dataclass(frozen=True)
class Rulebook:
    """The rules that files of these ``texts`` say (by path from the Git root), for the project in
    ``folder``. ``project`` judges where a ``towpath.yaml`` of its own is given."""

    texts: Mapping[str, bytes]
    folder: str = ""
    project: Project | None = None
    name: str | None = None

    @property
    def signers(self) -> bytes | None:
        """The text of ``registry/allowed_signers``; None where there is none."""
        return self.texts.get(SIGNERS)

    def owners_of_path(self, path: str) -> tuple[str, ...]:
        """Whom CODEOWNERS names for a path."""
        text = next((self.texts[file] for file in code_owners.FILES if file in self.texts), b"")
        if len(text) > code_owners.LARGEST:
            return ()
        return code_owners.match_code_owners(text.decode("utf-8", "replace"), path)

    @cached_property
    def policy(self) -> Project | None:
        """What the project's ``towpath.yaml`` declares; None where it is not there, or cannot be
        read. Where it lay elsewhere, and was the only project, it is that one's: a project may
        have been moved since; so where it is the only one of ``name``, the project's of now."""
        if self.project is not None:
            return self.project
        path, declared = (
            policy_at_commit.declaration_path(self.folder),
            [p for p in self.texts if _is_policy(p)],
        )
        if path in declared or len(declared) == 1:
            return self.policies_by_path.get(path if path in declared else declared[0])
        alike = [project for project in self.policies_by_path.values() if project.name == self.name]
        return alike[0] if self.name and len(alike) == 1 else None

    @cached_property
    def policies_by_path(self) -> Mapping[str, Project]:
        """What each ``towpath.yaml`` declares, by its path, as far as it can be read."""
        read = {path: read_policy(text) for path, text in self.texts.items() if _is_policy(path)}
        return {path: project for path, project in read.items() if project}

    def required_level(
        self, path: str, asked: frozenset[Approval] | None = None, at_forge: bool = True
    ) -> Approval:
        """The least level of an approval that may change a rule file.

        That is the highest that any stage asks for, of the project whose ``towpath.yaml`` it is;
        of a file that concerns all, or is new, of any project; ``asked`` are other levels, where
        what the file says decides it. A level that nobody could agree at
        (``at_forge`` says whether anybody could at the forge) leaves it to the next lower one that
        a stage asks for: before there is anybody, the first are taken as they come.
        """
        own = self.policies_by_path.get(path)
        asked = asked or (read_levels(own) if own else self.asked_levels)
        able = {
            "signed": bool(self.signers),
            "forge": at_forge and self._names_reviewers and self._has_forge,
        }
        return max((e for e in asked if able.get(e)), key=LEVELS.index, default="recorded")

    @property
    def strictest_level(self) -> Approval:
        """The highest level that any stage of any project asks for."""
        return max(self.asked_levels, key=LEVELS.index, default="recorded")

    @cached_property
    def asked_levels(self) -> frozenset[Approval]:
        """What the stages of all projects ask for. A declaration that cannot be read, by a Towpath
        that is older than it say, may ask for what the files name people for."""
        levels = {
            level for project in self.policies_by_path.values() for level in read_levels(project)
        }
        if any(_is_policy(path) and path not in self.policies_by_path for path in self.texts):
            levels |= {"signed"} if self.signers else set()
        return frozenset(levels)

    @property
    def _has_forge(self) -> bool:
        """Whether there is a forge at which anybody could agree."""
        return any(policy.forge for policy in self.policies_by_path.values())

    @property
    def lets_all_approve_their_own(self) -> bool:
        """Whether every project lets who made a thing approve it."""
        return all(project.policy.self_approval for project in self.policies_by_path.values())

    @property
    def _names_reviewers(self) -> bool:
        """Whether the rules name anybody whose review counts."""
        stages = (
            stage for policy in self.policies_by_path.values() for stage in policy.stages.values()
        )
        owning = (self.texts.get(file, b"") for file in code_owners.FILES)
        return any(stage.approvers for stage in stages) or any(b"@" in text for text in owning)


def read_levels(project: Project, stages: Sequence[str] = ()) -> frozenset[Approval]:
    """The levels that some stages of a project ask for (default: all)."""
    asking = [project.stages[name] for name in stages or project.stages]
    return frozenset(stage.approval or project.policy.approval for stage in asking)


def read_rulebook(repository: Repository, commit: str, folder: str = "") -> Rulebook:
    """The rules as the files of a commit say them, whoever put them there."""
    paths = [path for path in commit_history.list_paths(repository, commit) if is_rule(path)]
    names = {f"{commit}:{path}": path for path in paths}
    contents = refs.read_contents(repository, names)
    return Rulebook({names[name]: content for name, content in contents.items()}, folder)


def is_rule(path: str) -> bool:
    """Whether a file decides who may approve, or counts by the same agreement."""
    return (
        _is_policy(path)
        or path in (SIGNERS, *code_owners.FILES)
        or claimed_model(path) is not None
        or is_note(path)
    )


def is_note(path: str) -> bool:
    """Whether a file explains a finding."""
    return path.startswith(f"{NOTES}/") and path.endswith(".md")


def _is_policy(path: str) -> bool:
    return path.rpartition("/")[2] == policy_at_commit.FILE


def read_policy(text: bytes) -> Project | None:
    """What the text of a ``towpath.yaml`` declares; None where it declares nothing sound."""
    from towpath.config.project_declaration import parse_project

    try:
        return parse_project(text.decode("utf-8", "replace"))
    except DeclarationError:
        return None
