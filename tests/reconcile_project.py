"""Helpers of these tests: a project, versions with bytes, promotions by hand, and reconcile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from towpath import registry
from towpath.backends.dvc import Store, initialise_store
from towpath.backends.git import Repository
from towpath.config.artifact import Artifact
from towpath.delivery import reconcile
from towpath.delivery.reconcile import AppliedPlan, ReconcileOptions, StagePlan
from towpath.delivery.reconcile.deployment_record import DeploymentRecord, read_stored_record
from towpath.registry import Column, ModelSignature, RecordedCode, Registration, VersionRecord
from towpath.registry.stage_files import StageFile
from towpath.storage.stage_store import StageStore
from towpath.workspace import Workspace

IDENTITY = {
    "GIT_AUTHOR_NAME": "Bob Reviewer",
    "GIT_AUTHOR_EMAIL": "bob@example.org",
    "GIT_COMMITTER_NAME": "Bob Reviewer",
    "GIT_COMMITTER_EMAIL": "bob@example.org",
}
APPROVED = "Approved-by: Bob Reviewer <bob@example.org>\nApproval: recorded\n"


def read_deployment(store: StageStore, model: str) -> DeploymentRecord | None:
    """What a stage runs of a model by its own record; None where it runs none."""
    record = read_stored_record(store, model).record
    return record if record and record.version else None


@dataclass(frozen=True)
class Project:
    """A project in a Git repository, and what a person does in it."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def git(self, *words: str, **env: str) -> str:
        """What stock Git answers."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={**os.environ, **env},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tool(self, name: str, *words: str) -> str:
        """What stock GTO or DVC answers."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name(name)), *words],
            cwd=self.root,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def workspace(self) -> Workspace:
        """A workspace as a new process would have it."""
        return Workspace(self.root)

    @property
    def repository(self) -> Repository:
        """The repository."""
        return Repository.open(self.root)

    def store(self, stage: str) -> StageStore:
        """A stage's store, with its own credentials."""
        found = self.workspace.project
        return StageStore.open(found, stage, {**os.environ, **self.environ}, self.root)

    def write(self, name: str, content: str | bytes) -> Path:
        """A file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, message: str = "work", **env: str) -> str:
        """Everything committed on the branch that is checked out."""
        self.git("add", "-A", ":/")
        self.git("commit", "-qm", message, **env)
        return self.git("rev-parse", "HEAD")

    def register(
        self, content: bytes | Mapping[str, bytes], model: str = "abalone", **facts: Any
    ) -> str:
        """A version of a model with these bytes (a mapping: of a folder); its number."""
        name = facts.pop("name", "model.bin")
        path = self.root / "artifacts" / model / name
        artifact, sha256 = _stored(Store(self.root), path, content)
        key = hashlib.sha256(f"{model}{artifact.digest}{facts}".encode()).hexdigest()
        relative = path.resolve().relative_to(self.repository.root).as_posix()
        record = VersionRecord(
            model=model,
            key=key,
            artifact=artifact,
            path=relative,
            sha256=sha256,
            kind=facts.pop("kind", "bin"),
            code=RecordedCode(self.git("rev-parse", "HEAD")),
            signature=facts.pop(
                "signature", ModelSignature((Column("x", "number"),), (Column("y", "number"),))
            ),
            **facts,
        )
        said = f"artifacts:\n  {model}:\n    path: {relative}\n    type: model\n"
        made = "  make:\n    cmd: make\n    outs:\n"
        lock = f"schema: '2.0'\nstages:\n{made}    - {_out(relative, artifact)}\n"
        stage = f"stages:\n{made}    - {relative}\n"
        files = {"dvc.yaml": (stage + said).encode(), "dvc.lock": lock.encode()}
        base = self.git("rev-parse", "HEAD")
        done = registry.register_version(self.repository, Registration(record, base, files))
        if self.git("remote"):  # where there is one, a number is given on publishing
            self.git("push", "-q", "origin", "main")
            done = registry.publish_registry(self.repository)[0]
        return str(done.version)

    def record(self, version: str, model: str = "abalone") -> VersionRecord:
        """A version's record."""
        return registry.get_version(self.repository, f"{model}@{version}").record

    def promote(
        self,
        version: str | None,
        stage: str,
        model: str = "abalone",
        trailers: str = APPROVED,
        by: Mapping[str, str] = IDENTITY,
        extra: Mapping[str, str] | None = None,
        sha256: str | None = None,
    ) -> str:
        """Merge a promotion that Bob approved (None: the model leaves); the merge's commit."""
        place = f"registry/stages/{stage}/{model}.yaml"
        self.git("switch", "-qc", f"promote/{model}-{stage}")
        if version is None:
            (self.repository.root / place).unlink()
        else:
            Project(self.repository.root).write(place, self.stage_file(version, model, sha256))
        for name, content in (extra or {}).items():
            self.write(name, content)
        named = f"{model}@{version} -> {stage}" if version else f"{model} out of {stage}"
        self.git("add", "-A", f":/{place}", *(extra or {}))
        self.git("commit", "-qm", f"Promote {model}@{version} to {stage}\n\nPromotion: {named}")
        self.git("switch", "-q", "main")
        message = f"{model}@{version} enters {stage}\n\n{trailers}"
        branch = f"promote/{model}-{stage}"
        self.git("merge", "-q", "--no-ff", "-m", message, branch, **by)
        self.git("branch", "-qD", branch)
        return self.git("rev-parse", "HEAD")

    def stage_file(self, version: str, model: str = "abalone", sha256: str | None = None) -> str:
        """What a stage file says."""
        record = self.record(version, model)
        assert record.version
        digest = sha256 or record.sha256
        return f"model: {model}\nversion: {version}\nsha256: {digest}\n"

    def plan(self, stage: str, **more: Any) -> StagePlan:
        """What reconcile would do."""
        return reconcile.plan_stage(self.workspace, stage, self.options(**more))

    def apply(self, stage: str, **more: Any) -> AppliedPlan:
        """What reconcile did."""
        return reconcile.reconcile_stage(self.workspace, stage, self.options(**more))

    def options(self, **more: Any) -> ReconcileOptions:
        """How reconcile is called here: with the credentials of this project's own."""
        return ReconcileOptions(environ={**os.environ, **self.environ}, patience=0.0, **more)

    def up_to(self, stage: str, version: str, model: str = "abalone") -> None:
        """Promote a version and reconcile, rung by rung, below and up to a stage."""
        names = list(self.workspace.project.stages)
        for name in names[: names.index(stage) + 1]:
            self.promote(version, name, model)
            applied = self.apply(name)
            assert applied.exit_code == 0, applied.outcomes

    def said(self, stage: str, **more: Any) -> dict[str, str]:
        """The plan's lines by model."""
        return {change.model: str(change) for change in self.plan(stage, **more).changes}


def initialised(root: Path, stages: str) -> Project:
    """A new project with these stages."""
    root.mkdir(parents=True)
    project = Project(root)
    project.git("init", "-q", "-b", "main")
    initialise_store(root)
    project.write("towpath.yaml", f"name: shells\nstages: {stages}\n")
    project.write(".gitignore", "/.towpath/\n/deploy/\n/artifacts/\n")
    project.commit("first")
    return project


def declare(project: Project, stages: str, more: str = "") -> None:
    """Change the stages, and commit."""
    project.write("towpath.yaml", f"name: shells\nstages: {stages}\n{more}")
    project.commit("policy")


def wanted(stage: str, model: str, version: registry.VersionNumber) -> StageFile:
    """A stage file as it is read."""
    return StageFile(stage, model, version, "ab" * 32)


def _stored(store: Store, path: Path, content: bytes | Mapping[str, bytes]) -> tuple[Artifact, str]:
    members = {"": content} if isinstance(content, bytes) else content
    for name, data in members.items():
        file = path / name if name else path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    if isinstance(content, bytes):
        return store.put(path), digests[""]
    lines = sorted(f"{digest}  {name}\n" for name, digest in digests.items())
    return store.put(path), hashlib.sha256("".join(lines).encode()).hexdigest()


def _out(path: str, artifact: Artifact) -> str:
    files = f", nfiles: {artifact.files}" if artifact.files else ""
    return f"{{path: {path}, hash: md5, md5: {artifact.digest}, size: {artifact.size}{files}}}"
