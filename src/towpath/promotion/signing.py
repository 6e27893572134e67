"""Signatures of commits, checked by stock Git against the signers that a commit allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.git import Repository, refs, signatures
from towpath.git.command import lines
from towpath.scratch import scratch_folder

SIGNERS = "registry/allowed_signers"
CONFIGURE = "git config gpg.format ssh; git config user.signingkey ~/.ssh/id_ed25519.pub"
_SSH = "-----BEGIN SSH SIGNATURE-----"
_FACTS = "%H%x00%G?%x00%GS%x00%GF"


@dataclass(frozen=True)
class Signature:
    """Who signed a commit: the name in the file of signers, and the key's fingerprint."""

    name: str
    key: str

    def is_of(self, other: Signature) -> bool:
        """Whether one person made both: a person may have two keys, and a key two names."""
        return self.name.lower() == other.name.lower() or self.key == other.key


def read_signatures(
    repository: Repository, commits: Iterable[str], signers: bytes | None
) -> dict[str, Signature]:
    """Who signed each of these commits, by the text of an allowed_signers file; a commit that
    nobody of it signed is left out.

    Only SSH signatures count: what a PGP key may say depends on the machine that looks. Git
    honours the file's ``valid-after`` and ``valid-before`` at the commit's own date.
    """
    asked = tuple(dict.fromkeys(commits))
    if not signers or not asked:
        return {}
    contents = refs.contents(repository, asked)
    signed = [commit for commit in asked if _carries(contents.get(commit, b""))]
    if not signed:
        return {}
    with scratch_folder() as scratch:
        file = Path(scratch, "allowed_signers")
        file.write_bytes(signers)
        listed = repository.call(
            "-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={file}",
            "-c", "gpg.ssh.program=ssh-keygen",  # one for an agent signs, and verifies nothing
            "log", "--no-walk=unsorted", "--stdin", f"--format={_FACTS}",
            stdin="".join(f"{commit}\n" for commit in signed).encode(),
        )  # fmt: skip
    return dict(_verified(listed))


def _verified(listed: str) -> Iterator[tuple[str, Signature]]:
    for line in lines(listed):
        commit, verdict, name, key = line.split("\0")
        # `U` is a good signature of a key that the file does not know.
        if verdict == "G" and name.strip() and key.strip():
            yield commit, Signature(name.strip(), key.strip())


def is_signed(repository: Repository, commit: str) -> bool:
    """Whether a commit carries an SSH signature, whoever's."""
    return _carries(refs.contents(repository, [commit]).get(commit, b""))


def _carries(content: bytes) -> bool:
    """Whether the bytes of a commit hold an SSH signature, and no other beside it."""
    head = content.decode("utf-8", "replace").partition("\n\n")[0]
    first = [line.partition(" ")[2] for line in lines(head) if line.startswith("gpgsig")]
    return bool(first) and all(line == _SSH for line in first)


def is_configured(repository: Repository) -> bool:
    """Whether Git here knows with which SSH key to sign."""
    return repository.setting("gpg.format") == "ssh" and bool(
        repository.setting("user.signingkey") or repository.setting("gpg.ssh.defaultKeyCommand")
    )


def is_usual(repository: Repository) -> bool:
    """Whether Git here signs every commit with an SSH key."""
    return signatures.signs_commits(repository) and is_configured(repository)
