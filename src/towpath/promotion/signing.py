"""Signatures of commits, checked by stock Git against the signers that a commit allows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from towpath.git import Repository, refs
from towpath.git.command import lines

SIGNERS = "registry/allowed_signers"
_SSH = "-----BEGIN SSH SIGNATURE-----"


def signer(repository: Repository, commit: str, base: str) -> str | None:
    """Who signed a commit: a name in ``registry/allowed_signers`` of ``base``; None for nobody.

    Only SSH signatures count: what a PGP key may say depends on the machine that looks.
    """
    allowed = refs.contents(repository, [f"{base}:{SIGNERS}"]).get(f"{base}:{SIGNERS}")
    if allowed is None or not is_signed(repository, commit):
        return None
    with tempfile.TemporaryDirectory(prefix="towpath-") as scratch:
        file = Path(scratch, "allowed_signers")
        file.write_bytes(allowed)
        settings = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={file}")
        checked = repository.attempt(*settings, "verify-commit", commit)
        if checked.code:
            return None
        told = repository.call(*settings, "log", "-1", "--format=%G?%x00%GS", commit)
    verdict, _, name = told.partition("\0")
    return name.strip() if verdict == "G" and name.strip() else None


def is_signed(repository: Repository, commit: str) -> bool:
    """Whether a commit carries an SSH signature, whoever's."""
    content = refs.contents(repository, [commit]).get(commit, b"").decode("utf-8", "replace")
    head = content.partition("\n\n")[0]
    found = [line.partition(" ")[2] for line in lines(head) if line.startswith("gpgsig")]
    return bool(found) and all(first == _SSH for first in found)


def is_configured(repository: Repository) -> bool:
    """Whether Git here knows with which SSH key to sign."""
    return repository.setting("gpg.format") == "ssh" and bool(
        repository.setting("user.signingkey") or repository.setting("gpg.ssh.defaultKeyCommand")
    )
