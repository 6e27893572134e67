"""A fork server that begins before the flow does, in the process of a deployed run."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.engine import libraries
from towpath.engine.graph import outline
from towpath.spec.pipeline import QualityCheck
from towpath.steps import process

if TYPE_CHECKING:
    from towpath.spec.pipeline_file import Declared
    from towpath.workspace import Workspace

DEPLOYED = "PREFECT__FLOW_RUN_ID"
"""Prefect sets it in a process that executes one deployed run."""

_begun: dict[tuple[Path, str], ExitStack] = {}


def begin(workspace: Workspace, declared: Declared) -> ExitStack | None:
    """A fork server that imports the steps' packages while Prefect sets itself up; None outside of
    a deployed run. It lasts until the answer is closed.

    A second call finds what the first began. A check's module takes seconds and is seldom needed,
    since data that passed is not checked again: where it is not there already, it comes when its
    step asks for it.
    """
    if not os.environ.get(DEPLOYED):
        return None
    key = workspace.root, declared.folder
    if key not in _begun:
        server = ExitStack()
        nodes = outline(declared).nodes.values()
        wanted = [node for node in nodes if not isinstance(node.step, QualityCheck)]
        imported = libraries.of_steps(workspace, declared.folder, wanted)
        warm = process.warm(
            workspace.root, declared.folder, wanted, imported, from_here=libraries.here()
        )
        server.enter_context(warm)
        _begun[key] = server
    return _begun[key]
