"""Who signed a version: its tag's signature, held against the signers that main allows."""

from __future__ import annotations

from towpath.backends.git import Repository, main_branch, refs, signatures
from towpath.backends.git.signatures import SIGNERS, SignedBy, signers_file
from towpath.errors import Fault
from towpath.registry.registry_state import ModelVersion


def allowed_signers(repository: Repository, commit: str | None) -> bytes:
    """The allowed signers of a commit, in OpenSSH's format; empty where it has none."""
    return (refs.read_content(repository, commit, SIGNERS) or b"") if commit else b""


def signature_of(
    repository: Repository, version: ModelVersion, allowed: bytes | None = None
) -> SignedBy:
    """How the signature of a version's tag stands, by these signers (by default those of main's
    file); of an unsigned one nothing is asked."""
    if not version.tag.signature:
        return SignedBy("unsigned")
    if allowed is None:
        allowed = allowed_signers(repository, main_branch.seen_main_commit(repository))
    with signers_file(allowed) as signers:
        tag = version.tag
        return signatures.verify_signature(repository, "tag", tag.object, tag.signature, signers)


def lacking_signature(
    repository: Repository, version: ModelVersion, allowed: bytes
) -> Fault | None:
    """Why a version does not count where an allowed signer must have signed each; None where one
    did."""
    signature = signature_of(repository, version, allowed)
    if signature.standing == "good":
        return None
    hint = way_to_sign(str(version), signature)
    return Fault(f"{DEMANDED}: {why_unsigned(signature)}", hint=hint)


DEMANDED = "the policy wants each version's tag signed by an allowed signer"


def why_unsigned(signature: SignedBy) -> str:
    if signature.standing == "unsigned":
        return "nobody signed it"
    if signature.standing == "foreign":
        return "its signature is of OpenPGP or X.509, and only SSH's are judged"
    if signature.standing == "bad":
        return "its signature does not hold"
    return f"it is signed with {signature.key}, which {SIGNERS} of main does not name"


ADD = (
    f"if {{key}} is a signer's, add a line to {SIGNERS} on main: <mail> <kind> <key> "
    '(of one who left: with valid-before="YYYYMMDD" behind the mail)'
)
REJECT = "towpath reject '{name}' --reason '...', and run again: the version that follows is signed"
SIGN = "git config tag.gpgSign true; then " + REJECT


def way_to_sign(name: str, signature: SignedBy) -> str:
    """How a version with a sound signature comes to be in the place of one without."""
    if signature.standing == "unknown":
        return f"{ADD.format(key=signature.key)}; else {REJECT.format(name=name)}"
    if signature.standing == "foreign":
        return "git config gpg.format ssh; " + SIGN.format(name=name)
    return (SIGN if signature.standing == "unsigned" else REJECT).format(name=name)
