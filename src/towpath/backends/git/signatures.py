"""Signatures of commits and tags: made as Git is configured, judged by main's allowed signers."""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.git.git_command import GitOutcome
from towpath.backends.git.repository import Repository
from towpath.errors import Fault, Place, RegistryError
from towpath.scratch import scratch_folder

SIGNERS = "registry/allowed_signers"
NAMESPACE = "git"  # What Git signs for; a line may say that its key is for other things alone.
_KIND = re.compile(r"(sk-)?(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521))(@openssh\.com)?")
_FIELD = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|$)')
_DATES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_LINE = "`<mail> ssh-ed25519 AAAA...`"
_OWN_KEYS = f"name each signer by a key of their own: {_LINE}"
# For Git's environment: dates without a zone mean the same on every machine.
IN_UTC = {"TZ": "UTC"}
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


class Signer(Struct, frozen=True):
    """A line that counts: a key, and whose it is. ``names`` are the principals as written,
    ``patterns`` those that are none but fit several; ``person`` holds every name of whoever holds
    the key, by all lines, in lower case."""

    line: int
    names: tuple[str, ...]
    patterns: tuple[str, ...]
    options: tuple[str, ...]
    kind: str
    key: str
    person: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What the signer is called, always: the first name on the line, else its pattern."""
        return self.names[0] if self.names else ",".join(self.patterns)

    def may_be(self, names: Iterable[str]) -> bool:
        return any(_is_listed(name, self.patterns) for name in names)


class AllowedSigners(Struct, frozen=True):
    signers: tuple[Signer, ...] = ()
    faults: tuple[Fault, ...] = ()


class SignersFile(Struct, frozen=True):
    """The file that Git is given: each line's name is drawn, so that none stands for another's."""

    path: Path
    allowed: AllowedSigners
    mark: str

    @property
    def git_settings(self) -> tuple[str, ...]:
        """Git's settings to verify by it. A program for an agent signs, and verifies nothing."""
        pairs = (
            "gpg.format=ssh",
            f"gpg.ssh.allowedSignersFile={self.path}",
            "gpg.ssh.program=ssh-keygen",
            # Whose key counts no more is said on main, for every reader alike.
            f"gpg.ssh.revocationFile={os.devnull}",
        )
        return tuple(word for pair in pairs for word in ("-c", pair))

    def find_signer(self, principal: str) -> Signer | None:
        """Whose line Git found."""
        mark, _, line = principal.rpartition("-")
        if mark != self.mark:
            return None
        return next((signer for signer in self.allowed.signers if str(signer.line) == line), None)


@contextmanager
def signers_file(text: bytes) -> Iterator[SignersFile]:
    """The allowed signers of a text as a file for Git."""
    # A file of our own making, with one name to a line: by itself Git calls a signer by the first
    # principal of whatever line it finds, be that a pattern.
    allowed, mark = read_allowed_signers(text), secrets.token_hex(16)
    lines = []
    for signer in allowed.signers:
        options = [",".join(signer.options)] if signer.options else []
        lines.append(" ".join([f"{mark}-{signer.line}", *options, signer.kind, signer.key]))
    with scratch_folder() as scratch:
        path = Path(scratch, "allowed_signers")
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        yield SignersFile(path, allowed, mark)


@lru_cache(maxsize=64)
def read_allowed_signers(text: bytes) -> AllowedSigners:
    """The signers that a text allows; a line that cannot be honoured is a fault, no signer."""
    signers: list[Signer] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.decode("utf-8", "replace").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        reading = _Line(number)
        signer = reading.read(line.strip())
        faults += reading.faults
        signers += [signer] if signer else []
    return AllowedSigners(_with_persons(signers), tuple(faults))


class _Line(Struct):
    number: int
    faults: list[Fault] = field(default_factory=list)

    def refuse_line(self, what: str, hint: str) -> None:
        self.faults.append(Fault(what, Place(SIGNERS, self.number), hint))

    def read(self, line: str) -> Signer | None:
        words = _FIELD.findall(line)
        position = _find_key(words)
        if position is None:
            self.refuse_line("this is no line of a signer", f"write {_LINE}")
            return None
        options = self._read_options(words[1]) if position == 2 else ()
        names, patterns = _part_principals(words[0])
        if options is None or self.faults:
            return None
        if patterns:
            what = f"`{','.join(patterns)}` does not say who holds the key"
            more = "it is taken for each whom it fits, and approves nothing of theirs"
            self.refuse_line(f"{what}: {more}", _OWN_KEYS)
        if not names and not any(not principal.startswith("!") for principal in patterns):
            return None
        kind, key = words[position : position + 2]
        return Signer(self.number, tuple(names), tuple(patterns), options, kind, key)

    def _read_options(self, text: str) -> tuple[str, ...] | None:
        options: dict[str, str] = {}
        place = 0
        while place < len(text):
            option = _OPTION.match(text, place)
            if option is None:
                self.refuse_line(f"`{text}` are no options of a signer", f"write {_LINE}")
                return None
            options[option[1].lower()] = option[2] or ""
            place = option.end()
        if "cert-authority" in options:
            what = "whoever holds this authority's key can be any number of signers"
            self.refuse_line(f"{what}, so a certificate approves nothing", _OWN_KEYS)
            return None
        return self._kept_options(options)

    def _kept_options(self, found: dict[str, str]) -> tuple[str, ...] | None:
        for name in found:
            if name not in ("namespaces", "valid-after", "valid-before"):
                hint = "there is namespaces, valid-after and valid-before"
                self.refuse_line(f"there is no option `{name}`", hint)
        if "namespaces" in found and not _is_listed(NAMESPACE, found["namespaces"].split(",")):
            what = f"the key is for `{found['namespaces']}`, and Git signs for `{NAMESPACE}`"
            added = f'add {NAMESPACE}: namespaces="{NAMESPACE}"'
            self.refuse_line(what, f"leave the option out, or {added}")
        dates = {
            name: self._check_date(name, found[name]) for name in sorted(found) if "valid" in name
        }
        after, before = dates.get("valid-after", ""), dates.get("valid-before", "")
        if after and before and after.ljust(14, "0") >= before.ljust(14, "0"):
            what = "`valid-before` is not after `valid-after`, so the key is never valid"
            self.refuse_line(what, "write a later date in `valid-before`, or take the line out")
        return tuple(f'{name}="{date}"' for name, date in dates.items())

    def _check_date(self, name: str, text: str) -> str:
        digits = text.removesuffix("Z")
        try:
            datetime.strptime(digits, _DATES[len(digits)])
        except (KeyError, ValueError):
            self.refuse_line(f"`{text}` is no date of `{name}`", f'write {name}="20261201" (UTC)')
        return digits


def _find_key(words: Sequence[str]) -> int | None:
    """Where on a line the kind of its key stands, right after the names or after the options."""
    for position in (1, 2):
        pair = words[position : position + 2]
        if pair and _KIND.fullmatch(pair[0]):
            return position if len(pair) == 2 and _is_key(*pair) else None
    return None


def _part_principals(text: str) -> tuple[list[str], list[str]]:
    """The names on a line, without those that it takes back, and the patterns."""
    principals = [principal for principal in text.strip('"').split(",") if principal]
    patterns = [name for name in principals if name.startswith("!") or set("*?") & set(name)]
    others = (principal for principal in principals if principal not in patterns)
    return [name for name in others if _is_not_negated(name, patterns)], patterns


def _is_key(kind: str, key: str) -> bool:
    """Whether this is the base64 of a key of that kind, which its first bytes name."""
    try:
        content = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return False
    return content[4:].startswith(kind.encode()) and content[:4] == len(kind).to_bytes(4, "big")


def _is_not_negated(name: str, patterns: Sequence[str]) -> bool:
    negated = (pattern[1:] for pattern in patterns if pattern.startswith("!"))
    return not any(_fits_pattern(name, pattern) for pattern in negated)


def _is_listed(name: str, patterns: Sequence[str]) -> bool:
    """Whether a list of patterns has a name, as OpenSSH reads such lists."""
    plain = (pattern for pattern in patterns if not pattern.startswith("!"))
    fits = any(_fits_pattern(name, pattern) for pattern in plain)
    return fits and _is_not_negated(name, patterns)


def _fits_pattern(name: str, pattern: str) -> bool:
    plain = pattern.lower().replace("[", "[[]")  # only `*` and `?` mean something
    return fnmatchcase(name.lower(), plain)


def _with_persons(signers: Sequence[Signer]) -> tuple[Signer, ...]:
    """The signers with all the names of each: lines with a name or a key in common are one
    person's, for a person may have two keys, and a key two names."""
    persons: list[set[str]] = []
    for signer in signers:
        mine = {signer.key, *(name.lower() for name in signer.names)}
        for other in [entry for entry in persons if entry & mine]:
            persons.remove(other)
            mine |= other
        persons.append(mine)
    owners = {
        signer.key: person for signer in signers for person in persons if signer.key in person
    }
    return tuple(replace(signer, person=frozenset(owners[signer.key])) for signer in signers)


class SignedBy(Struct, frozen=True):
    """How the signature of one object stands. ``good`` is of ``who``, a name among the allowed
    signers; ``unknown`` holds and is of a key that is none of theirs; ``bad`` does not hold;
    ``foreign`` is an OpenPGP or X.509 one, which every machine judges by a keyring of its own.
    ``key`` is the key's kind and fingerprint."""

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
    header = _HEADER.search(content.partition("\n\n")[0])
    return header["signature"].replace("\n ", "\n") if header else ""


def of_tag(content: str) -> str:
    return content[len(strip_signature(content)) :]


def strip_signature(message: str) -> str:
    if "-----BEGIN " not in message:  # most messages, of ten thousand
        return message
    starts = [line.start() for line in _BEGIN.finditer(message)]
    return message[: starts[-1]] if starts else message


def plain_tag_message(message: str) -> str:
    """A message in which no line looks like the beginning of a signature, which Git would cut."""
    return _BEGIN.sub(lambda line: f" {line[0]}", message) if "-----BEGIN " in message else message


class SigningSettings(Struct, frozen=True):
    """Whether Git is configured to sign commits, and annotated tags."""

    commits: bool
    tags: bool


def read_signing_settings(repository: Repository) -> SigningSettings:
    """What ``commit.gpgSign``, ``tag.gpgSign`` and ``tag.forceSignAnnotated`` say together."""
    keys = r"^(commit\.gpgsign|tag\.gpgsign|tag\.forcesignannotated)$"
    listing = repository.attempt_git("config", "--type=bool", "--get-regexp", keys)
    if listing.code > 1:
        raise RegistryError(f"Git's configuration cannot be read: {listing.last_complaint}")
    pairs = (line.split(" ") for line in listing.text.split("\n") if line)
    is_set = {key: value == "true" for key, value in pairs}
    tags = ("tag.gpgsign", "tag.forcesignannotated")
    return SigningSettings(
        is_set.get("commit.gpgsign", False), any(is_set.get(key, False) for key in tags)
    )


def signing_refusal(what: str, outcome: GitOutcome) -> RegistryError:
    """Said where the signing program, or the key, did not do it: in their words."""
    # The hook is our own: it ends `git tag` before the ref is made.
    error_lines = [line for line in outcome.said if "aborted by hook" not in line]
    words = [line.removeprefix("error: ").removeprefix("fatal: ") for line in error_lines]
    because = "; ".join(dict.fromkeys(words)) or f"exit code {outcome.code}"
    return RegistryError(f"Git could not sign {what}: {because}", hint=_HINT)
