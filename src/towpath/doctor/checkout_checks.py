"""How Git laid the project's files out here: submodules, line ends, pointers of Git LFS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.git import checkouts, large_files
from towpath.config import names_and_paths
from towpath.doctor.health_check import DoctorCheck, report_lack
from towpath.errors import TowpathError

if TYPE_CHECKING:
    from towpath.backends.git import Repository
    from towpath.workspace import Workspace

AS_BYTES = (
    "write into .gitattributes, as a new project has it: {path} -text; then, for the bytes that "
    "were committed: mv {path} {path}.before && git checkout -- {path}"
)


def examine_checkout(workspace: Workspace) -> Iterator[DoctorCheck]:
    """What of the work tree is not as the commit has it, though Git calls it clean."""
    repository = workspace.repository
    if repository is None or repository.head() is None:
        return
    if (repository.root / ".gitmodules").is_file():
        yield from _examine_submodules(repository)
    inputs = sorted(set(_pipeline_inputs(workspace)))
    yield from _line_ends(repository, workspace, inputs)
    yield from _find_pointers(workspace, inputs)


def _examine_submodules(repository: Repository) -> Iterator[DoctorCheck]:
    for path in checkouts.absent_submodules(repository):
        yield report_lack("git", f"the submodule {path} is not set up", checkouts.SET_UP)
    for path, why in repository.state().submodules.items():
        yield report_lack("git", f"the submodule {path}: {why}", checkouts.SET_UP)


def _pipeline_inputs(workspace: Workspace) -> Iterator[str]:
    """The files and folders that any pipeline takes, from the project's root."""
    for name in workspace.pipelines:
        try:
            declared = workspace.pipeline(name)
        except TowpathError:  # `towpath check` says what is wrong with it
            continue
        for declared_input in declared.pipeline.inputs.values():
            if not names_and_paths.is_model_reference(declared_input.path):
                yield declared_input.path


def _line_ends(
    repository: Repository, workspace: Workspace, inputs: list[str]
) -> Iterator[DoctorCheck]:
    """Data that Git changes on its way to the work tree: elsewhere its digest is another."""
    folder = f"{workspace.folder}/" if workspace.folder else ""
    pathspecs = [f":(literal){folder}{path}" for path in inputs]
    listed = repository.call("ls-files", "--eol", "-z", "--", *pathspecs) if pathspecs else ""
    for row in filter(None, listed.split("\0")):
        about, _, path = row.partition("\t")
        committed, checked_out = about.split()[:2]
        if "w/" + committed.removeprefix("i/") != checked_out and checked_out in (
            "w/crlf",
            "w/mixed",
        ):
            message = (
                f"Git changes the line ends of {path}, an input: its digest is another elsewhere"
            )
            yield DoctorCheck("git", "unknown", message, AS_BYTES.format(path=path))


def _find_pointers(workspace: Workspace, inputs: list[str]) -> Iterator[DoctorCheck]:
    for input_path in inputs:
        for pointer in large_files.pointers_in(workspace.root / input_path):
            shown = os.path.relpath(pointer, workspace.root)
            yield report_lack(
                "git", f"{shown} is a pointer of Git LFS, not the data", large_files.PULL
            )
