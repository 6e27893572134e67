"""What a server remembers of a registry is what the registry is, at once after each change."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from running import Project
from towpath.audit.stage_history import open_stage_histories, read_stage_history
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.registry_memory import RegistryMemory


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


@pytest.mark.parametrize("form", ["files", "reftable"])
def test_a_change_is_seen_at_once_and_nothing_is_read_twice(tmp_path: Path, form: str) -> None:
    (tmp_path / "towpath.yaml").write_text("name: small\n")
    words = [] if form == "files" else [f"--ref-format={form}"]
    begun = subprocess.run(
        ["git", "init", "-q", "-b", "main", *words], cwd=tmp_path, check=False, capture_output=True
    )
    if begun.returncode:
        pytest.skip("this Git knows no other form of refs")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    memory = RegistryMemory()
    for number in range(12):
        git(tmp_path, "tag", "-a", "-m", "made by hand", f"m@v1.{number}.0")
        if number % 5 == 4:
            git(tmp_path, "pack-refs", "--all")
        seen = ProjectFacts(tmp_path, memory=memory).models["m"].versions
        assert [str(version) for version in seen][-1] == f"m@v1.{number}.0"
    time.sleep(0.15)
    kept = [ProjectFacts(tmp_path, memory=memory).models for _ in range(2)]
    assert kept[0] is kept[1]
    git(tmp_path, "tag", "-d", "m@v1.11.0")
    assert len(ProjectFacts(tmp_path, memory=memory).models["m"].versions) == 11


def test_histories_of_all_models_are_those_of_each(shown: Project) -> None:
    every = open_stage_histories(shown.workspace)
    alone = read_stage_history(shown.workspace, "mean", forge=False)
    assert alone
    assert every.judge_model("mean") == alone == every.judge_moves(every.list_moves())
