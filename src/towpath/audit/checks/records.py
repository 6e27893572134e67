"""Are records, tags and evidence as they were when they were decided upon?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from towpath.audit.finding import Check, Finding, finding
from towpath.audit.ledger import Ledger
from towpath.errors import RegistryError
from towpath.git import refs
from towpath.registry import ModelVersion, Record, record, tagging
from towpath.registry.references import parse_tag

KEPT = ("registry/models", "registry/evidence")
COMPARE = "git log -p main -- {path}; what the tag of the version holds is right if nobody moved it"


def check(ledger: Ledger) -> Iterator[Finding]:
    """Every version's tag and record, and main's copies of those that were promoted."""
    versions = [v for model in ledger.models.values() for v in model.versions]
    texts = refs.contents(ledger.repository, [_name(version) for version in versions])
    parents = ledger.parents(version.commit for version in versions)
    for version in versions:
        text = texts.get(_name(version))
        yield from _version(version, text, parents.get(version.commit, ()))
    yield from _lightweight(ledger)
    yield from _copies(ledger, {(v.model, v.version): texts.get(_name(v)) for v in versions})
    yield from _evidence(ledger)
    yield from _touched(ledger)


def _name(version: ModelVersion) -> str:
    return f"{version.commit}:{record.place(version.model, version.version)}"


def _version(
    version: ModelVersion, content: bytes | None, parents: tuple[str, ...]
) -> Iterator[Finding]:
    """A version's commit holds its record, upon its code; its tag repeats the record."""
    hint = "git show the tag; another clone, or the registry's remote, has it as it was"
    if content is None:
        what = f"it stands on {version.commit[:7]}, which holds no record of it"
        yield finding("version tag", what, str(version), hint)
        return
    try:
        found = record.read(content.decode("utf-8", "replace"), _name(version))
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

    plain: Mapping[str, object] = json.loads(tagging.line(tagging.summary(found)))
    return plain


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]


def _shown(version: ModelVersion) -> str:
    return f"{record.place(version.model, version.version)} at {version.commit[:7]}"


def _lightweight(ledger: Ledger) -> Iterator[Finding]:
    pattern = f"refs/tags/{ledger.model}@*" if ledger.model else "refs/tags/*@v*"
    for ref in refs.listed(ledger.repository, pattern):
        short = ref.name.removeprefix("refs/tags/")
        found = parse_tag(short)
        if found and found.version and not ref.annotated:
            what = "it is a lightweight tag, which is no version"
            hint = f"git tag -d '{short}', then towpath fetch"
            yield finding("version tag", what, short, hint)


def _copies(ledger: Ledger, tagged: Mapping[tuple[str, object], bytes | None]) -> Iterator[Finding]:
    """Main's copy of a promoted record is that of its tag."""
    promoted = {(one.model, one.version): one for one in ledger.promotions if one.version}
    paths = {key: record.place(one.model, one.version) for key, one in promoted.items()}
    copies = ledger.files(paths.values())
    for key, path in paths.items():
        name, copy, original = f"{key[0]}@{key[1]}", copies.get(path), tagged.get(key)
        hint = COMPARE.format(path=path)
        if original is None:
            what = f"{name} was promoted, and its tag is gone or holds no record"
            yield finding(
                "version tag", what, name, "towpath fetch; git push a clone's that has it"
            )
        elif copy is None:
            yield finding(
                "record", f"the record of {name}, which was promoted, is not on main", path, hint
            )
        elif copy != original:
            what = f"main's record of {name} is not the one on its tag: one of them was altered"
            yield finding("record", what, path, hint)


def _evidence(ledger: Ledger) -> Iterator[Finding]:
    """Each promotion came with its evidence, which is on main still."""
    here = ledger.files({ledger.evidence(one) for one in ledger.promotions})
    for one in ledger.promotions:
        path = ledger.evidence(one)
        if one.fault:
            continue
        if not ledger.has_evidence(one):
            what = f"{one} came without its evidence"
            hint = f"git show {one.commit[:7]}: nobody can say what its approver saw"
            yield finding("evidence", what, path, hint)
        elif path not in here:
            hint = f"git checkout {one.commit[:7]} -- {path}, and commit"
            yield finding("evidence", f"the evidence of {one} is gone from main", path, hint)


def _touched(ledger: Ledger) -> Iterator[Finding]:
    """Records and evidence change with a promotion of theirs, and never else."""
    owners: dict[str, set[str]] = {}
    for one in ledger.log:
        for path in (record.place(one.model, one.version), ledger.evidence(one)):
            owners.setdefault(path, set()).add(one.commit)
    for touch in ledger.touches(*KEPT):
        owned = owners.get(touch.path)
        if owned is not None and touch.commit not in owned:
            check: Check = "record" if touch.path.startswith(KEPT[0]) else "evidence"
            what = (
                f"{touch.author} {touch.what} it in {touch.commit[:7]}, after it was decided upon"
            )
            hint = f"git show {touch.commit[:7]}; git revert {touch.commit[:7]}"
            yield finding(check, what, touch.path, hint)
