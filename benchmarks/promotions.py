"""A registry with 500 promotions among its 10,000 versions: verifying it, and reconciling it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

from msgspec.structs import replace

from benchmarks import registry
from benchmarks.measure import Cost, Row, cost, interleaved, median
from benchmarks.registry import BEGIN, STAGES, TOWPATH
from towpath.backends.dvc import Store, initialise_store
from towpath.delivery.promotion.promotion_approval import promotion_paths
from towpath.registry import VersionNumber, VersionRecord, stage_files, version_record
from towpath.registry.stage_files import StageFile

MODELS, EACH, ROUNDS = 50, 200, 10
FIRST = 190  # the minor number of the first version of a model that is promoted
RUNS = 3
ADA = "Ada Lovelace <ada@example.org>"
BO = "Bo Diddley <bo@example.org>"
POLICY = "name: many\nstages:\n  dev:\n  uat:\n  prod:\n"


def rows() -> Iterator[Row]:
    """By CPU of whole processes, against plain Git on the same registry in the same run.

    The bound of `verify` is 20 s where plain Git lists the tags in 0.1. That of `reconcile` is 1.5
    times the 9.4 that it took when this was first measured.
    """
    with tempfile.TemporaryDirectory() as scratch:
        project = make(Path(scratch) / "promoted")
        asked = {
            "verify --offline": (["verify", "--offline"], 200.0, "and 500 promotions"),
            "reconcile dev --check": (["reconcile", "dev", "--check"], 14.0, "50 models, all done"),
        }
        floor = ["git", "for-each-ref", "--format=%(refname)%(contents)", "refs/tags"]
        commands = [floor, *([TOWPATH, *words] for words, _, _ in asked.values())]
        found = interleaved(RUNS, *(partial(_timed, command, project) for command in commands))
        base, *costs = (median(each, "cpu") for each in found)
        for (name, (_, bound, what)), taken in zip(asked.items(), costs, strict=True):
            note = f"CPU; {taken:.2f} s of 10,000 versions, {what}, plain git {base:.2f} s"
            yield Row(f"towpath {name}", taken / base, bound, "x git for-each-ref", note)


def _timed(words: list[str], project: Path, _: int) -> Cost:
    return cost(words, project)


def make(root: Path) -> Path:
    """The registry of ``benchmarks.registry``, and what `promote`, `approve` and `reconcile` write
    in it: branches merged into main one after the other, with their evidence, and stage tags. What
    dev wants is deployed there, by `reconcile` itself."""
    registry.make(root, MODELS, EACH, POLICY)
    git = partial(registry.call_git, root)
    marks = root.parent / "marks"
    main, versions = _names(git)
    stream = b"".join([*_merges(main), b"done\n"])
    importing = ["git", "fast-import", "--quiet", "--force", "--done"]
    git([*importing, f"--export-marks={marks}"], input=stream)
    pairs = (line.split() for line in marks.read_text().splitlines())
    merges = {int(mark[1:]): commit for mark, commit in pairs}
    git(importing, input=b"".join([*_stage_tags(merges, versions), b"done\n"]))
    git(["git", "update-ref", "-d", "refs/heads/scratch"])
    git(["git", "pack-refs", "--all"])
    git(["git", "reset", "-q", "--hard", "main"])
    initialise_store(root)
    _store_bytes(root)
    git([TOWPATH, "reconcile", "dev", "--apply"])
    return root


def _names(git: partial[CompletedProcess[bytes]]) -> tuple[str, dict[str, str]]:
    """Main's commit, and each version's."""
    main = git(["git", "rev-parse", "main"]).stdout.decode().strip()
    listed = git(
        ["git", "for-each-ref", "--format=%(refname:lstrip=2) %(*objectname)", "refs/tags"]
    )
    return main, dict(line.split() for line in listed.stdout.decode().splitlines())


def _moves() -> Iterator[tuple[int, str, VersionRecord, VersionNumber | None]]:
    """Each promotion: its number, the stage, the version, and the one that it replaces."""
    running: dict[tuple[str, str], VersionNumber | None] = {}
    for number in range(MODELS * ROUNDS):
        turn, place = divmod(number // MODELS, len(STAGES))
        stage, made = STAGES[place], registry.a_record(f"model-{number % MODELS}", FIRST + turn)
        yield number, stage, made, running.get((stage, made.model))
        running[stage, made.model] = made.version


def _when(number: int) -> str:
    later = BEGIN + timedelta(days=30, minutes=number)
    return f"{later:%s} +0000"


def _merges(main: str) -> Iterator[bytes]:
    """A branch of Ada's with one commit, and Bo's merge of it, for each promotion."""
    before = main
    for number, stage, made, replaces in _moves():
        stage_file, record_file, page = promotion_paths(stage, made.model, made.version)
        held = StageFile(stage, made.model, _number(made), made.sha256, replaces)
        files = {
            stage_file: stage_files.write_stage_file(held),
            record_file: version_record.write_version_record(
                replace(made, code=replace(made.code, commit=main))
            ),
            page: f"# {made.model} {made.version} → {stage}\n\nIt passed.\n",
        }
        told = f"Promotion: {made.model}@{made.version} -> {stage}\n"
        told += f"Replaces: {replaces}\n" if replaces else ""
        title = f"Promote {made.model}@{made.version} to {stage}\n\n{told}"
        branch, merge = 2 * number + 1, 2 * number + 2
        approved = f"{title}Approved-by: {BO}\nApproval: recorded\n"
        content = "".join(f"M 100644 inline {p}\n{registry.data(t)}" for p, t in files.items())
        yield (
            f"commit refs/heads/scratch\nmark :{branch}\ncommitter {ADA} {_when(number)}\n"
            f"{registry.data(title)}from {before}\n{content}\n"
            f"commit refs/heads/main\nmark :{merge}\ncommitter {BO} {_when(number)}\n"
            f"{registry.data(approved)}from {before}\nmerge :{branch}\n{content}\n"
        ).encode()
        before = f":{merge}"


def _stage_tags(merges: dict[int, str], versions: dict[str, str]) -> Iterator[bytes]:
    for number, stage, made, _ in _moves():
        name = f"{made.model}@{made.version}"
        page = promotion_paths(stage, made.model, made.version)[2]
        merge = merges[2 * number + 2]
        message = (
            f"{name} enters {stage}\n\nPromotion: {merge}\nApproval: recorded\n"
            f"Approved-by: {BO}\nWhere: merge {merge[:7]}\nEvidence: {page}\n"
        )
        event = EACH + 1 + number // MODELS  # GTO numbers all events of a model together
        head = f"tag {made.model}#{stage}#{event}\nfrom {versions[name]}\n"
        yield f"{head}tagger {BO} {_when(number)}\n{registry.data(message)}".encode()


def _number(made: VersionRecord) -> VersionNumber:
    assert made.version is not None
    return made.version


def _store_bytes(root: Path) -> None:
    """The bytes of what was promoted, as runs leave them: those whose digests the records hold."""
    file = root.parent / "content"
    for _, _, made, _ in _moves():
        file.write_bytes(registry.content(made.model, _number(made).minor))
        Store(root).put(file)
        assert hashlib.sha256(file.read_bytes()).hexdigest() == made.sha256
