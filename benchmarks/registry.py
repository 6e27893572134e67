"""A registry of 10,000 versions of 50 models: listing, searching, finding, registering."""

from __future__ import annotations

import hashlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

from msgspec.structs import replace

from benchmarks.measure import Cost, Row, cost, environment, interleaved, median
from towpath.config.artifact import Artifact
from towpath.registry import (
    Column,
    ModelSignature,
    RecordedBump,
    RecordedCode,
    VersionNumber,
    VersionRecord,
    tag_message,
    version_record,
)

TOWPATH = str(Path(sys.executable).parent / "towpath")
STAGES = ("dev", "uat", "prod")
RUNS = 7
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
COLUMNS = tuple(Column(f"column_{n}", "number") for n in range(8))

# Registers one version, and says what CPU that took: Towpath's own from Python's first line on,
# and that of its calls of Git.
REGISTERING = """
import json, resource, sys
from msgspec.structs import replace
from pathlib import Path
from towpath import registry
from towpath.backends.git import Repository

repository = Repository.open(Path(sys.argv[1]))
record = registry.read_record(repository, registry.find_version(repository, "model-0@v1.5.0"))
draft = replace(record, key=sys.argv[2] * 64, version=None, bump=None)
files = {"dvc.yaml": b"stages: {}", "dvc.lock": b"a: 1"}
registry.register_version(repository, registry.Registration(draft, repository.head(), files))
spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([each.ru_utime + each.ru_stime for each in spent]))
"""


def rows() -> Iterator[Row]:
    """The figures, by CPU of whole processes; the floor is plain Git in the same run."""
    with tempfile.TemporaryDirectory() as scratch:
        many = make(Path(scratch) / "many", models=50, each=200)
        ten = make(Path(scratch) / "ten", models=1, each=10)
        yield from reading(many)
        yield from registering(many, ten)


def reading(project: Path) -> Iterator[Row]:
    """What a person waits for who looks at the registry.

    The bounds are 0.6 s and 0.25 s where plain Git lists the tags in 0.09.
    """
    asked = {
        "models": (["models"], 6.7),
        "search by metric": (["search", "metrics.mse < 4.5 and stage == 'prod'"], 6.7),
        "show model@v1.7.0": (["show", "model-0@v1.7.0"], 2.8),
        "show model@latest": (["show", "model-0@latest"], 2.8),
        "show model#prod": (["show", "model-0#prod"], 2.8),
    }
    floor = ["git", "for-each-ref", "--format=%(refname)%(contents)", "refs/tags"]
    commands = [floor, *([TOWPATH, *words] for words, _ in asked.values())]
    found = interleaved(RUNS, *(partial(_timed, command, project) for command in commands))
    base, *costs = (median(each, "cpu") for each in found)
    for (name, (_, bound)), taken in zip(asked.items(), costs, strict=True):
        note = f"CPU; {taken:.2f} s of 10,000 versions, plain git {base:.2f} s"
        yield Row(f"towpath {name}", taken / base, bound, "x git for-each-ref", note)


def registering(many: Path, ten: Path) -> Iterator[Row]:
    """One more version: the work beside Git's own, and whether it grows with the registry."""
    spent: dict[Path, list[list[float]]] = {many: [], ten: []}
    for n in range(RUNS):
        for project, costs in spent.items():
            costs.append(_register(project, n))
    own, git = (statistics.median(c[n] for c in spent[many]) for n in (0, 1))
    yield Row("register one beside 10,000", own, 0.3, "s", f"CPU beside Git's own {git:.2f} s")
    whole = {project: statistics.median(map(sum, costs)) for project, costs in spent.items()}
    note = f"CPU with Git's; {whole[ten]:.2f} s with ten"
    yield Row("the same", whole[many] / whole[ten], 1.25, "x with ten", note)


def _register(project: Path, n: int) -> list[float]:
    said = subprocess.run(
        [sys.executable, "-c", REGISTERING, str(project), f"{n:x}"],
        env=environment(),
        cwd=project,
        capture_output=True,
        check=True,
    )
    spent: list[float] = json.loads(said.stdout)
    return spent


def _timed(command: Sequence[str], project: Path, _: int) -> Cost:
    return cost(command, project)


def call_git(root: Path, words: list[str], input: bytes | None = None) -> CompletedProcess[bytes]:
    """Git, or what writes its commits, in a repository. Error: CalledProcessError."""
    return subprocess.run(
        words, cwd=root, env=environment(), check=True, capture_output=True, input=input
    )


def make(root: Path, models: int, each: int, policy: str | None = None) -> Path:
    """A project with a registry of ``models`` times ``each`` versions, as registering and
    promoting write them: the tags, their commits and the stage files on main. With a ``policy``
    nothing is promoted yet."""
    root.mkdir(parents=True)
    git = partial(call_git, root)
    git(["git", "init", "-q", "-b", "main"])
    git(["git", "config", "user.name", "Ada"])
    git(["git", "config", "user.email", "ada@example.org"])
    files = {"towpath.yaml": policy} if policy else _staged(models)
    importing = ["git", "fast-import", "--quiet", "--force", "--done"]
    git(importing, input=_commit("refs/heads/main", 1, "Stages", BEGIN, files) + b"done\n")
    code = git(["git", "rev-parse", "main"]).stdout.decode().strip()
    git(importing, input=b"".join([*_versions(models, each, code), b"done\n"]))
    git(["git", "update-ref", "-d", "refs/heads/scratch"])
    git(["git", "pack-refs", "--all"])
    git(["git", "reset", "-q", "--hard", "main"])
    return root


def _staged(models: int) -> dict[str, str]:
    """The files of the main branch: the declaration, and what each stage should run."""
    files = {"towpath.yaml": "name: many\n"}
    for model in range(models):
        for place, stage in enumerate(STAGES):
            made = a_record(f"model-{model}", 9 - place)
            said = {"model": made.model, "version": made.version, "sha256": made.sha256}
            text = "".join(f"{key}: {value}\n" for key, value in said.items())
            files[f"registry/stages/{stage}/{made.model}.yaml"] = text
    return files


def _versions(models: int, each: int, code: str) -> Iterator[bytes]:
    for number in range(models * each):
        made = a_record(f"model-{number % models}", number // models)
        made = replace(made, code=replace(made.code, commit=code))
        when, mark = BEGIN + timedelta(minutes=number), 2 + number
        files = {
            made.record_path: version_record.write_version_record(made),
            "dvc.yaml": "stages: {}\n",
            "dvc.lock": "a: 1\n",
        }
        name = f"{made.model}@{made.version}"
        yield _commit("refs/heads/scratch", mark, f"Register {name}", when, files, f"from {code}\n")
        message = tag_message.compose_tag_message(made).encode()
        head = f"tag {name}\nfrom :{mark}\ntagger {_signed(when)}\ndata {len(message) + 1}\n"
        yield head.encode() + message + b"\n\n"


def _commit(
    ref: str, mark: int, message: str, when: datetime, files: dict[str, str], base: str = ""
) -> bytes:
    head = f"commit {ref}\nmark :{mark}\ncommitter {_signed(when)}\n{data(message)}{base}"
    body = "".join(f"M 100644 inline {path}\n{data(text)}" for path, text in files.items())
    return f"{head}{body}\n".encode()


def data(text: str) -> str:
    """Text as fast-import takes it."""
    return f"data {len(text.encode())}\n{text}\n"


def _signed(when: datetime) -> str:
    return f"Ada Lovelace <ada@example.org> {when:%s} +0000"


def content(model: str, number: int) -> bytes:
    """The bytes of a version."""
    return f"{model} {number}".encode()


def a_record(model: str, number: int) -> VersionRecord:
    """A version with three metrics, five parameters and a signature of eight columns."""
    held = content(model, number)
    digest = hashlib.sha256(held).hexdigest()
    chance = random.Random(digest)
    return VersionRecord(
        model=model,
        key=digest,
        version=VersionNumber(1, number, 0),
        bump=RecordedBump("minor", "parameter learning_rate 0.1 -> 0.05"),
        artifact=Artifact(hashlib.md5(held).hexdigest(), len(held), "model.bin"),
        path="artifacts/training/train/model.bin",
        sha256=digest,
        kind="bin",
        code=RecordedCode(digest[:40], digests={f"steps.step_{n}": digest[n:] for n in range(6)}),
        signature=ModelSignature(COLUMNS, (Column("rings", "number"),)),
        metrics={name: chance.uniform(4, 8) for name in ("mse", "mae", "r2")},
        parameters={"learning_rate": chance.random(), "depth": number % 7, "test_size": 0.2},
        run="20261122-144200-3fa1",
        pipeline="training",
        pipeline_digest=digest,
        data={"raw": digest[:32]},
        packages={"pandas": "3.1.1", "scikit-learn": "1.8.0", "skops": "0.16.0"},
        python="3.11",
        author="Ada Lovelace <ada@example.org>",
        time=f"{BEGIN + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}",
        labels={"team": ("risk", "claims", "pricing")[number % 3]},
    )
