"""Projects with a bare origin, keys of persons, and what a person does there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconcile_project import Project, initialised
from towpath import registry
from towpath.delivery import promotion

__all__ = ["Keys", "Project", "demand", "origin_of", "signing_project"]

SIGNED_ONLY = """\
#!/bin/sh
# A forge's rule "require signed commits": each new commit of a branch carries a signature.
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
  case $ref in refs/heads/*) ;; *) continue;; esac
  [ "$new" = $zero ] && continue
  for commit in $(git rev-list "$new" --not --all); do
    git cat-file commit "$commit" | sed '/^$/q' | grep -q '^gpgsig' && continue
    echo "error: GH006: Commits must have verified signatures: $commit" >&2
    exit 1
  done
done
"""
POLICY = """\
name: shells
stages:
  dev: {{store: {stores}/dev}}
  uat: {{store: {stores}/uat}}
policy: {{approval: {level}, self_approval: true}}
"""


@dataclass(frozen=True)
class Keys:
    """SSH keys by name, and the allowed signers that they make."""

    folder: Path

    def make(self, name: str) -> Path:
        """A key without a passphrase; where its public half is."""
        private = self.folder / name
        self.folder.mkdir(exist_ok=True)
        if not private.exists():
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(private)]
            subprocess.run(words, check=True)
        return private.with_suffix(".pub")

    def allowed(self, **names: str) -> str:
        """`registry/allowed_signers`, by the key's name the person's."""
        lines = (
            f"{who} {self.make(key).read_text().rsplit(' ', 1)[0]}\n" for key, who in names.items()
        )
        return "".join(lines)


def demand(origin: Path, script: str = SIGNED_ONLY) -> None:
    """Give a bare repository a rule."""
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o755)


def origin_of(project: Project, folder: Path) -> Path:
    """A bare origin, with what the project has on main."""
    project.git("init", "-q", "--bare", "-b", "main", str(folder))
    project.git("remote", "add", "origin", str(folder))
    project.git("push", "-q", "origin", "main")
    return folder


def signing_project(folder: Path, keys: Keys, level: str = "signed") -> Project:
    """A project whose person signs all commits and tags with a key that main allows."""
    project = initialised(folder / "shells", "[dev]")
    project.git("config", "user.name", "Bo Diddley")
    project.git("config", "user.email", "bo@example.org")
    project.git("config", "gpg.format", "ssh")
    project.git("config", "user.signingkey", str(keys.make("bo")))
    project.git("config", "commit.gpgSign", "true")
    project.git("config", "tag.gpgSign", "true")
    project.write("towpath.yaml", POLICY.format(stores=folder, level=level))
    project.write("registry/allowed_signers", keys.allowed(bo="bo@example.org"))
    project.commit("rules")
    return project


def take(project: Project, version: str, stage: str) -> Callable[[], promotion.ApprovedPromotion]:
    """Promote a version and approve it, pushed; the call that approves."""
    made = promotion.propose_promotion(project.workspace, f"abalone@{version}", stage, push=True)
    return lambda: promotion.approve_promotion(project.workspace, made.branch, push=True)


def published(project: Project) -> tuple[registry.RegisteredVersion, ...]:
    """Publish what waits."""
    return registry.publish_registry(project.repository)
