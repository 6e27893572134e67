"""The rules that decide who may approve what: ``towpath.yaml``, the owners, the signers.

They stand in files on main, so that whoever changes those files changes the rules. A rulebook is
what they say at one commit; ``rule_changes`` says which of them are in force.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.backends.git import Repository, refs
from towpath.backends.git.signatures import SIGNERS
from towpath.errors import DeclarationError
from towpath.registry import policy_at_commit
from towpath.registry.ownership import CLAIMS, claimed_model, find_place_then

if TYPE_CHECKING:
    from towpath.config.project_declaration import Approval, Project
    from towpath.forge import Forge


# In GitHub's order: the first that is there counts, and the others are not read.
OWNER_FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
LARGEST = 3 * 1024 * 1024  # bytes: GitHub does not load a larger file, and nobody owns anything
_BLANK = re.compile(r"(?<!\\)[ \t]+")
_OWNER = re.compile(r"@[\w.-]+(/[\w.-]+)?|[^\s@]+@[^\s@]+")
# Where findings of the past are explained: as a rule is, a note is a word that counts once those
# agreed who had to.
NOTES = "registry/notes"

# What Git is asked for: every file that counts once it was agreed to.
PATTERNS = (
    f":(top,glob)**/{policy_at_commit.FILE}",
    *(f":(top,literal){path}" for path in OWNER_FILES),
    f":(top,literal){SIGNERS}",
    f":(top,glob){CLAIMS}",
    f":(top,glob){NOTES}/*.md",
)
LEVELS: tuple[Approval, ...] = ("recorded", "signed", "forge")


class Rulebook(Struct, frozen=True, dict=True):
    """What rule files say, by path from the Git root, for the project in ``folder``."""

    texts: Mapping[str, bytes]
    folder: str = ""
    name: str | None = None

    @property
    def signers(self) -> bytes | None:
        return self.texts.get(SIGNERS)

    def owners_of_path(self, path: str) -> tuple[str, ...]:
        """The owners of a path (``@user``, ``@org/team``, mails), by CODEOWNERS."""
        text = next((self.texts[file] for file in OWNER_FILES if file in self.texts), b"")
        rules = text if len(text) <= LARGEST else b""
        return match_code_owners(rules.decode("utf-8", "replace"), path)

    @cached_property
    def policy(self) -> Project | None:
        """What the project's ``towpath.yaml`` declares; None where it cannot be read."""
        path = policy_at_commit.declaration_path(self.folder)
        policies = self.policies_by_path
        declared = [file for file in self.texts if _is_policy(file)]
        names = {file: policies[file].name if file in policies else None for file in declared}
        path_then = find_place_then(path, self.name, names)
        return policies.get(path_then) if path_then else None

    @cached_property
    def policies_by_path(self) -> Mapping[str, Project]:
        policies = {
            path: read_policy(text) for path, text in self.texts.items() if _is_policy(path)
        }
        return {path: policy for path, policy in policies.items() if policy}

    def required_level(
        self, path: str, asked: frozenset[Approval] | None = None, at_forge: bool = True
    ) -> Approval:
        """The least level of an approval that may change a rule file: the highest that any stage
        asks for, of the project whose ``towpath.yaml`` it is; of a file that concerns all, or is
        new, of any project. ``asked`` are other levels, where what the file says decides it;
        ``at_forge`` says whether anybody could agree at the forge."""
        policy = self.policies_by_path.get(path)
        levels = asked or (read_levels(policy) if policy else self.asked_levels)
        # A level that nobody could agree at leaves it to the next lower one that a stage asks for:
        # before there is anybody, the first are taken as they come.
        projects = self.policies_by_path.values()
        stages = (stage for project in projects for stage in project.stages.values())
        people_named = any(stage.approvers for stage in stages) or any(
            b"@" in self.texts.get(file, b"") for file in OWNER_FILES
        )
        forge_can = at_forge and people_named and any(project.forge for project in projects)
        possible = {"signed": bool(self.signers), "forge": forge_can}
        reachable = (level for level in levels if possible.get(level))
        return max(reachable, key=LEVELS.index, default="recorded")

    def least_level(self, stage: str) -> Approval:
        """The least level for a stage: without a policy the highest that any stage asks for."""
        if self.policy:
            return least_level(self.policy, stage)
        return max(self.asked_levels, key=LEVELS.index, default="recorded")

    @cached_property
    def asked_levels(self) -> frozenset[Approval]:
        projects = self.policies_by_path.values()
        levels = {level for project in projects for level in read_levels(project)}
        # A declaration that cannot be read, by a Towpath that is older than it say, may ask for
        # what the files name people for.
        if self.signers and any(
            _is_policy(p) and p not in self.policies_by_path for p in self.texts
        ):
            levels.add("signed")
        return frozenset(levels)


def least_level(project: Project, stage: str) -> Approval:
    declared = project.stages.get(stage)
    return (declared.approval if declared else None) or project.policy.approval


def read_levels(project: Project, stages: Sequence[str] = ()) -> frozenset[Approval]:
    return frozenset(least_level(project, stage) for stage in stages or project.stages)


def is_rule(path: str) -> bool:
    """Whether a file decides who may approve, or counts by the same agreement."""
    return (
        _is_policy(path)
        or path in (SIGNERS, *OWNER_FILES)
        or claimed_model(path) is not None
        or is_note(path)
    )


def is_note(path: str) -> bool:
    return path.startswith(f"{NOTES}/") and path.endswith(".md")


def _is_policy(path: str) -> bool:
    return path.rpartition("/")[2] == policy_at_commit.FILE


def read_policy(text: bytes) -> Project | None:
    # Imported late: the engine of declarations takes a tenth of a second, and who only asks
    # which files are rules needs none of it.
    from towpath.config.project_declaration import parse_project

    try:
        return parse_project(text.decode("utf-8", "replace"))
    except DeclarationError:
        return None


def find_code_owners(repository: Repository, commit: str, path: str) -> tuple[str, ...]:
    """The owners of a path by the CODEOWNERS of a commit."""
    names = {f"{commit}:{file}": file for file in OWNER_FILES}
    texts = {names[n]: text for n, text in refs.read_contents(repository, names).items()}
    return Rulebook(texts).owners_of_path(path)


def match_code_owners(text: str, path: str) -> tuple[str, ...]:
    """The owners that the text of a CODEOWNERS file names for a path; none where it names none."""
    # As at GitHub the last line that fits counts, also one that names nobody, so it is read from
    # its end; and a line that is not understood counts for nothing.
    place = path.split("/")
    for line in reversed(text.split("\n")):
        rule = _parse_owner_line(line)
        if rule and _pattern_fits(rule[0], place):
            return tuple(rule[1:])
    return ()


def _parse_owner_line(line: str) -> list[str] | None:
    words = _BLANK.split(line.strip())
    comments = (place for place, word in enumerate(words) if word.startswith("#"))
    pattern, *owners = words[: next(comments, len(words))] or [""]
    # Negations, ranges (and GitLab's sections) and an escaped `#` are what GitHub leaves out.
    if not pattern or pattern.startswith(("!", "\\#")) or "[" in pattern:
        return None
    return [pattern, *owners] if all(map(_OWNER.fullmatch, owners)) else None


def find_owner_logins(owners: Iterable[str], forge: Forge | None) -> frozenset[str]:
    """The logins behind owners, lower case: teams are asked for at the forge."""
    logins: set[str] = set()
    for owner in owners:
        name = owner.removeprefix("@")
        if owner.startswith("@") and "/" in name:
            logins.update(forge.members(owner) if forge else ())
        elif "@" not in name:  # a mail is left out: a forge does not say whose it is
            logins.add(name)
    return frozenset(login.removeprefix("@").lower() for login in logins)


def find_owner_mails(owners: Iterable[str]) -> frozenset[str]:
    return frozenset(o.lower() for o in owners if "@" in o[1:] and not o.startswith("@"))


def _pattern_fits(pattern: str, path: Sequence[str]) -> bool:
    """Whether a pattern, gitignore's as GitHub reads it, covers a file by the parts of its path."""
    plain = pattern.replace("\\ ", " ")
    parts = plain.strip("/").split("/")
    if "/" not in plain.rstrip("/"):
        parts = ["**", *parts]  # without a slash it fits at any depth
    if plain.endswith("/"):
        parts += ["**", "*"]  # what lies in a folder, not a file of its name
    elif parts[-1] != "*" or plain == "*":
        parts += ["**"]  # a folder's pattern covers all below it; `docs/*` only what lies in it

    def fits_name(part: str, name: str) -> bool:
        return _pattern_matches(part, name, "*", lambda sign, char: sign in (char, "?"))

    return _pattern_matches(parts, path, "**", fits_name)


def _pattern_matches(
    pattern: Sequence[str], text: Sequence[str], any_number: str, fits: Callable[[str, str], bool]
) -> bool:
    """Whether a pattern with a sign for any number of items covers a text."""
    # Only the last such sign is ever widened, which is enough, so that no pattern takes longer
    # than the product of both lengths. A regular expression of the same would try every
    # combination, and whoever may open a pull request writes the pattern.
    pattern_at, text_at, sign, begun = 0, 0, None, 0
    while text_at < len(text):
        if pattern_at < len(pattern) and pattern[pattern_at] == any_number:
            sign, begun, pattern_at = pattern_at, text_at, pattern_at + 1
        elif pattern_at < len(pattern) and fits(pattern[pattern_at], text[text_at]):
            pattern_at, text_at = pattern_at + 1, text_at + 1
        elif sign is not None:
            begun += 1
            pattern_at, text_at = sign + 1, begun
        else:
            return False
    return all(item == any_number for item in pattern[pattern_at:])
