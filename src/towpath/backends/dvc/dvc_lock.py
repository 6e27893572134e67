"""What `dvc.lock` says was made: files and folders by path, with digest and owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath import documents
from towpath.backends.dvc.dvc_yaml import LOCK, PIPELINE, read_stages, stage_owner, text_at
from towpath.backends.dvc.pointer_files import OutputRow, join_inside_or_root, read_output_rows
from towpath.config.artifact import Artifact
from towpath.errors import Fault, Malformed, Place, StoreError


@dataclass(frozen=True)
class LockedOutput:
    """One output: its path from the project's root, its digest, the pipeline that made it.

    ``pipeline`` is None for an output of a stage of the user's own; ``place`` is the line of
    `dvc.lock` that names it.
    """

    path: str
    digest: str
    pipeline: str | None
    place: Place


def locked_outputs(root: Path) -> Iterator[LockedOutput]:
    """Every output that DVC keeps inside the project, of our stages and of others.

    Raises StoreError behind the last of them, with every row that leads where no data may be;
    DeclarationError where one of the two files is none.
    """
    lock, declared = (text_at(root / name) for name in (LOCK, PIPELINE))
    faults: list[Fault] = []
    for owner, row in _owned_rows(lock, declared):
        if isinstance(row, OutputRow):
            yield LockedOutput(row.path, row.artifact.digest, owner, row.place)
        else:
            faults.append(row)
    if faults:
        raise StoreError(*faults)


def read_artifacts(lock: str, declared: str) -> dict[str, Artifact]:
    """What the texts of `dvc.lock` and `dvc.yaml` say our pipelines made, by path from the
    project's root; a row that leads where no data may be is left out."""
    return {
        row.path: row.artifact
        for owner, row in _owned_rows(lock, declared)
        if owner and isinstance(row, OutputRow)
    }


def _owned_rows(lock: str, declared: str) -> Iterator[tuple[str | None, OutputRow | Fault]]:
    """Each row of `dvc.lock` with the pipeline that it is of, None for a stage of the user's."""
    nodes = read_stages(declared, PIPELINE)
    stages = {name: documents.plain_data(node) for name, node in nodes.items()}
    for name, stage_node in read_stages(lock, LOCK).items():
        stage = stages.get(name) or stages.get(name.partition("@")[0]) or {}
        owner = stage_owner(stage)
        for row in _stage_rows(stage_node, stage.get("wdir"), name):
            yield (str(owner) if owner else None), row


def _stage_rows(said: documents.Mapping, folder: object, stage: str) -> Iterator[OutputRow | Fault]:
    """The rows of one stage, whose paths start in its working folder."""
    if isinstance(folder, str) and "${" in folder:
        return  # DVC's own templates: where they lead is not known here
    try:
        home = join_inside_or_root("", folder)
    except Malformed as wrong:
        what = f"`wdir` of stage `{stage}` cannot be followed: {wrong.faults[0].what}"
        yield Fault(what, Place(PIPELINE), "towpath writes only inside the project")
        return
    yield from read_output_rows(said, home, LOCK)
