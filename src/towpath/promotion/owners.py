"""Who must approve a change of a file: CODEOWNERS, as a commit has it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from towpath.git import Repository, refs

if TYPE_CHECKING:
    from towpath.forge import Forge

FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


def of(repository: Repository, commit: str, path: str) -> tuple[str, ...]:
    """The owners of a path (``@user``, ``@org/team``, mails): those of the last line that fits."""
    names = [f"{commit}:{file}" for file in FILES]
    found = refs.contents(repository, names)
    text = next((found[name] for name in names if name in found), b"")
    return match(text.decode("utf-8", "replace"), path)


def match(text: str, path: str) -> tuple[str, ...]:
    """The owners that the text of a CODEOWNERS file names for a path; none where it names none."""
    owners: tuple[str, ...] = ()
    for line in text.splitlines():
        words = re.split(r"(?<!\\)\s+", line.partition(" #")[0].strip())
        if words[0] and not words[0].startswith("#") and _pattern(words[0]).fullmatch(path):
            owners = tuple(words[1:])
    return owners


def people(owners: Iterable[str], forge: Forge | None) -> frozenset[str]:
    """The logins behind owners, lower case: teams are asked for at the forge. Mails are left out,
    for a forge does not say whose they are."""
    found: set[str] = set()
    for owner in owners:
        name = owner.removeprefix("@")
        if owner.startswith("@") and "/" in name:
            found.update(forge.members(owner) if forge else ())
        elif "@" not in name:
            found.add(name)
    return frozenset(login.removeprefix("@").lower() for login in found)


def mails(owners: Iterable[str]) -> frozenset[str]:
    """The mails among owners, lower case."""
    return frozenset(one.lower() for one in owners if "@" in one[1:] and not one.startswith("@"))


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of CODEOWNERS: gitignore's, without negation and classes."""
    plain = pattern.replace("\\ ", " ")
    rooted = "/" in plain.rstrip("/")
    # A folder's pattern covers all below it; `docs/*` does not cover what lies deeper.
    open_ended = not re.search(r"(^|/)\*$", plain) or plain in ("*", "**")
    body = "".join(_word(word) for word in re.findall(r"\*\*/?|\*|\?|[^*?]+", plain.strip("/")))
    below = "(/.+)?" if open_ended and not plain.endswith("/") else ""
    below = "/.+" if plain.endswith("/") else below
    return re.compile(("" if rooted else "(.*/)?") + body + below)


def _word(word: str) -> str:
    known = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return known.get(word) or re.escape(word)
