"""The pictures of declared pipelines, kept while the files that declare them stay as they are.

A page of a run that goes on is asked for at each of its events, and compiling a pipeline of a
thousand steps takes half a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from towpath.drawing.picture import GraphPicture, picture_graph
from towpath.planning.pipeline_check import drawable_graph

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph
    from towpath.workspace import Workspace

_FileSigns: TypeAlias = tuple[tuple[str, int, int, int], ...]
_KEPT = 16  # pictures


class DeclaredPicture(Struct, frozen=True):
    """A pipeline with a box for each step of the pipelines in it, and each step's kind."""

    picture: GraphPicture
    kinds: Mapping[str, str]


_pictures: dict[tuple[Path, str, str], tuple[_FileSigns, DeclaredPicture]] = {}


def read_declared_picture(
    workspace: Workspace, pipeline: str, environment: str = ""
) -> DeclaredPicture:
    """The picture of a pipeline as it is declared now.

    Raises what compiling it raises.
    """
    key = (workspace.root, pipeline, environment)
    signs, declared = _pictures.get(key, ((), None))
    if declared and signs == _sign_files(workspace.root, (name for name, *_ in signs)):
        return declared
    # Signed before they are read: what changes meanwhile is read again.
    before = _sign_files(workspace.root, _list_folder_files(workspace))
    graph = drawable_graph(workspace, pipeline, environment)
    declared = DeclaredPicture(
        picture_graph(graph, nested=True),
        {name: node.step.kind for name, node in graph.steps.items()},
    )
    _keep_picture(key, _select_signs(before, workspace.root, graph), declared)
    return declared


def _list_folder_files(workspace: Workspace) -> list[str]:
    return [f"flows/{name}/pipeline.yaml" for name in workspace.pipelines]


def _select_signs(before: _FileSigns, root: Path, graph: Graph) -> _FileSigns:
    read = {f"{graph.folder}/pipeline.yaml", "towpath.yaml", *graph.bodies.values()}
    signed = tuple(sign for sign in before if sign[0] in read)
    others = read | set(graph.param_files.values())
    return (*signed, *_sign_files(root, sorted(others - {sign[0] for sign in signed})))


def _keep_picture(key: tuple[Path, str, str], signs: _FileSigns, declared: DeclaredPicture) -> None:
    # Requests come in threads: each of these steps is one of the interpreter's.
    _pictures.pop(key, None)
    _pictures[key] = (signs, declared)
    for oldest in list(_pictures)[:-_KEPT]:
        _pictures.pop(oldest, None)


def _sign_files(root: Path, names: Iterable[str]) -> _FileSigns:
    """What tells that a file was written anew: when, how long it is, and which one it is."""
    signs = []
    for name in names:
        try:
            status = (root / name).stat()
        except OSError:
            signs.append((name, 0, 0, 0))
        else:
            signs.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(signs)
