"""Signatures of commits and tags: made as Git is configured, and checked by stock Git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.backends.git.allowed_signers import IN_UTC, SignersFile
from towpath.backends.git.git_command import GitOutcome
from towpath.backends.git.repository import Repository
from towpath.errors import RegistryError

Standing: TypeAlias = Literal["good", "unknown", "bad", "foreign", "unsigned"]

# How Git itself finds where a tag's message ends: the last line that begins so (gpg-interface.c).
_KINDS = "PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE|SSH SIGNATURE"
_BEGIN = re.compile(rf"^-----BEGIN (?:{_KINDS})-----", re.MULTILINE)
_SSH = "-----BEGIN SSH SIGNATURE-----"
_HEADER = re.compile(r"^gpgsig(?:-sha256)? (?P<signature>.*(?:\n .*)*)", re.MULTILINE)
_GOOD = re.compile(r'Good "git" signature for (?P<who>.*) with (?P<key>\S+ key \S+)')
_UNKNOWN = re.compile(r'Good "git" signature with (?P<key>\S+ key \S+)')
_HINT = (
    "is the key of user.signingkey here, and its agent running? "
    "git config --show-origin --get-regexp 'sign|gpg' says who asks for a signature"
)


@dataclass(frozen=True)
class SignedBy:
    """How the signature of one object stands.

    ``good`` is of ``who``, a name among the allowed signers; ``unknown`` holds and is of a key that
    is none of theirs; ``bad`` does not hold; ``foreign`` is an OpenPGP or X.509 one, which every
    machine judges by a keyring of its own. ``key`` is the key's kind and fingerprint.
    """

    standing: Standing
    who: str = ""
    key: str = ""


def verify_signature(
    repository: Repository, kind: str, object_: str, content: str, signers: SignersFile
) -> SignedBy:
    """How a tag's or a commit's (``kind``) signature stands; ``content`` is the object's text."""
    signature = of_tag(content) if kind == "tag" else of_commit(content)
    if not signature:
        return SignedBy("unsigned")
    if not signature.startswith(_SSH):
        return SignedBy("foreign")
    checked = repository.attempt_git(*signers.git_settings, f"verify-{kind}", object_, env=IN_UTC)
    for line in checked.said:
        # A name may hold anything, so a failed check is believed before what is printed.
        if (good := _GOOD.fullmatch(line)) and checked.code == 0:
            signer = signers.find_signer(good["who"])
            return SignedBy("good", signer.name, good["key"]) if signer else SignedBy("bad")
        if unknown := _UNKNOWN.fullmatch(line):
            return SignedBy("unknown", key=unknown["key"])
    return SignedBy("bad")


def of_commit(content: str) -> str:
    """The signature in a commit's text; empty where there is none."""
    header = _HEADER.search(content.partition("\n\n")[0])
    return header["signature"].replace("\n ", "\n") if header else ""


def of_tag(content: str) -> str:
    """The signature at the end of a tag's text, or of its message; empty where there is none."""
    return content[len(strip_signature(content)) :]


def strip_signature(message: str) -> str:
    """A tag's message as it was before it was signed."""
    if "-----BEGIN " not in message:  # most messages, of ten thousand
        return message
    starts = [line.start() for line in _BEGIN.finditer(message)]
    return message[: starts[-1]] if starts else message


def plain_tag_message(message: str) -> str:
    """A message in which no line looks like the beginning of a signature, which Git would cut."""
    return _BEGIN.sub(lambda line: f" {line[0]}", message) if "-----BEGIN " in message else message


def signing_settings(repository: Repository) -> Mapping[str, bool]:
    """What Git is configured to sign: ``commit.gpgsign``, ``tag.gpgsign``, and so on."""
    keys = r"^(commit\.gpgsign|tag\.gpgsign|tag\.forcesignannotated)$"
    listing = repository.attempt_git("config", "--type=bool", "--get-regexp", keys)
    if listing.code > 1:
        raise RegistryError(f"Git's configuration cannot be read: {listing.last_complaint}")
    pairs = (line.split(" ") for line in listing.text.split("\n") if line)
    return {key: value == "true" for key, value in pairs}


def signs_commits(repository: Repository) -> bool:
    """Whether Git here signs every commit."""
    return signing_settings(repository).get("commit.gpgsign", False)


def signs_tags(repository: Repository) -> bool:
    """Whether Git here signs every annotated tag."""
    settings = signing_settings(repository)
    return settings.get("tag.gpgsign", False) or settings.get("tag.forcesignannotated", False)


def signing_refusal(what: str, outcome: GitOutcome) -> RegistryError:
    """Said where the signing program, or the key, did not do it: in their words."""
    error_lines = [
        line for line in outcome.said if "aborted by hook" not in line
    ]  # which is our own
    words = [line.removeprefix("error: ").removeprefix("fatal: ") for line in error_lines]
    because = "; ".join(dict.fromkeys(words)) or f"exit code {outcome.code}"
    return RegistryError(f"Git could not sign {what}: {because}", hint=_HINT)
