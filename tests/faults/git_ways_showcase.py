"""A repository that shows everything that Git is asked for, and what Towpath answers about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promotion_project import Project, begin, draft
from towpath import registry
from towpath.audit.stage_history import read_stage_history
from towpath.audit.verification import verify_registry
from towpath.backends.git import Repository, main_branch
from towpath.delivery import promotion
from towpath.delivery.promotion import promotion_check
from towpath.registry import Registration, registry_state, stage_tags
from towpath.workspace import Workspace

POLICY = """\
name: abalone
stages:
  dev:
  uat: {}
policy: {self_approval: true}
"""
WAITING = "promote/abalone-v1.1.0-dev"


def tell(root: Path) -> Project:
    """Two versions, one in two stages, one that waits for its approval, a code branch beside it,
    and a work tree that is not clean; names and messages are not ASCII."""
    made = begin(root, POLICY)
    made.git("config", "user.name", "Ada Löveläce")
    first = made.register("first", metrics={"mse": 4.5})
    head = made.commit({"steps.py": "second = 1\n"}, "Zweite Fassung, für später")
    registry.register_version(
        made.repository,
        Registration(draft("second", metrics={"mse": 4.25}, parameters={"rate": 0.05}), head, {}),
    )
    for stage in ("dev", "uat"):
        waits = promotion.propose_promotion(
            made.workspace, str(first), stage, why="es ist gut, schön"
        )
        promotion.approve_promotion(made.workspace, waits.branch)
        version = registry_state.read_model(made.repository, "abalone").versions[0]
        stage_tags.write_stage_tag(
            made.repository, version, stage, f"Deploy {version}\n\nApproval: recorded"
        )
    promotion.propose_promotion(made.workspace, "abalone@v1.1.0", "dev")
    made.on_branch("code", {"steps.py": "third = 1\n", "more.py": "moved = 1\n"})
    made.write("steps.py", "not_committed = 1\n")
    made.write("neu/ünbekannt.py", "new = 1\n")
    return made


def answers(root: Path) -> dict[str, Any]:
    """What every reading command of Towpath would print, before it is printed."""
    workspace = Workspace(root)
    repository = Repository.open(root)
    main = main_branch.main_commit(repository)
    assert main is not None
    models = registry.read_models(repository)
    versions = [(str(v), v.commit, v.time, v.tag) for m in models.values() for v in m.versions]
    waiting = str(repository.commit(WAITING))
    return {
        "models": versions,
        "summaries": [v.summary for m in models.values() for v in m.versions],
        "record": registry.get_version(repository, "abalone@v1.0.0").record,
        "stages": registry.read_stage_files(repository),
        "promotions": registry.read_promotions(repository),
        "history": read_stage_history(workspace, "abalone", forge=False),
        "verify": verify_registry(workspace, offline=True),
        "ready": registry.judge_readiness(repository),
        "proposed": promotion.propose_promotion(workspace, "abalone@v1.1.0", "dev", dry_run=True),
        "inspected": promotion_check.inspect_branch(repository, "", main, waiting),
        "waiting": list(promotion.find_waiting_promotions(workspace)),
    }
