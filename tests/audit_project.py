"""A project with a past: versions of real bytes, promoted, approved, deployed, taken back."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promotion_project import PEOPLE, draft
from towpath import registry
from towpath.audit.verification import VerificationReport, verify_registry
from towpath.backends.dvc import Store, initialise_store
from towpath.backends.git import Repository
from towpath.delivery import promotion, reconcile
from towpath.registry import RecordedCode, Registration
from towpath.workspace import Workspace

POLICY = """\
name: abalone
stages:
  dev:
  uat: {description: what is accepted}
  prod: {deploy: {to: files, path: deploy/prod}}
"""
OTHER: dict[str, Any] = {"parameters": {"learning_rate": 0.05}, "labels": {"team": "risk"}}
PATH = "artifacts/training/train/model.bin"


@dataclass(frozen=True)
class Project:
    """A project on disk, and what people do in it."""

    root: Path

    def git(self, *words: str, at: str | None = None, ok: bool = True) -> str:
        """Stock Git, as a person types it (``at``: with this date on its clock); its answer."""
        dates = {"GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at} if at else {}
        done = subprocess.run(
            ["git", *words], cwd=self.root, capture_output=True, text=True,
            env={**os.environ, **dates},
        )  # fmt: skip
        assert not ok or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def be(self, who: str) -> None:
        """Another takes the keyboard."""
        name, _, mail = PEOPLE[who].partition(" <")
        self.git("config", "user.name", name)
        self.git("config", "user.email", mail.rstrip(">"))

    def write(self, path: str, text: str) -> None:
        """A file of the work tree."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read(self, path: str) -> str:
        """A file of the work tree."""
        return (self.root / path).read_text(encoding="utf-8")

    def commit(self, message: str = "change", at: str | None = None) -> str:
        """All of the work tree, committed; the commit."""
        self.git("add", "-A")
        self.git("commit", "-qm", message, at=at)
        return self.git("rev-parse", "HEAD")

    @property
    def workspace(self) -> Workspace:
        """A fresh look at it."""
        return Workspace(self.root)

    @property
    def repository(self) -> Repository:
        """Its repository."""
        return Repository.open(self.root)

    def register(
        self, content: bytes, model: str = "abalone", path: str = PATH, **facts: Any
    ) -> str:
        """A version with these bytes in the project's store; its name."""
        file = self.root / PATH
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        head = self.git("rev-parse", "HEAD")
        record = draft(
            model=model,
            key=hashlib.sha256(f"{model}{content!r}".encode()).hexdigest(),
            artifact=Store(self.root).put(file),
            sha256=hashlib.sha256(content).hexdigest(),
            path=path,
            kind="bin",
            code=RecordedCode(head),
            **facts,
        )
        files = {"dvc.yaml": b"stages: {}\n", "dvc.lock": b"schema: '2.0'\n"}
        return str(registry.register_version(self.repository, Registration(record, head, files)))

    def move(self, proposed: promotion.ProposedPromotion) -> promotion.ApprovedPromotion:
        """What Ada proposed is approved by Bo."""
        self.be("bo")
        done = promotion.approve_promotion(self.workspace, proposed.branch)
        self.be("ada")
        return done

    def promote(self, version: str, *stages: str) -> None:
        """A version enters stages: proposed, approved, deployed."""
        for stage in stages:
            self.move(promotion.propose_promotion(self.workspace, version, stage))
            self.reconcile(stage)

    def reconcile(self, stage: str) -> None:
        """A stage becomes what main says."""
        applied = reconcile.reconcile_stage(self.workspace, stage)
        assert applied.exit_code == 0, applied.outcomes

    def verify(self, *words: str, **options: Any) -> VerificationReport:
        """What an audit finds now."""
        return verify_registry(self.workspace, *words, **options)

    def found(self, **options: Any) -> list[tuple[str, str]]:
        """The findings, short: the check and the words."""
        return [(one.check, one.fault.what) for one in self.verify(**options).findings]


def begin(root: Path, policy: str = POLICY) -> Project:
    """A project with its policy on main, in Ada's hands, without a remote."""
    root.mkdir(parents=True)
    made = Project(root)
    made.git("init", "-q", "-b", "main")
    made.be("ada")
    initialise_store(root)
    made.write("towpath.yaml", policy)
    made.write(".gitignore", "/.towpath/\n/deploy/\n/artifacts/\n")
    made.commit("A project")
    return made


def story(root: Path) -> Project:
    """Two models: one climbs to prod, is replaced there and comes back; one leaves dev again."""
    made = begin(root)
    first = made.register(b"one", metrics={"mse": 4.5})
    second = made.register(b"two", metrics={"mse": 4.25}, **OTHER)
    penguins = made.register(b"three", model="penguins", metrics={"accuracy": 0.98})
    made.promote(first, "dev", "uat", "prod")
    made.promote(penguins, "dev")
    made.promote(second, "dev", "uat", "prod")
    made.move(promotion.propose_rollback(made.workspace, "abalone", "prod"))
    made.reconcile("prod")
    made.move(promotion.propose_demotion(made.workspace, "penguins", "dev"))
    made.reconcile("dev")
    return made
