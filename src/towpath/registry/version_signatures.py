"""Who signed a version: its tag's signature, held against the signers that main allows."""

from __future__ import annotations

from towpath.git import Repository, mainline, refs, signatures
from towpath.git.signatures import SignedBy
from towpath.registry.reading import ModelVersion

SIGNERS = "registry/allowed_signers"


def allowed_signers(repository: Repository, commit: str | None) -> bytes:
    """The allowed signers of a commit, in OpenSSH's format; empty where it has none."""
    name = f"{commit}:{SIGNERS}"
    return refs.contents(repository, [name]).get(name, b"") if commit else b""


def signature_of(repository: Repository, version: ModelVersion) -> SignedBy:
    """How the signature of a version's tag stands; of an unsigned one nothing is asked."""
    if not version.tag.signature:
        return SignedBy("unsigned")
    allowed = allowed_signers(repository, mainline.main(repository))
    with signatures.signers_file(allowed) as signers:
        tag = version.tag
        return signatures.verify(repository, "tag", tag.object, tag.signature, signers)
