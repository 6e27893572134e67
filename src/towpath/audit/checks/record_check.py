"""Are records, tags and evidence as they were when they were decided upon?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from towpath.audit import audit_finding
from towpath.audit.audit_finding import AuditCheck, AuditFinding, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.backends.git import refs
from towpath.config.foreign_values import format_second
from towpath.errors import RegistryError
from towpath.plain_data import group_by_key
from towpath.registry import (
    ModelVersion,
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
    # One call of Git each for all texts and all parents: there may be ten thousand versions.
    texts = refs.read_contents(ledger.repository, [_object_name(version) for version in versions])
    parents = ledger.read_parents(version.commit for version in versions)
    for version in versions:
        text = texts.get(_object_name(version))
        yield from _check_version(version, text, parents.get(version.commit, ()))
    yield from _check_tags(ledger)
    tagged = {(v.model, v.version): texts.get(_object_name(v)) for v in versions}
    promoted = dict.fromkeys((p.model, p.version) for p in ledger.promotions if p.version)
    paths = {key: version_record.record_path(*key) for key in promoted}
    copies = ledger.read_files(paths.values())
    for (model, number), path in paths.items():
        name, original = f"{model}@{number}", tagged.get((model, number))
        yield from _check_copy(ledger, name, path, copies.get(path), original)
    yield from _check_evidence(ledger)
    yield from _find_touched(ledger)


def _object_name(version: ModelVersion) -> str:
    return f"{version.commit}:{version_record.record_path(version.model, version.version)}"


def _check_version(
    version: ModelVersion, content: bytes | None, parents: tuple[str, ...]
) -> Iterator[AuditFinding]:
    """A version's commit holds its record, upon its code; its tag repeats the record."""
    name, short = str(version), version.commit[:7]
    hint = restore_tags.way_to_restore(name)
    if content is None:
        what = f"it stands on {short}, which holds no record of it"
        yield make_finding("version tag", what, name, hint)
        return
    try:
        record = version_record.parse_version_record(content, _object_name(version))
    except RegistryError as damaged:
        place = f"{version_record.record_path(version.model, version.version)} at {short}"
        yield make_finding("record", damaged.faults[0].what, place, hint)
        return
    if (record.model, record.version) != (version.model, version.version):
        what = f"the record there is that of {record.model}@{record.version}"
        yield make_finding("version tag", what, name, hint)
    # By way of JSON, as the tag's own summary came: tuples and lists are else no equals.
    summary = json.loads(tag_message.json_line(tag_message.summarise_record(record)))
    if version.summary and version.summary != summary:
        keys = dict.fromkeys([*version.summary, *summary])
        differing = (key for key in keys if version.summary.get(key) != summary.get(key))
        what = f"its tag says otherwise than its record in {', '.join(differing)}"
        yield make_finding("version tag", what, name, hint)
    # The code of a shared registry's versions is in another repository, and no parent here.
    if record.code.repository is None and parents and record.code.commit not in parents:
        what = f"its commit {short} is not upon the code {record.code.commit[:7]} of its record"
        yield make_finding("version tag", what, name, hint)


def _check_tags(ledger: AuditLedger) -> Iterator[AuditFinding]:
    for ref in refs.list_refs(ledger.repository, f"refs/tags/{ledger.model or '*'}@v*"):
        short = ref.name.removeprefix("refs/tags/")
        hint = restore_tags.way_to_restore(short)
        if parse_tag(short) is None:
            continue
        if not ref.annotated:
            # Stock GTO passes it over: to it the version is not there.
            what = "it is a lightweight tag, which is no version"
            what = "its object is not in this clone, or is broken" if ref.lost else what
            yield make_finding("version tag", what, short, hint)
        if ref.time > time.time() + registry_state.TAG_AHEAD:  # stock GTO takes it for the newest
            what = f"it is dated {format_second(ref.time)}, which has not come yet"
            yield make_finding("version tag", what, short, hint)


def _check_copy(
    ledger: AuditLedger, name: str, path: str, copy: bytes | None, original: bytes | None
) -> Iterator[AuditFinding]:
    """Main's record of a promoted version, and its tag's, are what main decided upon."""
    restoring, decided = restore_tags.way_to_restore(name), ledger.decided_record(path)
    if original is None:
        what = f"{name} was promoted, and its tag is gone or holds no record"
        yield make_finding("version tag", what, name, restoring)
    missing = f"the record of {name}, which was promoted, is not on main"
    if decided is None:
        root = '"$(git rev-parse --show-cdup)"'
        hint = f"git show 'refs/tags/{name}:{path}' > {root}'{path}', and commit"
        yield make_finding("record", missing, path, hint)
        return
    commit = ledger.main_decisions.find_first_commit(path)[:7]
    back = BACK.format(commit=commit, path=path)
    if copy is None:
        yield make_finding("record", missing, path, back)
    elif original is not None and copy != original:
        what = f"main's record of {name} is not the one on its tag: one of them was altered"
        # What main decided upon first tells which of the two it was.
        yield make_finding("record", what, path, back if copy != decided else restoring)
    elif copy != decided:
        what = f"main's record of {name} is not the one that was decided upon: it was altered"
        yield make_finding("record", what, path, back)
    if original is not None and original == copy != decided:
        what = f"its record is not the one that main decided upon: the tag of {name} was moved"
        yield make_finding("version tag", what, name, restoring)


def _check_evidence(ledger: AuditLedger) -> Iterator[AuditFinding]:
    evidence_on_main = ledger.read_files(
        {ledger.evidence_path(entry) for entry in ledger.promotions}
    )
    for promotion in ledger.promotions:
        path = ledger.evidence_path(promotion)
        if promotion.fault or ledger.is_confirmed(promotion):
            continue  # it is said of the stage file, or was let in afterwards with evidence
        if not ledger.has_evidence(promotion):
            what, place = f"{promotion} came without its evidence", promotion.commit[:7]
            hint = audit_finding.EXPLAIN
            yield make_finding("evidence", what, f"{path} at {place}", hint, is_past=True)
        elif path not in evidence_on_main:
            hint = BACK.format(commit=promotion.commit[:7], path=path)
            what = f"the evidence of {promotion} is gone from main"
            yield make_finding("evidence", what, path, hint)


def _find_touched(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Records and evidence change with a promotion of theirs, and never else."""
    owners = group_by_key(
        (path, entry.commit)
        for entry in ledger.log
        for path in (
            version_record.record_path(entry.model, entry.version),
            ledger.evidence_path(entry),
        )
    )
    for path, commit, author, action in ledger.find_touches(*KEPT):
        if path not in owners or commit in owners[path]:
            continue
        # The last promotion's commit that left a file there; a deletion of a hand brings none.
        held = ledger.files_at((owner, path) for owner in owners[path])
        last = next(
            (own for own in reversed(owners[path]) if (own, path) in held), owners[path][-1]
        )
        if ledger.read_files([path]).get(path) == held.get((last, path)):
            continue  # it was put back as it had been
        check: AuditCheck = "record" if path.startswith(KEPT[0]) else "evidence"
        what = f"{author} {action} it in {commit[:7]}, after it was decided upon"
        yield make_finding(check, what, path, BACK.format(commit=last[:7], path=path))
