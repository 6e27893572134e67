"""The gates of a stage, asked about one promotion: those of the review now, the others later."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import StoreError
from towpath.git import Repository
from towpath.promotion.case import Case, time_in
from towpath.registry import Record

if TYPE_CHECKING:
    from towpath.gates import Verdict
    from towpath.workspace import Workspace


def judge(
    workspace: Workspace, repository: Repository, case: Case, now: int | None = None
) -> tuple[Verdict, ...]:
    """What the review gates of a stage say of a promotion; none of a model that leaves."""
    if case.candidate is None or not any(g.when == "review" for g in case.rules.gates.values()):
        return ()
    from towpath import gates

    moment = int(time.time()) if now is None else now
    with tempfile.TemporaryDirectory(prefix="towpath-") as scratch:
        context = gates.Context(
            stage=case.stage,
            candidate=case.candidate,
            incumbent=case.incumbent,
            repository=repository,
            base=case.base,
            project=case.project,
            lower_since=lower_since(case, moment),
            model=_bringer(workspace, Path(scratch)),
            data=_no_data,
            now=moment,
            scratch=Path(scratch),
            stage_available=False,
            folder=workspace.folder,
        )
        return gates.judge(context, "review")


def lower_since(case: Case, now: int) -> int | None:
    """Since when a version has been in the stage below, its stays there put together."""
    if case.lower is None or case.version is None:
        return None
    spent = time_in(case.log, case.lower, case.version, now)
    return None if spent is None else now - spent


def _bringer(workspace: Workspace, scratch: Path) -> Callable[[Record], Path]:
    """A model's bytes from the project's store, or its remote, as a file that was verified."""

    def bring(record: Record) -> Path:
        from towpath.store import remote

        digest, store = record.artifact.digest, workspace.store
        if not store.has(digest) and remote.default(workspace.root):
            remote.fetch(workspace.root, [digest])
        path = scratch / "models" / digest / Path(record.path).name
        store.link(digest, path)
        if sha256(path) != record.sha256:
            what = f"the bytes of {record.model}@{record.version} are not those of its record"
            raise StoreError(what, hint="`towpath pull` on a machine that has them, then push")
        return path

    return bring


def _no_data(name: str) -> Path:
    raise StoreError(f"{name} lies in the stage, which a review does not see", hint="when: deploy")


def sha256(path: Path) -> str:
    """SHA-256 of a file; of a folder that of its sorted ``sha256sum`` lines."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = (one for one in path.rglob("*") if one.is_file())
    lines = sorted(f"{sha256(one)}  {one.relative_to(path).as_posix()}\n" for one in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
