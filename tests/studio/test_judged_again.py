"""What is shown of a decision after the registry changed is what is so now."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from promotion_project import Project
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.registry_memory import RegistryMemory

POLICY = "name: small\nstages: {dev: {}, prod: {}}\npolicy: {self_approval: true}\n"
PLACE = "registry/stages/dev/m.yaml"
FILE = "model: m\nversion: v1.0.0\nsha256: '" + "0" * 64 + "'\n"
MESSAGE = "Let in\n\nPromotion: m@v1.0.0 -> dev\nApproval: recorded\n"


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A project in which Ada let in what she proposed, as everybody may."""
    project = Project(tmp_path)
    project.git("init", "-q", "-b", "main")
    project.be("ada").commit({"towpath.yaml": POLICY}, "first")
    project.git("tag", "-a", "-m", "made by hand", "m@v1.0.0")
    project.on_branch("promoted", {PLACE: FILE})
    project.git("merge", "-q", "--no-ff", "-m", MESSAGE, "promoted")
    return project


def show(project: Project, memory: RegistryMemory) -> list[tuple[str | None, ...]]:
    """Each decision as a server shows it that saw the registry before, held against what one sees
    that knows nothing: version, level, since when it runs, what it took back."""
    seen = []
    for kept in (memory, memory, memory, None):
        facts = ProjectFacts(project.root, memory=kept)
        entries = facts.judge_decisions([*facts.decisions.values()])
        standings = facts.read_standings("dev", "prod")
        seen.append((entries, standings, facts.model_history("m")))
        if len(seen) == 1:  # a state that is younger is not remembered
            time.sleep(0.12)
    assert seen[0] == seen[1] == seen[2] == seen[3]
    return [
        (entry.version, entry.approval.level, entry.entered and "runs", entry.reverts)
        for entry in seen[0][0]
    ]


def test_a_decision_is_judged_by_what_is_so_now(small: Project) -> None:
    memory, merge = RegistryMemory(), small.git("rev-parse", "HEAD")
    assert show(small, memory) == [("v1.0.0", "recorded", None, None)]
    tag = f"m@v1.0.0 enters dev\n\nPromotion: {merge}\nApproval: forge\nApproved-by: Cleo\n"
    small.git("tag", "-a", "-m", tag, "m#dev#2", "m@v1.0.0^{commit}")
    assert show(small, memory) == [("v1.0.0", "recorded", "runs", None)]
    stricter = small.commit({"towpath.yaml": POLICY.replace("true", "false")}, "Ask another")
    assert show(small, memory) == [("v1.0.0", "none", "runs", None)]
    small.git("reset", "-q", "--hard", merge)
    assert show(small, memory) == [("v1.0.0", "recorded", "runs", None)]
    small.git("reset", "-q", "--hard", "main~1")
    assert show(small, memory) == []
    # The same promotion on another line of main, upon stricter rules.
    small.git("cherry-pick", stricter)
    small.git("merge", "-q", "--no-ff", "-m", MESSAGE, "promoted")
    assert show(small, memory) == [("v1.0.0", "none", None, None)]
    small.git("tag", "-d", "m#dev#2")
    assert show(small, memory) == [("v1.0.0", "none", None, None)]


def test_a_revert_is_seen_and_what_it_took_back(small: Project) -> None:
    memory = RegistryMemory()
    show(small, memory)
    small.git("revert", "--no-edit", "-m", "1", "HEAD")
    assert show(small, memory) == [
        (None, "none", None, "m@v1.0.0 -> dev"),
        ("v1.0.0", "recorded", None, None),
    ]
    # Main with another parent first: what it decided is beside its line now.
    before = small.git("rev-parse", "HEAD")
    small.git("checkout", "-q", "-b", "aside", "main~2")
    small.commit({"notes.md": "x"})
    small.git("merge", "-q", "--no-ff", "-m", "Take main along", "main")
    small.git("branch", "-f", "main", "aside")
    assert [version for version, *_ in show(small, memory)] == []
    small.git("branch", "-f", "main", before)
    assert len(show(small, memory)) == 2
