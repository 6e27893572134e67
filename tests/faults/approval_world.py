"""A project whose prod asks for signatures: two signers, an origin, and Mallory, who may push."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from promotion_project import draft
from towpath import registry
from towpath.audit.verification import verify_registry
from towpath.backends.dvc import Store, initialise_store
from towpath.backends.git import Repository
from towpath.delivery import promotion, reconcile
from towpath.delivery.promotion.main_line_approvals import ApprovalJudgement, ApprovalRule
from towpath.registry import RecordedCode, Registration
from towpath.workspace import Workspace

POLICY = """\
name: abalone
stages:
  dev: {approval: recorded}
  prod: {approval: signed}
policy: {ladder: false}
"""
LOWERED = POLICY.replace("prod: {approval: signed}", "prod: {approval: recorded}")
STAGE_FILE = "registry/stages/prod/abalone.yaml"
SIGNERS = "registry/allowed_signers"
PEOPLE = ("ada", "bo", "cleo", "mallory")


@dataclass(frozen=True)
class Clone:
    """One person's clone, with a key of their own."""

    root: Path
    keys: Path

    def git(self, *words: str, ok: bool = True, at: str | None = None) -> str:
        """Stock Git, as a person types it."""
        dates = {"GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at} if at else {}
        done = subprocess.run(
            ["git", *words], cwd=self.root, capture_output=True, text=True,
            env={**os.environ, **dates},
        )  # fmt: skip
        assert not ok or done.returncode == 0, done.stderr + done.stdout
        return done.stdout.strip()

    def be(self, who: str, key: str | None = None) -> Clone:
        """Another takes the keyboard, with their key."""
        name, mail, sign = who.capitalize(), f"{who}@example.org", self.keys / f"{key or who}.pub"
        # Tests change hands a thousand times, and `git config` writes one setting at a time.
        (self.root / ".git" / "person").write_text(
            f'[user]\n\tname = {name}\n\temail = {mail}\n\tsigningkey = "{sign}"\n'
            "[gpg]\n\tformat = ssh\n"
        )
        if "path = person" not in (self.root / ".git" / "config").read_text():
            self.git("config", "include.path", "person")
        return self

    def line(self, who: str) -> str:
        """The line of somebody in allowed_signers."""
        kind, key, *_ = (self.keys / f"{who}.pub").read_text().split(" ")
        return f"{who}@example.org {kind} {key}\n"

    def write(self, path: str, text: str) -> None:
        """A file of the work tree."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, message: str, *flags: str, at: str | None = None) -> str:
        """All of the work tree committed; the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", *flags, "-m", message, at=at)
        return self.git("rev-parse", "HEAD")

    def head(self, name: str = "main") -> str:
        """A commit by name."""
        return self.git("rev-parse", name)

    @property
    def workspace(self) -> Workspace:
        """A fresh look at it."""
        return Workspace(self.root)

    @property
    def rule(self) -> ApprovalRule:
        """The rule of approval of main as it is here."""
        return ApprovalRule(Repository.open(self.root), self.head())

    def judged(self, stage: str = "prod") -> ApprovalJudgement:
        """How the newest promotion to a stage was approved."""
        mine = [one for one in self.rule.log if one.stage == stage]
        return self.rule.judge(mine[-1])

    def promote(self, version: str, stage: str = "prod") -> str:
        """Ada's promotion, signed; its branch."""
        self.be("ada")
        return promotion.propose_promotion(self.workspace, version, stage).branch

    def approve(
        self, branch: str, who: str = "bo", push: bool = False
    ) -> promotion.ApprovedPromotion:
        """Approved by a signer."""
        self.be(who)
        return promotion.approve_promotion(self.workspace, branch, push=push)

    def reconcile(self, stage: str = "prod", **options: bool) -> int:
        """The stage becomes what main says; the exit code."""
        wanted = reconcile.ReconcileOptions(**options)  # type: ignore[arg-type]
        return int(reconcile.reconcile_stage(self.workspace, stage, wanted).exit_code)

    def findings(self) -> list[str]:
        """What an audit finds, in words."""
        return [one.fault.what for one in verify_registry(self.workspace).findings]


def make_keys(folder: Path) -> Path:
    """A key for each of the people."""
    folder.mkdir()
    for who in PEOPLE:
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", folder / who]
        subprocess.run(words, check=True)
    return folder


def begin(root: Path, keys: Path, signers: tuple[str, ...] = ("ada", "bo")) -> Clone:
    """A project on main that says who may sign, pushed to an origin, with two versions."""
    origin = root.parent / f"{root.name}.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
    subprocess.run(["git", "clone", "-q", str(origin), str(root)], check=True, capture_output=True)
    made = Clone(root, keys).be("ada")
    made.git("symbolic-ref", "HEAD", "refs/heads/main")
    initialise_store(root)
    made.write("towpath.yaml", POLICY)
    made.write(".gitignore", "/.towpath/\n/artifacts/\n")
    made.write(SIGNERS, "".join(made.line(who) for who in signers))
    made.commit("A project")
    for content in (b"one", b"two"):
        register(made, content)
    made.git("push", "-q", "-u", "origin", "main")
    registry.publish_registry(Repository.open(root))
    return made


def register(made: Clone, content: bytes) -> str:
    """A version with these bytes in the project's store; its name."""
    path = "artifacts/training/train/model.bin"
    made.write(path, content.decode())
    record = draft(
        key=content.hex(),
        artifact=Store(made.root).put(made.root / path),
        sha256=hashlib.sha256(content).hexdigest(),
        path=path,
        kind="bin",
        code=RecordedCode(made.head("HEAD")),
        parameters={"content": content.decode()},
    )
    record = replace(record, key=hashlib.sha256(content).hexdigest())
    files = {"dvc.yaml": b"stages: {}\n", "dvc.lock": b"schema: '2.0'\n"}
    request = Registration(record, made.head("HEAD"), files)
    return str(registry.register_version(Repository.open(made.root), request))


def copy(world: Path, folder: Path) -> Clone:
    """A world of keys, origin and Ada's clone once more, in the same hands."""
    shutil.copytree(world, folder, symlinks=True)
    made = Clone(folder / "abalone", folder / "keys")
    made.git("remote", "set-url", "origin", str(folder / "abalone.git"))
    return made


def clone(made: Clone, name: str, who: str) -> Clone:
    """Another's clone of the origin, with all tags, that shares the stages' stores."""
    root = made.root.parent / name
    origin = made.root.parent / f"{made.root.name}.git"
    subprocess.run(["git", "clone", "-q", str(origin), str(root)], check=True)
    (root / ".towpath").symlink_to(made.root / ".towpath")
    return Clone(root, made.keys).be(who)
