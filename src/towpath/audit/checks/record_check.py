"""Are records, tags and evidence as they were when they were decided upon?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from towpath.audit import finding_notes, utc_dates
from towpath.audit.audit_finding import Check, Finding, finding
from towpath.audit.ledger import Ledger, Touch
from towpath.backends.git import refs
from towpath.errors import RegistryError
from towpath.registry import (
    ModelVersion,
    Record,
    Version,
    registry_state,
    restore_tags,
    tag_message,
    version_record,
)
from towpath.registry.main_decisions import EVIDENCE
from towpath.registry.version_reference import parse_tag

KEPT = ("registry/models", EVIDENCE)
BACK = "git checkout {commit} -- ':/{path}', and commit: it is as it was decided upon"


def check(ledger: Ledger) -> Iterator[Finding]:
    """Every version's tag and record, and main's copies of those that were promoted."""
    versions = [v for model in ledger.models.values() for v in model.versions]
    texts = refs.contents(ledger.repository, [_name(version) for version in versions])
    parents = ledger.parents(version.commit for version in versions)
    for version in versions:
        text = texts.get(_name(version))
        yield from _version(version, text, parents.get(version.commit, ()))
    yield from _lightweight(ledger)
    yield from _dated(ledger)
    yield from _copies(ledger, {(v.model, v.version): texts.get(_name(v)) for v in versions})
    yield from _evidence(ledger)
    yield from _touched(ledger)


def _name(version: ModelVersion) -> str:
    return f"{version.commit}:{version_record.place(version.model, version.version)}"


def _version(
    version: ModelVersion, content: bytes | None, parents: tuple[str, ...]
) -> Iterator[Finding]:
    """A version's commit holds its record, upon its code; its tag repeats the record."""
    hint = restore_tags.way(str(version))
    if content is None:
        what = f"it stands on {version.commit[:7]}, which holds no record of it"
        yield finding("version tag", what, str(version), hint)
        return
    try:
        found = version_record.read(content.decode("utf-8", "replace"), _name(version))
    except RegistryError as damaged:
        yield finding("record", damaged.faults[0].what, _shown(version), hint)
        return
    if (found.model, found.version) != (version.model, version.version):
        what = f"the record there is that of {found.model}@{found.version}"
        yield finding("version tag", what, str(version), hint)
    if version.summary and version.summary != _as_json(found):
        differs = ", ".join(_differing(version.summary, _as_json(found)))
        what = f"its tag says otherwise than its record in {differs}"
        yield finding("version tag", what, str(version), hint)
    if found.code.repository is None and parents and found.code.commit not in parents:
        code = found.code.commit[:7]
        what = f"its commit {version.commit[:7]} is not upon the code {code} of its record"
        yield finding("version tag", what, str(version), hint)


def _as_json(found: Record) -> Mapping[str, object]:
    import json

    plain: Mapping[str, object] = json.loads(tag_message.line(tag_message.summary(found)))
    return plain


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]


def _shown(version: ModelVersion) -> str:
    return f"{version_record.place(version.model, version.version)} at {version.commit[:7]}"


def _lightweight(ledger: Ledger) -> Iterator[Finding]:
    pattern = f"refs/tags/{ledger.model}@*" if ledger.model else "refs/tags/*@v*"
    for ref in refs.listed(ledger.repository, pattern):
        short = ref.name.removeprefix("refs/tags/")
        found = parse_tag(short)
        if found and found.version and not ref.annotated:
            what = "it is a lightweight tag, which is no version"
            what = "its object is not in this clone, or is broken" if ref.lost else what
            yield finding("version tag", what, short, restore_tags.way(short))


def _dated(ledger: Ledger) -> Iterator[Finding]:
    """No tag of a version or a rejection is dated after now: stock GTO would take it for newer."""
    for ref in refs.listed(ledger.repository, f"refs/tags/{ledger.model or '*'}@v*"):
        short = ref.name.removeprefix("refs/tags/")
        if ref.time > time.time() + registry_state.TAG_AHEAD and parse_tag(short):
            what = f"it is dated {utc_dates.shown(ref.time)}, which has not come yet"
            yield finding("version tag", what, short, restore_tags.way(short))


def _copies(ledger: Ledger, tagged: Mapping[tuple[str, object], bytes | None]) -> Iterator[Finding]:
    """Main's copy of a promoted record is as it was decided upon, and so is that of its tag."""
    promoted = {(one.model, one.version): one for one in ledger.promotions if one.version}
    paths = {key: version_record.place(one.model, one.version) for key, one in promoted.items()}
    copies = ledger.files(paths.values())
    for key, path in paths.items():
        name, original = f"{key[0]}@{key[1]}", tagged.get(key)
        if original is None:
            what = f"{name} was promoted, and its tag is gone or holds no record"
            yield finding("version tag", what, name, restore_tags.way(name))
        yield from _copy(ledger, name, copies.get(path), original)


def _copy(
    ledger: Ledger, name: str, copy: bytes | None, original: bytes | None
) -> Iterator[Finding]:
    """Main's record of a promoted version, and its tag's, are what main decided upon."""
    path = version_record.place(*_parts(name))
    decided = ledger.decided(path)
    if decided is None:
        what = f"the record of {name}, which was promoted, is not on main"
        root = '"$(git rev-parse --show-cdup)"'
        hint = f"git show 'refs/tags/{name}:{path}' > {root}'{path}', and commit"
        yield finding("record", what, path, hint)
        return
    back = BACK.format(commit=ledger.brought(path), path=path)
    if copy is None:
        what = f"the record of {name}, which was promoted, is not on main"
        yield finding("record", what, path, back)
    elif original is not None and copy != original:
        what = f"main's record of {name} is not the one on its tag: one of them was altered"
        yield finding("record", what, path, back if copy != decided else restore_tags.way(name))
    elif copy != decided:
        what = f"main's record of {name} is not the one that was decided upon: it was altered"
        yield finding("record", what, path, back)
    if original is not None and original == copy != decided:
        what = f"its record is not the one that main decided upon: the tag of {name} was moved"
        yield finding("version tag", what, name, restore_tags.way(name))


def _parts(name: str) -> tuple[str, Version | None]:
    model, _, number = name.partition("@")
    return model, Version.parse(number)


def _evidence(ledger: Ledger) -> Iterator[Finding]:
    """Each promotion came with its evidence, which is on main still."""
    here = ledger.files({ledger.evidence(one) for one in ledger.promotions})
    for one in ledger.promotions:
        path = ledger.evidence(one)
        if one.fault or ledger.is_confirmed(one):
            continue
        if not ledger.has_evidence(one):
            what = f"{one} came without its evidence"
            yield finding("evidence", what, f"{path} at {one.commit[:7]}", finding_notes.EXPLAIN)
        elif path not in here:
            hint = BACK.format(commit=one.commit[:7], path=path)
            yield finding("evidence", f"the evidence of {one} is gone from main", path, hint)


def _touched(ledger: Ledger) -> Iterator[Finding]:
    """Records and evidence change with a promotion of theirs, and never else. What was put back
    as it had been is mended."""
    owners: dict[str, list[str]] = {}
    for one in ledger.log:
        for path in (version_record.place(one.model, one.version), ledger.evidence(one)):
            owners.setdefault(path, []).append(one.commit)
    touched = [touch for touch in ledger.touches(*KEPT) if _is_strange(owners, touch)]
    right = {touch.path: _last(ledger, owners[touch.path], touch.path) for touch in touched}
    before = ledger.files_at((commit, path) for path, commit in right.items())
    now = ledger.files(right)
    for touch in touched:
        path, commit = touch.path, right[touch.path]
        if now.get(path) == before.get((commit, path)):
            continue
        check: Check = "record" if path.startswith(KEPT[0]) else "evidence"
        what = f"{touch.author} {touch.what} it in {touch.commit[:7]}, after it was decided upon"
        yield finding(check, what, path, BACK.format(commit=commit[:7], path=path))


def _is_strange(owners: Mapping[str, list[str]], touch: Touch) -> bool:
    return touch.path in owners and touch.commit not in owners[touch.path]


def _last(ledger: Ledger, commits: list[str], path: str) -> str:
    """The last promotion's commit that left a file there; a deletion of a hand brings none."""
    held = ledger.files_at((commit, path) for commit in commits)
    return next((one for one in reversed(commits) if (one, path) in held), commits[-1])
