"""A person's home, real repositories in it, and models to register there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import git_fixtures
from git_fixtures import Git
from towpath import registry
from towpath.backends.git import Repository
from towpath.config.artifact import Artifact
from towpath.registry import (
    Column,
    ModelSignature,
    RecordedCode,
    RegisteredVersion,
    Registration,
    VersionRecord,
)

Draft = Callable[..., VersionRecord]
Register = Callable[..., RegisteredVersion]


home, git, repository = git_fixtures.home, git_fixtures.git, git_fixtures.repository


@pytest.fixture
def gto() -> Git:
    """Stock GTO in a folder; its answer."""

    def run(folder: Path, *words: str) -> str:
        call = [str(Path(sys.executable).with_name("gto")), *words]
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def origin(tmp_path: Path, git: Git, repository: Repository) -> Path:
    """A bare repository that holds what ``repository`` does."""
    folder = tmp_path / "origin.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository.root), str(folder))
    return folder


@pytest.fixture
def clone(tmp_path: Path, git: Git, origin: Path) -> Callable[..., Repository]:
    """Clones of ``origin``, by name."""

    def make(name: str, *flags: str) -> Repository:
        git(tmp_path, "clone", "-q", *flags, f"file://{origin}", name)
        return Repository.open(tmp_path / name)

    return make


@pytest.fixture
def draft() -> Draft:
    """What a pipeline would register: told apart by ``key``, changed by the facts given."""

    def make(key: str = "first", **facts: Any) -> VersionRecord:
        whole = VersionRecord(
            model="abalone",
            key=hashlib.sha256(key.encode()).hexdigest(),
            artifact=Artifact("5f" * 16, 1234, "model.skops"),
            path="artifacts/training/train/model.skops",
            sha256="ab" * 32,
            kind="skops",
            code=RecordedCode("c0ffee" * 6 + "c0ff", digests={"steps.train": "d1"}),
            signature=ModelSignature((Column("height", "number"),), (Column("rings", "number"),)),
            metrics={"mse": 4.5, "by": {"f1-score": 0.5}},
            parameters={"learning_rate": 0.1},
            run="20261122-144200-3fa1",
            pipeline="training",
            pipeline_digest="p1",
            data={"raw": "0a" * 16},
            packages={"pandas": "3.1.1"},
            python="3.11",
            author="Ada Lovelace <ada@example.org>",
            time="2026-11-22T14:42:00Z",
            description="Predicts an age,\nfrom two lines.",
            labels={"team": "shellfish"},
        )
        return replace(whole, **facts)

    return make


@pytest.fixture
def register(draft: Draft) -> Register:
    """Register in a repository what ``draft`` makes, with a dvc.yaml beside it."""

    def call(repository: Repository, key: str = "first", **facts: Any) -> RegisteredVersion:
        request = Registration(
            draft(key, **facts), repository.head() or "", {"dvc.yaml": b"a: 1\n"}
        )
        return registry.register_version(repository, request)

    return call
