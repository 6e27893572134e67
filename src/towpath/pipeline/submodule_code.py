"""Code that a pipeline names and that is not here, since its submodule was not set up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.backends.git import checkouts
from towpath.errors import Fault, Place, TowpathError

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.pipeline.step_graph import Node
    from towpath.workspace import Workspace


def find_submodule_faults(
    workspace: Workspace, declared: DeclaredPipeline, nodes: Iterable[Node]
) -> Iterator[Fault]:
    """A fault for each submodule whose name a pipeline or its code says, and which is empty here.

    Without it an import of what it holds is taken for that of a package, and fails while running.
    """
    try:
        repository = workspace.repository
    except TowpathError:  # registering says what is wrong with it
        return
    if repository is None or not (repository.root / ".gitmodules").is_file():
        return
    # A tree that was laid out to reproduce a version has the files, and no repositories in it.
    absent = [
        p for p in checkouts.absent_submodules(repository) if not _has_files(repository.root / p)
    ]
    text = _pipeline_text(workspace, declared, nodes) if absent else ""
    for path in absent:
        name = re.escape(path.rpartition("/")[2])
        if re.search(rf"(?<![\w]){name}(?![\w])", text):
            what = f"the submodule {path} is not set up, and this pipeline speaks of it"
            yield Fault(what, Place(declared.path), checkouts.SET_UP)


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _pipeline_text(workspace: Workspace, declared: DeclaredPipeline, nodes: Iterable[Node]) -> str:
    """The declaration, and the files of code that it reaches, as far as they can be read."""
    files = {declared.path} if declared.path else set()
    for node in nodes:
        run = getattr(node.step, "run", None)
        try:
            files.update(workspace.code.source_files(declared.folder, run) if run else ())
        except TowpathError:  # said already, with its place
            continue
    paths = [workspace.root / file for file in sorted(files)]
    return "\n".join(f.read_text("utf-8", "replace") for f in paths if f.is_file())
