"""Who signed the versions, the stage tags and the promotions, by the signers that main allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from towpath.audit.approvals import Approvals
from towpath.audit.audit_finding import Finding, Unchecked, finding
from towpath.audit.ledger import Ledger
from towpath.backends.git import refs, signatures
from towpath.backends.git.allowed_signers import SIGNERS, read_allowed_signers, signers_file
from towpath.backends.git.signatures import SignedBy
from towpath.errors import TowpathError
from towpath.registry import restore_tags
from towpath.registry.version_reference import parse_tag
from towpath.registry.version_signatures import (
    ADD,
    DEMANDED,
    REJECT,
    allowed_signers,
    signature_of,
    way_to_sign,
    why_unsigned,
)

TAGS = "refs/tags/"


@dataclass(frozen=True)
class Signed:
    """A thing that can be signed, and how its signature stands; ``kind`` is ``version``,
    ``rejection``, ``stage tag`` or ``promotion``. ``counts`` says whether it must be sound."""

    kind: str
    name: str
    signature: SignedBy
    counts: bool = True


def survey_demanded(ledger: Ledger, known: Approvals) -> tuple[Signed, ...]:
    """The versions in good standing, where the policy wants each signed: those that nobody signed,
    and whose signatures stages rest on now. All others ``survey`` looks at, which takes its time.
    """
    try:
        rules = known.rule.rules_now()
    except TowpathError:  # told among what could not be looked at
        return ()
    if rules.policy is None or rules.policy.policy.versions != "signed":
        return ()
    wanted = {(one.model, one.version) for one in ledger.wanted()}
    return tuple(
        Signed("version", str(one), signature_of(ledger.repository, one, rules.signers or b""))
        for model in ledger.models.values()
        for one in model.versions
        if one.rejected is None
        and ledger.is_ours(one.model)
        and (not one.tag.signature or (one.model, one.version) in wanted)
    )


def check_demanded(surveyed: Sequence[Signed]) -> Iterator[Finding]:
    """The versions that do not count, because no allowed signer signed them."""
    for one in surveyed:
        if one.signature.standing != "good":
            what = f"{DEMANDED}: {why_unsigned(one.signature)}"
            hint = way_to_sign(one.name, one.signature)
            yield finding("signature", what, one.name, f"{hint}; a stage that runs it: "
                          "towpath promote that one")  # fmt: skip


def check_signers(ledger: Ledger) -> Iterator[Finding]:
    """The lines of the file of signers that cannot be honoured: who stands there signs nothing."""
    for fault in read_allowed_signers(allowed_signers(ledger.repository, ledger.main)).faults:
        yield finding("rules", fault.what, str(fault.place), fault.hint or "")


def survey(ledger: Ledger) -> tuple[Signed, ...]:
    """Every version, rejection, stage tag and promotion of a ledger with its signature.

    A signature of one who may no longer sign holds until the day that the signers' file says.
    """
    allowed = allowed_signers(ledger.repository, ledger.main)
    with signers_file(allowed) as signers:

        def judge(kind: str, object_: str, content: str) -> SignedBy:
            return signatures.verify(ledger.repository, kind, object_, content, signers)

        tags = [
            Signed(kind, name, judge("tag", ref.object, ref.signature), counts)
            for kind, name, ref, counts in _tags(ledger)
        ]
        commits = _commits(ledger)
        texts = refs.contents(ledger.repository, commits)
        merged = [
            Signed(
                "promotion", name, judge("commit", commit, texts[commit].decode("utf-8", "replace"))
            )
            for commit, name in commits.items()
        ]
    return (*tags, *merged)


def check(
    ledger: Ledger, surveyed: Sequence[Signed], told: Sequence[Signed] = ()
) -> Iterator[Finding | Unchecked]:
    """What does not hold, is nobody's, or is missing where it could be there.

    ``told`` is what the policy's demand was asked of, and said already.

    Only a version can be made anew with a signature: an unsigned stage tag mirrors main, and
    whether a promotion had to be signed is the policy's to say.
    """
    if any(one.signature.standing in ("good", "unknown") for one in surveyed):
        yield from _signers(ledger)
    foreign = [one.name for one in surveyed if one.signature.standing == "foreign"]
    if foreign:
        what = f"{len(foreign)} signatures of OpenPGP or X.509 ({foreign[0]})"
        yield Unchecked("signature", what, "each machine holds them against its own keyring")
    names = {one.name for one in told}
    for one in surveyed:
        if one.counts and one.name not in names and (wrong := _wrong(one)):
            yield wrong


def _signers(ledger: Ledger) -> Iterator[Finding]:
    if not allowed_signers(ledger.repository, ledger.main):
        hint = "commit it with a line for each signer: <mail> <kind of key> <key>"
        yield finding(
            "signature", "it is not on main, so nobody's signature is known", SIGNERS, hint
        )


def _wrong(one: Signed) -> Finding | None:
    found = one.signature
    if found.standing == "unsigned" and one.kind == "version":
        return finding("signature", why_unsigned(found), one.name, way_to_sign(one.name, found))
    if found.standing == "unknown":
        hint = f"{ADD.format(key=found.key)}; else {_away(one)}"
        return finding("signature", why_unsigned(found), one.name, hint)
    if found.standing == "bad":
        return finding("signature", why_unsigned(found), one.name, _away(one))
    return None


def _away(one: Signed) -> str:
    """How a thing that nobody signed is replaced by one that somebody did."""
    if one.kind == "stage tag":
        return f"{restore_tags.way(one.name)}; then towpath reconcile --apply writes it again"
    if one.kind == "version":
        return REJECT.format(name=one.name)
    return "ask who made it, and promote what should be there with `towpath promote`"


def _tags(ledger: Ledger) -> Iterator[tuple[str, str, refs.Ref, bool]]:
    """The registry's tags: what each is, its name, and whether its signature must be sound."""
    pattern = (
        (f"{TAGS}{ledger.model}@*", f"{TAGS}{ledger.model}#*") if ledger.model else (TAGS[:-1],)
    )
    rejected = {
        str(v) for m in ledger.models.values() for v in m.versions if v.rejected is not None
    }
    for ref in refs.listed(ledger.repository, *pattern):
        name = ref.name.removeprefix(TAGS)
        tag = parse_tag(name) if ref.annotated else None
        if tag is None:
            continue
        if tag.stage:
            if ledger.is_meant(tag.stage):
                yield "stage tag", name, ref, True
        elif tag.undone:
            yield "rejection", name, ref, True
        else:
            yield "version", name, ref, name not in rejected


def _commits(ledger: Ledger) -> dict[str, str]:
    """The promotions' commits, those on main and those that they merged, by what they brought."""
    found: dict[str, str] = {}
    for one in ledger.promotions:
        found.setdefault(one.commit, f"{one} ({one.commit[:7]})")
        if one.head:
            found.setdefault(one.head, f"{one} ({one.head[:7]})")
    return found
