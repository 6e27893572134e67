"""A repository whose policy judges, a model that is good and one that is not, and stage data."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from msgspec import structs
from sklearn.linear_model import LinearRegression

from own_home import IDENTITY, MAIN, move_in
from towpath.backends.git import Repository
from towpath.config.artifact import Artifact
from towpath.delivery.gates import GateContext, GateVerdict
from towpath.delivery.gates.judge_gates import judge_stage_gates
from towpath.errors import StoreError
from towpath.registry import (
    Column,
    ModelSignature,
    RecordedCode,
    VersionNumber,
    VersionRecord,
    policy_at_commit,
)
from towpath.steps.model_io import skops_models

NOW = 1_790_000_000


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose owner Git knows; nothing of the machine's settings reaches a test."""
    return move_in(tmp_path / "home", IDENTITY + MAIN, monkeypatch)


@pytest.fixture(scope="session")
def table() -> pandas.DataFrame:
    """Two columns, what is true of them, and a group in which it is harder to say."""
    random = numpy.random.default_rng(0)
    frame = pandas.DataFrame(random.random((300, 2)), columns=["a", "b"])
    frame["sex"] = numpy.where(frame.a > 0.7, "I", numpy.where(frame.b > 0.5, "F", "M"))
    noise = random.normal(size=300) * numpy.where(frame.sex == "I", 0.4, 0.1)
    return frame.assign(rings=3 * frame.a + frame.b + noise)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that gives 3 a + b."""
    frame = pandas.DataFrame({"a": [0.0, 1, 0, 1], "b": [0.0, 0, 1, 1]})
    path = tmp_path_factory.mktemp("model") / "model.skops"
    skops_models.dump_model(LinearRegression().fit(frame, 3 * frame.a + frame.b), path)
    return path


def recorded(path: Path, **facts: Any) -> VersionRecord:
    """A version whose bytes are a file's."""
    content = path.read_bytes()
    whole = VersionRecord(
        model="abalone",
        key="ab" * 32,
        artifact=Artifact(hashlib.md5(content).hexdigest(), len(content), path.name),
        path=f"artifacts/training/train/{path.name}",
        sha256=hashlib.sha256(content).hexdigest(),
        kind=path.suffix[1:],
        code=RecordedCode("c0ffee" * 6 + "c0ff"),
        signature=ModelSignature((Column("a", "number"), Column("b", "number")), None),
        metrics={"mse": 4.5, "by_sex": {"F": 4.0}},
        version=VersionNumber(1, 1, 0),
    )
    return structs.replace(whole, **facts)


@dataclass
class Desk:
    """Where versions are judged: commit files, then judge by the gates that the last commit has."""

    root: Path
    model: Path
    data: Path
    base: str = ""

    def record(self, path: Path | None = None, **facts: Any) -> VersionRecord:
        """A version whose bytes are a file's, by default the model's."""
        return recorded(path or self.model, **facts)

    def commit(
        self, gates: str, files: Mapping[str, str] | None = None, stage: str = "prod"
    ) -> str:
        """Commit a policy, and other files; the commit that judges from now on."""
        lines = "".join(f"      {line}\n" for line in gates.strip().splitlines())
        said = f"name: abalone\nstages:\n  uat:\n  {stage}:\n    gates:\n{lines}"
        for path, content in {"towpath.yaml": said, **(files or {})}.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(content)
        self.git("add", ".")
        self.git("commit", "--allow-empty", "-qm", "policy")
        self.base = self.git("rev-parse", "HEAD")
        return self.base

    def git(self, *words: str) -> str:
        """Stock Git, as a person types it."""
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def context(self, **facts: Any) -> GateContext:
        """What a version is judged by; ``facts`` change some of it."""
        repository = Repository.open(self.root)
        candidate = facts.pop("candidate", None) or recorded(self.model)
        whole = GateContext(
            stage="prod",
            candidate=candidate,
            incumbent=None,
            repository=repository,
            base=self.base,
            project=policy_at_commit.read_project_at(repository, self.base),
            below=None,
            model=self._bytes,
            data=self._data,
            now=NOW,
            scratch=self.root.parent / "scratch",
            stage_available=True,
        )
        return structs.replace(whole, **facts)

    def _bytes(self, record: VersionRecord) -> Path:
        beside = self.root.parent / record.artifact.name
        return beside if beside.exists() else self.model

    def _data(self, name: str) -> Path:
        if not (self.data / name).exists():
            raise StoreError(f"prod has no data {name}", hint="put it there")
        return self.data / name

    def judge(self, when: Any = "review", **facts: Any) -> tuple[GateVerdict, ...]:
        """The verdicts of the gates of that time."""
        return judge_stage_gates(self.context(**facts), when)

    def one(self, gate: str, files: Mapping[str, str] | None = None, **facts: Any) -> GateVerdict:
        """The verdict of a single gate, whenever it is judged."""
        self.commit(f"g: {gate}", files)
        found = (*self.judge("review", **facts), *self.judge("deploy", **facts))
        assert len(found) == 1
        return found[0]


@pytest.fixture
def desk(tmp_path: Path, model_file: Path, table: pandas.DataFrame) -> Desk:
    """A repository, and a stage with data."""
    root, data = tmp_path / "project", tmp_path / "data"
    root.mkdir()
    data.mkdir()
    table.to_parquet(data / "holdout.parquet")
    found = Desk(root, model_file, data)
    found.git("init", "-q")
    return found
