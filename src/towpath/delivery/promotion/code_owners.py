"""Who must approve a change of a file: CODEOWNERS, as a commit has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, refs

if TYPE_CHECKING:
    from towpath.forge import Forge

# In GitHub's order: the first that is there counts, and the others are not read.
FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
LARGEST = 3 * 1024 * 1024  # bytes: GitHub does not load a larger file, and nobody owns anything
_BLANK = re.compile(r"(?<!\\)[ \t]+")
_OWNER = re.compile(r"@[\w.-]+(/[\w.-]+)?|[^\s@]+@[^\s@]+")


def find_code_owners(repository: Repository, commit: str, path: str) -> tuple[str, ...]:
    """The owners of a path (``@user``, ``@org/team``, mails) by the CODEOWNERS of a commit."""
    texts = {file: refs.read_content(repository, commit, file) for file in FILES}
    return read_code_owners({file: text for file, text in texts.items() if text is not None}, path)


def read_code_owners(texts: Mapping[str, bytes], path: str) -> tuple[str, ...]:
    """The same of files' texts, by the path of each."""
    text = next((texts[file] for file in FILES if file in texts), b"")
    return match_code_owners(text.decode("utf-8", "replace"), path) if len(text) <= LARGEST else ()


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
    """Pattern and owners of a line; None for a comment, and for what is not understood."""
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
    """The mails among owners, lower case."""
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
    return _pattern_matches(
        parts, path, "**", lambda part, name: _pattern_matches(part, name, "*", _is_alike)
    )


def _is_alike(sign: str, char: str) -> bool:
    return sign in (char, "?")


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
