"""The gates of a stage, asked about one promotion: those of the review now, the others later."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.backends.git import Repository
from towpath.delivery.promotion.promotion_case import PromotionCase, measure_time_in_stage
from towpath.errors import StoreError
from towpath.registry import VersionRecord
from towpath.scratch import scratch_folder
from towpath.versions import version_origin

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.delivery.gates import GateVerdict
    from towpath.workspace import Workspace


def judge_review_gates(
    workspace: Workspace, repository: Repository, case: PromotionCase, now: int | None = None
) -> tuple[GateVerdict, ...]:
    """What the review gates of a stage say of a promotion; none of a model that leaves."""
    if case.candidate is None or not any(g.when == "review" for g in case.rules.gates.values()):
        return ()
    from towpath.delivery import gates

    moment = int(time.time()) if now is None else now
    with scratch_folder() as scratch:
        context = gates.GateContext(
            stage=case.stage,
            candidate=case.candidate,
            incumbent=case.incumbent,
            repository=repository,
            base=case.base,
            project=case.project,
            lower_since=lower_since(case, moment),
            model=_model_bringer(workspace, case.project, Path(scratch)),
            data=_no_data,
            now=moment,
            scratch=Path(scratch),
            stage_available=False,
            kept=workspace.state / "code",
            folder=case.folder,
        )
        return gates.judge_stage_gates(context, "review")


def lower_since(case: PromotionCase, now: int) -> int | None:
    """Since when a version has been in the stage below, its stays there put together."""
    if case.stage_below is None or case.candidate_version is None:
        return None
    spent = measure_time_in_stage(case.stays, case.stage_below, case.candidate_version, now)
    return None if spent is None else now - spent


def _model_bringer(
    workspace: Workspace, project: Project, scratch: Path
) -> Callable[[VersionRecord], Path]:
    """A model's bytes from the first store that has them, as a file that was verified."""

    def bring(record: VersionRecord) -> Path:
        path = scratch / "models" / record.artifact.digest / Path(record.path).name
        if not path.exists():
            version_origin.bring_version(workspace, project, record, path)
        return path

    return bring


def _no_data(name: str) -> Path:
    raise StoreError(f"{name} lies in the stage, which a review does not see", hint="when: deploy")
