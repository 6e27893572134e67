"""Are records, tags and evidence as they were when they were decided upon?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from towpath.audit import audit_finding
from towpath.audit.audit_finding import AuditCheck, AuditFinding, make_finding
from towpath.audit.ledger import AuditLedger, FileTouch
from towpath.backends.git import refs
from towpath.config.foreign_values import format_second
from towpath.errors import RegistryError
from towpath.registry import (
    ModelVersion,
    VersionNumber,
    VersionRecord,
    registry_state,
    restore_tags,
    tag_message,
    version_record,
)
from towpath.registry.main_decisions import EVIDENCE
from towpath.registry.version_reference import parse_tag

KEPT = ("registry/models", EVIDENCE)
BACK = "git checkout {commit} -- ':/{path}', and commit: it is as it was decided upon"


def check_records(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Every version's tag and record, and main's copies of those that were promoted."""
    versions = [v for model in ledger.models.values() for v in model.versions]
    texts = refs.read_contents(ledger.repository, [_object_name(version) for version in versions])
    parents = ledger.read_parents(version.commit for version in versions)
    for version in versions:
        text = texts.get(_object_name(version))
        yield from _check_version(version, text, parents.get(version.commit, ()))
    yield from _find_lightweight(ledger)
    yield from _find_postdated(ledger)
    yield from _check_copies(
        ledger, {(v.model, v.version): texts.get(_object_name(v)) for v in versions}
    )
    yield from _check_evidence(ledger)
    yield from _find_touched(ledger)


def _object_name(version: ModelVersion) -> str:
    return f"{version.commit}:{version_record.record_path(version.model, version.version)}"


def _check_version(
    version: ModelVersion, content: bytes | None, parents: tuple[str, ...]
) -> Iterator[AuditFinding]:
    """A version's commit holds its record, upon its code; its tag repeats the record."""
    hint = restore_tags.way_to_restore(str(version))
    if content is None:
        what = f"it stands on {version.commit[:7]}, which holds no record of it"
        yield make_finding("version tag", what, str(version), hint)
        return
    try:
        parsed_record = version_record.parse_version_record(
            content.decode("utf-8", "replace"), _object_name(version)
        )
    except RegistryError as damaged:
        yield make_finding("record", damaged.faults[0].what, _shown_place(version), hint)
        return
    if (parsed_record.model, parsed_record.version) != (version.model, version.version):
        what = f"the record there is that of {parsed_record.model}@{parsed_record.version}"
        yield make_finding("version tag", what, str(version), hint)
    if version.summary and version.summary != _as_json(parsed_record):
        differs = ", ".join(_differing_keys(version.summary, _as_json(parsed_record)))
        what = f"its tag says otherwise than its record in {differs}"
        yield make_finding("version tag", what, str(version), hint)
    if (
        parsed_record.code.repository is None
        and parents
        and parsed_record.code.commit not in parents
    ):
        code = parsed_record.code.commit[:7]
        what = f"its commit {version.commit[:7]} is not upon the code {code} of its record"
        yield make_finding("version tag", what, str(version), hint)


def _as_json(record: VersionRecord) -> Mapping[str, object]:
    import json

    plain: Mapping[str, object] = json.loads(
        tag_message.json_line(tag_message.summarise_record(record))
    )
    return plain


def _differing_keys(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]


def _shown_place(version: ModelVersion) -> str:
    return f"{version_record.record_path(version.model, version.version)} at {version.commit[:7]}"


def _find_lightweight(ledger: AuditLedger) -> Iterator[AuditFinding]:
    pattern = f"refs/tags/{ledger.model}@*" if ledger.model else "refs/tags/*@v*"
    for ref in refs.list_refs(ledger.repository, pattern):
        short = ref.name.removeprefix("refs/tags/")
        tag_name = parse_tag(short)
        if tag_name and tag_name.version and not ref.annotated:
            what = "it is a lightweight tag, which is no version"
            what = "its object is not in this clone, or is broken" if ref.lost else what
            yield make_finding("version tag", what, short, restore_tags.way_to_restore(short))


def _find_postdated(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """No tag of a version or a rejection is dated after now: stock GTO would take it for newer."""
    for ref in refs.list_refs(ledger.repository, f"refs/tags/{ledger.model or '*'}@v*"):
        short = ref.name.removeprefix("refs/tags/")
        if ref.time > time.time() + registry_state.TAG_AHEAD and parse_tag(short):
            what = f"it is dated {format_second(ref.time)}, which has not come yet"
            yield make_finding("version tag", what, short, restore_tags.way_to_restore(short))


def _check_copies(
    ledger: AuditLedger, tagged: Mapping[tuple[str, object], bytes | None]
) -> Iterator[AuditFinding]:
    """Main's copy of a promoted record is as it was decided upon, and so is that of its tag."""
    promoted = {
        (promotion.model, promotion.version): promotion
        for promotion in ledger.promotions
        if promotion.version
    }
    paths = {
        key: version_record.record_path(promotion.model, promotion.version)
        for key, promotion in promoted.items()
    }
    copies = ledger.files(paths.values())
    for key, path in paths.items():
        name, original = f"{key[0]}@{key[1]}", tagged.get(key)
        if original is None:
            what = f"{name} was promoted, and its tag is gone or holds no record"
            yield make_finding("version tag", what, name, restore_tags.way_to_restore(name))
        yield from _check_copy(ledger, name, copies.get(path), original)


def _check_copy(
    ledger: AuditLedger, name: str, copy: bytes | None, original: bytes | None
) -> Iterator[AuditFinding]:
    """Main's record of a promoted version, and its tag's, are what main decided upon."""
    path = version_record.record_path(*_split_name(name))
    decided = ledger.decided_record(path)
    if decided is None:
        what = f"the record of {name}, which was promoted, is not on main"
        root = '"$(git rev-parse --show-cdup)"'
        hint = f"git show 'refs/tags/{name}:{path}' > {root}'{path}', and commit"
        yield make_finding("record", what, path, hint)
        return
    back = BACK.format(commit=ledger.find_first_commit(path), path=path)
    if copy is None:
        what = f"the record of {name}, which was promoted, is not on main"
        yield make_finding("record", what, path, back)
    elif original is not None and copy != original:
        what = f"main's record of {name} is not the one on its tag: one of them was altered"
        yield make_finding(
            "record", what, path, back if copy != decided else restore_tags.way_to_restore(name)
        )
    elif copy != decided:
        what = f"main's record of {name} is not the one that was decided upon: it was altered"
        yield make_finding("record", what, path, back)
    if original is not None and original == copy != decided:
        what = f"its record is not the one that main decided upon: the tag of {name} was moved"
        yield make_finding("version tag", what, name, restore_tags.way_to_restore(name))


def _split_name(name: str) -> tuple[str, VersionNumber | None]:
    model, _, number = name.partition("@")
    return model, VersionNumber.parse(number)


def _check_evidence(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Each promotion came with its evidence, which is on main still."""
    evidence_on_main = ledger.files(
        {ledger.evidence_path(promotion) for promotion in ledger.promotions}
    )
    for promotion in ledger.promotions:
        path = ledger.evidence_path(promotion)
        if promotion.fault or ledger.is_confirmed(promotion):
            continue
        if not ledger.has_evidence(promotion):
            what = f"{promotion} came without its evidence"
            yield make_finding(
                "evidence", what, f"{path} at {promotion.commit[:7]}", audit_finding.EXPLAIN
            )
        elif path not in evidence_on_main:
            hint = BACK.format(commit=promotion.commit[:7], path=path)
            yield make_finding(
                "evidence", f"the evidence of {promotion} is gone from main", path, hint
            )


def _find_touched(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Records and evidence change with a promotion of theirs, and never else. What was put back
    as it had been is mended."""
    owners: dict[str, list[str]] = {}
    for promotion in ledger.log:
        for path in (
            version_record.record_path(promotion.model, promotion.version),
            ledger.evidence_path(promotion),
        ):
            owners.setdefault(path, []).append(promotion.commit)
    touched = [touch for touch in ledger.find_touches(*KEPT) if _is_strange(owners, touch)]
    right = {touch.path: _last_commit(ledger, owners[touch.path], touch.path) for touch in touched}
    before = ledger.files_at((commit, path) for path, commit in right.items())
    current_files = ledger.files(right)
    for touch in touched:
        path, commit = touch.path, right[touch.path]
        if current_files.get(path) == before.get((commit, path)):
            continue
        check: AuditCheck = "record" if path.startswith(KEPT[0]) else "evidence"
        what = f"{touch.author} {touch.what} it in {touch.commit[:7]}, after it was decided upon"
        yield make_finding(check, what, path, BACK.format(commit=commit[:7], path=path))


def _is_strange(owners: Mapping[str, list[str]], touch: FileTouch) -> bool:
    return touch.path in owners and touch.commit not in owners[touch.path]


def _last_commit(ledger: AuditLedger, commits: list[str], path: str) -> str:
    """The last promotion's commit that left a file there; a deletion of a hand brings none."""
    held = ledger.files_at((commit, path) for commit in commits)
    return next(
        (candidate for candidate in reversed(commits) if (candidate, path) in held), commits[-1]
    )
