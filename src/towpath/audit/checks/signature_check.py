"""Who signed the versions, the stage tags and the promotions, by the signers that main allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from towpath.audit.approvals import Approvals
from towpath.audit.audit_finding import AuditFinding, UncheckedPart, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.backends.git import refs, signatures
from towpath.backends.git.signatures import SIGNERS, SignedBy, read_allowed_signers, signers_file
from towpath.errors import TowpathError
from towpath.registry import restore_tags, version_signatures
from towpath.registry.registry_state import TAGS
from towpath.registry.version_reference import parse_tag


class SurveyedSignature(Struct, frozen=True):
    """A thing that can be signed, and how its signature stands; ``kind`` is ``version``,
    ``rejection``, ``stage tag`` or ``promotion``. ``counts`` says whether it must be sound."""

    kind: str
    name: str
    signature: SignedBy
    counts: bool = True


def survey_demanded(ledger: AuditLedger, approvals: Approvals) -> tuple[SurveyedSignature, ...]:
    """The versions in good standing, where the policy wants each signed: those that nobody signed,
    and whose signatures stages rest on now."""
    # Not all of them: each signature starts a Git and an ssh-keygen. That is `--signed`.
    try:
        rules = approvals.rule.rules_now()
    except TowpathError:  # told among what could not be looked at
        return ()
    if rules.policy is None or rules.policy.policy.versions != "signed":
        return ()
    wanted_keys = {(version.model, version.version) for version in ledger.wanted_versions()}
    return tuple(
        SurveyedSignature(
            "version",
            str(version),
            version_signatures.signature_of(ledger.repository, version, rules.signers or b""),
        )
        for model in ledger.models.values()
        for version in model.versions
        if version.rejected is None
        and ledger.is_ours(version.model)
        and (not version.tag.signature or (version.model, version.version) in wanted_keys)
    )


def check_demanded(surveyed: Sequence[SurveyedSignature]) -> Iterator[AuditFinding]:
    for signed in surveyed:
        if signed.signature.standing != "good":
            why = version_signatures.why_unsigned(signed.signature)
            what = f"{version_signatures.DEMANDED}: {why}"
            way = version_signatures.way_to_sign(signed.name, signed.signature)
            hint = f"{way}; a stage that runs it: towpath promote that one"
            yield make_finding("signature", what, signed.name, hint)


def check_signers(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """The lines of the file of signers that cannot be honoured: who stands there signs nothing."""
    for fault in read_allowed_signers(
        version_signatures.allowed_signers(ledger.repository, ledger.main)
    ).faults:
        yield make_finding("rules", fault.what, str(fault.place), fault.hint or "")


def survey_signatures(ledger: AuditLedger) -> tuple[SurveyedSignature, ...]:
    with signers_file(
        version_signatures.allowed_signers(ledger.repository, ledger.main)
    ) as signers:

        def judge_object(kind: str, object_: str, content: str) -> SignedBy:
            return signatures.verify_signature(ledger.repository, kind, object_, content, signers)

        tags = [
            SurveyedSignature(kind, name, judge_object("tag", ref.object, ref.signature), counts)
            for kind, name, ref, counts in _registry_tags(ledger)
        ]
        # The commits on main and those that they merged, by what they brought.
        commits: dict[str, str] = {}
        for promotion in ledger.promotions:
            for commit in filter(None, (promotion.commit, promotion.head)):
                commits.setdefault(commit, f"{promotion} ({commit[:7]})")
        texts = refs.read_contents(ledger.repository, commits)
        for commit, name in commits.items():
            text = texts[commit].decode("utf-8", "replace")
            tags.append(SurveyedSignature("promotion", name, judge_object("commit", commit, text)))
    return tuple(tags)


def check_signatures(
    ledger: AuditLedger,
    surveyed: Sequence[SurveyedSignature],
    demanded: Sequence[SurveyedSignature] = (),
) -> Iterator[AuditFinding | UncheckedPart]:
    """What does not hold, is nobody's, or is missing where it could be there; ``demanded`` is what
    the policy's demand was asked of, and said already."""
    is_judged = any(signed.signature.standing in ("good", "unknown") for signed in surveyed)
    if is_judged and not version_signatures.allowed_signers(ledger.repository, ledger.main):
        hint = "commit it with a line for each signer: <mail> <kind of key> <key>"
        what = "it is not on main, so nobody's signature is known"
        yield make_finding("signature", what, SIGNERS, hint)
    foreign = [signed.name for signed in surveyed if signed.signature.standing == "foreign"]
    if foreign:
        what = f"{len(foreign)} signatures of OpenPGP or X.509 ({foreign[0]})"
        yield UncheckedPart("signature", what, "each machine holds them against its own keyring")
    names = {signed.name for signed in demanded}
    for signed in surveyed:
        if signed.counts and signed.name not in names and (wrong := _wrong_signature(signed)):
            yield wrong


def _wrong_signature(surveyed: SurveyedSignature) -> AuditFinding | None:
    signature = surveyed.signature
    # Only a version can be made anew with a signature: an unsigned stage tag mirrors main, and
    # whether a promotion had to be signed is the policy's to say.
    if signature.standing == "unsigned" and surveyed.kind == "version":
        hint = version_signatures.way_to_sign(surveyed.name, signature)
    elif signature.standing == "unknown":
        hint = (
            f"{version_signatures.ADD.format(key=signature.key)}; else {_way_to_replace(surveyed)}"
        )
    elif signature.standing == "bad":
        hint = _way_to_replace(surveyed)
    else:
        return None
    return make_finding(
        "signature", version_signatures.why_unsigned(signature), surveyed.name, hint
    )


def _way_to_replace(surveyed: SurveyedSignature) -> str:
    if surveyed.kind == "stage tag":
        way = restore_tags.way_to_restore(surveyed.name)
        return f"{way}; then towpath reconcile --apply writes it again"
    if surveyed.kind == "version":
        return version_signatures.REJECT.format(name=surveyed.name)
    return "ask who made it, and promote what should be there with `towpath promote`"


def _registry_tags(ledger: AuditLedger) -> Iterator[tuple[str, str, refs.Ref, bool]]:
    """The registry's tags: what each is, its name, and whether its signature must be sound."""
    patterns: tuple[str, ...] = (TAGS[:-1],)
    if ledger.model:
        patterns = (f"{TAGS}{ledger.model}@*", f"{TAGS}{ledger.model}#*")
    versions = [version for model in ledger.models.values() for version in model.versions]
    rejected = {str(version) for version in versions if version.rejected is not None}
    for ref in refs.list_refs(ledger.repository, *patterns):
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
