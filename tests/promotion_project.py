"""A project on a machine: its policy on main, versions in its registry, two people."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from towpath import registry
from towpath.backends.git import Repository, main_branch
from towpath.config.artifact import Artifact
from towpath.delivery import promotion
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.promotion_approval import PromotionApproval
from towpath.forge import Forge
from towpath.registry import (
    Column,
    ModelSignature,
    Promotion,
    RecordedCode,
    RegisteredVersion,
    Registration,
    VersionRecord,
)
from towpath.workspace import Workspace

POLICY = """\
name: abalone
stages:
  dev:
    gates:
      good_enough: {kind: metric, metric: mse, at_most: 6.0}
  uat: {}
  prod:
    store: s3://models-prod/abalone
    gates:
      no_worse: {kind: no_worse, metric: mse, better: lower, relative: 5%}
      fair: {kind: fairness, data: d.csv, target: rings, group: sex, metric: mae, ratio: 1.25}
"""
PEOPLE = {"ada": "Ada Lovelace <ada@example.org>", "bo": "Bo Diddley <bo@example.org>"}


def judge_promotion(
    repository: Repository, decided: Promotion, forge: Forge | None = None
) -> PromotionApproval:
    """How a promotion on main was approved, by the one rule."""
    head = main_branch.main_commit(repository)
    assert head
    return ApprovalRule(repository, head, "", forge).judge(decided).approval


@dataclass(frozen=True)
class Project:
    """A clone of a project, in one person's hands."""

    root: Path
    who: str = "ada"

    def git(self, *words: str, ok: bool = True) -> str:
        """Stock Git here; its answer."""
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True)
        assert not ok or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def be(self, who: str) -> Project:
        """The same folder in another's hands."""
        name, _, mail = PEOPLE[who].partition(" <")
        self.git("config", "user.name", name)
        self.git("config", "user.email", mail.rstrip(">"))
        return dataclasses.replace(self, who=who)

    def write(self, path: str, text: str | None) -> None:
        """Write a file, or delete it."""
        file = self.root / path
        if text is None:
            file.unlink()
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        """Commit files by path on the branch that is checked out; the commit."""
        for path, text in files.items():
            self.write(path, text)
        self.git("add", "-A", *files)
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def on_branch(self, branch: str, files: dict[str, str | None]) -> str:
        """A branch that changes files, made from where one is; main is checked out again."""
        self.git("checkout", "-q", *(["-b"] if not self.has(branch) else []), branch)
        head = self.commit(files)
        self.git("checkout", "-q", "main")
        return head

    def has(self, branch: str) -> bool:
        """Whether there is a branch."""
        return bool(self.git("branch", "--list", branch))

    def show(self, name: str) -> str:
        """A file of a commit."""
        return self.git("show", name)

    @property
    def workspace(self) -> Workspace:
        """A fresh look at it."""
        return Workspace(self.root)

    @property
    def repository(self) -> Repository:
        """Its repository."""
        return Repository.open(self.root)

    def register(self, key: str = "first", **facts: Any) -> RegisteredVersion:
        """A version, told apart by ``key``."""
        request = Registration(draft(key, **facts), self.git("rev-parse", "main"), {})
        return registry.register_version(self.repository, request)

    def promote(self, reference: str, stage: str, by: str = "bo") -> promotion.ApprovedPromotion:
        """Promote and let another approve."""
        made = promotion.propose_promotion(self.workspace, reference, stage)
        self.be(by)
        done = promotion.approve_promotion(self.workspace, made.branch)
        self.be(self.who)
        return done


def draft(key: str = "first", **facts: Any) -> VersionRecord:
    """What a pipeline would register."""
    whole = VersionRecord(
        model="abalone",
        key=hashlib.sha256(key.encode()).hexdigest(),
        artifact=Artifact(hashlib.md5(key.encode()).hexdigest(), 1234, "model.skops"),
        path="artifacts/training/train/model.skops",
        sha256=hashlib.sha256(key.encode()).hexdigest(),
        kind="skops",
        code=RecordedCode("c0ffee" * 6 + "c0ff", digests={"steps.train": "d1" * 16}),
        signature=ModelSignature((Column("height", "number"),), (Column("rings", "number"),)),
        metrics={"mse": 4.5, "mae": 1.5},
        parameters={"learning_rate": 0.1},
        run="20261122-144200-3fa1",
        pipeline="training",
        pipeline_digest="p1",
        data={"raw": "0a" * 16},
        packages={"pandas": "3.1.1"},
        python="3.11",
        author=PEOPLE["ada"],
        time="2026-11-22T14:42:00Z",
        description="Predicts the age of abalone.",
    )
    return replace(whole, **facts)


def begin(root: Path, policy: str = POLICY) -> Project:
    """A project with its policy on main, in Ada's hands, without a remote."""
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    made = Project(root).be("ada")
    made.commit({"towpath.yaml": policy, "steps.py": "first = 1\n"}, "A project")
    return made
