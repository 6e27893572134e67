"""What the gates of a stage judge by: two versions, the policy of a commit, and where to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.backends.git import Repository
from towpath.registry import VersionRecord
from towpath.registry.version_code import CodeSource, OwnCode, find_own_code

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project


@dataclass(frozen=True)
class GateContext:
    """A version that is to enter a stage.

    ``base`` is the commit whose policy judges, and ``project`` what it declares
    (``registry.policy_at_commit``); ``folder`` is the project's from the Git root. Suites, samples
    and functions are read from that commit, never from the candidate's. ``lower_since`` is when
    the version entered the stage below, ``now`` the present, both in seconds since 1970.

    ``model`` gives a version's bytes on disk, which are held against its record before they are
    opened, ``data`` a file of the stage's data by the name that a gate says; both raise a
    TowpathError where they cannot. ``stage_available`` is false where the stage's data is out of
    reach, as on review. ``scratch`` is a folder to work in, ``kept`` one that keeps what is laid
    out once for each commit.
    """

    stage: str
    candidate: VersionRecord
    incumbent: VersionRecord | None
    repository: Repository
    base: str
    project: Project
    lower_since: int | None
    model: Callable[[VersionRecord], Path]
    data: Callable[[str], Path]
    now: int
    scratch: Path
    stage_available: bool
    folder: str = ""
    kept: Path | None = None

    @property
    def own_code(self) -> OwnCode:
        """The candidate's own code, as far as its file may need it and the stage runs it."""
        home = self.kept or self.scratch.absolute() / "code"
        source = CodeSource.of_stage(self.repository, home, self.project, self.stage, self.base)
        return find_own_code(source, self.candidate, self.project.trust)
