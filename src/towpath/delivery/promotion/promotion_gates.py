"""The gates of a stage, asked about one promotion: those of the review now, the others later."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.backends.git import Repository
from towpath.delivery.promotion.promotion_case import Case, time_in
from towpath.errors import StoreError
from towpath.registry import Record
from towpath.scratch import scratch_folder
from towpath.versions import version_origin

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.delivery.gates import Verdict
    from towpath.workspace import Workspace


def judge(
    workspace: Workspace, repository: Repository, case: Case, now: int | None = None
) -> tuple[Verdict, ...]:
    """What the review gates of a stage say of a promotion; none of a model that leaves."""
    if case.candidate is None or not any(g.when == "review" for g in case.rules.gates.values()):
        return ()
    from towpath.delivery import gates

    moment = int(time.time()) if now is None else now
    with scratch_folder() as scratch:
        context = gates.Context(
            stage=case.stage,
            candidate=case.candidate,
            incumbent=case.incumbent,
            repository=repository,
            base=case.base,
            project=case.project,
            lower_since=lower_since(case, moment),
            model=_bringer(workspace, case.project, Path(scratch)),
            data=_no_data,
            now=moment,
            scratch=Path(scratch),
            stage_available=False,
            kept=workspace.state / "code",
            folder=case.folder,
        )
        return gates.judge(context, "review")


def lower_since(case: Case, now: int) -> int | None:
    """Since when a version has been in the stage below, its stays there put together."""
    if case.lower is None or case.version is None:
        return None
    spent = time_in(case.stays, case.lower, case.version, now)
    return None if spent is None else now - spent


def _bringer(workspace: Workspace, project: Project, scratch: Path) -> Callable[[Record], Path]:
    """A model's bytes from the first store that has them, as a file that was verified."""

    def bring(record: Record) -> Path:
        path = scratch / "models" / record.artifact.digest / Path(record.path).name
        if not path.exists():
            version_origin.bring(workspace, project, record, path)
        return path

    return bring


def _no_data(name: str) -> Path:
    raise StoreError(f"{name} lies in the stage, which a review does not see", hint="when: deploy")
