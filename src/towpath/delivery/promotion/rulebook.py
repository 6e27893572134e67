"""The rules that decide who may approve what: ``towpath.yaml``, the owners, the signers.

They stand in files on main, so that whoever changes those files changes the rules. A rulebook is
what they say at one commit; ``rule_changes`` says which of them are in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from towpath.backends.git.signatures import SIGNERS
from towpath.delivery.promotion import code_owners
from towpath.errors import DeclarationError
from towpath.registry import policy_at_commit
from towpath.registry.ownership import CLAIMS, claimed_model

if TYPE_CHECKING:
    from towpath.config.project_declaration import Approval, Project

# Where findings of the past are explained: as a rule is, a note is a word that counts once those
# agreed who had to.
NOTES = "registry/notes"

# What Git is asked for: every file that counts once it was agreed to.
PATTERNS = (
    f":(top,glob)**/{policy_at_commit.FILE}",
    *(f":(top,literal){path}" for path in code_owners.FILES),
    f":(top,literal){SIGNERS}",
    f":(top,glob){CLAIMS}",
    f":(top,glob){NOTES}/*.md",
)
LEVELS: tuple[Approval, ...] = ("recorded", "signed", "forge")


@dataclass(frozen=True)
class Rulebook:
    """The rules that files of these ``texts`` say (by path from the Git root), for the project in
    ``folder``, which is called ``name`` now."""

    texts: Mapping[str, bytes]
    folder: str = ""
    name: str | None = None

    @property
    def signers(self) -> bytes | None:
        """The text of ``registry/allowed_signers``; None where there is none."""
        return self.texts.get(SIGNERS)

    def owners_of_path(self, path: str) -> tuple[str, ...]:
        """Whom CODEOWNERS names for a path."""
        return code_owners.read_code_owners(self.texts, path)

    @cached_property
    def policy(self) -> Project | None:
        """What the project's ``towpath.yaml`` declares; None where it is not there, or cannot be
        read."""
        path = policy_at_commit.declaration_path(self.folder)
        declared = [file for file in self.texts if _is_policy(file)]
        # A project may have been moved since: where it lay elsewhere and was the only one, it is
        # that one's; among others it is known by its name.
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
        """The least level of an approval that may change a rule file: the highest that any stage
        asks for, of the project whose ``towpath.yaml`` it is; of a file that concerns all, or is
        new, of any project. ``asked`` are other levels, where what the file says decides it;
        ``at_forge`` says whether anybody could agree at the forge."""
        own = self.policies_by_path.get(path)
        asked = asked or (read_levels(own) if own else self.asked_levels)
        # A level that nobody could agree at leaves it to the next lower one that a stage asks for:
        # before there is anybody, the first are taken as they come.
        if at_forge:
            at_forge = self._names_reviewers and any(
                p.forge for p in self.policies_by_path.values()
            )
        able = {"signed": bool(self.signers), "forge": at_forge}
        return max((e for e in asked if able.get(e)), key=LEVELS.index, default="recorded")

    def least_level(self, stage: str) -> Approval:
        """The least level that a promotion to a stage needs: without a policy that says so, the
        highest that any stage of any project asks for."""
        if self.policy:
            return least_level(self.policy, stage)
        return max(self.asked_levels, key=LEVELS.index, default="recorded")

    @cached_property
    def asked_levels(self) -> frozenset[Approval]:
        """What the stages of all projects ask for."""
        projects = self.policies_by_path.values()
        levels = {level for project in projects for level in read_levels(project)}
        # A declaration that cannot be read, by a Towpath that is older than it say, may ask for
        # what the files name people for.
        if self.signers and any(
            _is_policy(p) and p not in self.policies_by_path for p in self.texts
        ):
            levels.add("signed")
        return frozenset(levels)

    @property
    def lets_all_approve_their_own(self) -> bool:
        """Whether every project lets who made a thing approve it."""
        return all(project.policy.self_approval for project in self.policies_by_path.values())

    @property
    def _names_reviewers(self) -> bool:
        projects = self.policies_by_path.values()
        if any(stage.approvers for project in projects for stage in project.stages.values()):
            return True
        return any(b"@" in self.texts.get(file, b"") for file in code_owners.FILES)


def least_level(project: Project, stage: str) -> Approval:
    """The least level that the policy asks of a stage."""
    declared = project.stages.get(stage)
    return (declared.approval if declared else None) or project.policy.approval


def read_levels(project: Project, stages: Sequence[str] = ()) -> frozenset[Approval]:
    """The levels that some stages of a project ask for (default: all)."""
    return frozenset(least_level(project, stage) for stage in stages or project.stages)


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
    # Imported late: the engine of declarations takes a tenth of a second, and who only asks
    # which files are rules needs none of it.
    from towpath.config.project_declaration import parse_project

    try:
        return parse_project(text.decode("utf-8", "replace"))
    except DeclarationError:
        return None
