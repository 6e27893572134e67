"""A project with a store, stock DVC beside it, and executions that made things."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_line import call_dvc
from towpath.backends.dvc import Store, byte_transfer, tracked_files
from towpath.backends.dvc.byte_transfer import MovedObjects
from towpath.config.artifact import Artifact, CacheEntry, Made


@dataclass(frozen=True)
class Project:
    """A Git repository with a store in it."""

    root: Path

    @property
    def store(self) -> Store:
        """A store as a new process would see it."""
        return Store(self.root)

    def write(self, name: str, content: str | bytes) -> Path:
        """A file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def dvc(self, *words: str, fails: bool = False) -> str:
        """What stock DVC answers."""
        done = call_dvc(self.root, *words)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout

    def git(self, *words: str) -> str:
        """What Git answers."""
        return subprocess.run(
            ["git", *words], cwd=self.root, capture_output=True, text=True, check=True
        ).stdout

    def remote(self, name: str, *, default: bool = True) -> Path:
        """A remote that is a folder beside the project."""
        folder = self.root.parent / f"remote {name}"
        config = self.root / ".dvc" / "config"
        text = config.read_text()
        if default:
            text = text.replace("[core]\n", f"[core]\n    remote = {name}\n", 1)
        config.write_text(f"{text}['remote \"{name}\"']\n    url = {folder}\n")
        return folder


def pull(root: Path, *words: Any, **more: Any) -> MovedObjects:
    """What `towpath pull` does with the store's part."""
    try:
        return byte_transfer.fetch_objects(root, *words, **more)
    finally:
        tracked_files.place_tracked_data(root)


def entry_of(
    key: str, *outputs: Artifact, writer: str = "local", step: str = "prepare"
) -> CacheEntry:
    """An execution that made these."""
    return CacheEntry(
        key=key,
        pipeline="training",
        step=step,
        made_by="ada",
        made="2026-11-22T14:42:00Z",
        seconds=1.5,
        writer=writer,
        ingredients={"parameter test_size": "0.2"},
        result=Made({artifact.name: artifact for artifact in outputs}, {"metrics": {"mse": 4.5}}),
    )
