"""The own code of a version that somebody here asks for by a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath import registry
from towpath.git import mainline
from towpath.registry.own_code import CodeSource, OwnCode, find_own_code

if TYPE_CHECKING:
    from towpath.registry import Record
    from towpath.spec.project import Project
    from towpath.workspace import Workspace


def find_version_code(
    workspace: Workspace, reference: str, stage: str | None, record: Record, project: Project
) -> OwnCode:
    """By the rule of ``stage``, else of the stage that the reference names; a version that is named
    by its number may have any commit's code. The model's bytes were verified before."""
    repository = workspace.registry
    if (code := workspace.repository) and code.commit(record.code.commit) is not None:
        repository = code  # with a shared registry the code is in the project's own
    rule = stage or registry.parse(reference).stage
    main = mainline.seen(repository) or record.code.commit
    source = CodeSource.of_stage(repository, workspace.state / "code", project, rule, main)
    return find_own_code(source, record, project.trust)
