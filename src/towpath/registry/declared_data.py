"""The data that a version was made from, as its code declared them: paths, and `.dvc` pointers."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.git import Repository, refs
from towpath.registry.ownership import folder_of_pipeline
from towpath.registry.record import Record


def declared_paths(
    repository: Repository | None, record: Record, folder: str
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The inputs' paths by name as the code declared them, and the `.dvc` files beside them by
    their own names; none of either where that commit is not here.

    ``folder`` is where the project lies now, from the Git root.
    """
    if repository is None or repository.commit(record.code.commit) is None:
        return {}, {}
    from towpath import documents

    then = folder_of_pipeline(repository, record, folder)
    prefix = "" if then in ("", ".") else f"{then}/"
    name = f"{record.code.commit}:{prefix}flows/{record.pipeline}/pipeline.yaml"
    text = refs.contents(repository, [name]).get(name, b"").decode("utf-8", "replace")
    said = documents.plain(documents.parse(text, name).node)
    inputs = said.get("inputs") if isinstance(said, dict) else None
    paths = {str(k): str(v) for k, v in inputs.items()} if isinstance(inputs, dict) else {}
    names = {
        f"{record.code.commit}:{prefix}{path.rstrip('/')}.dvc": f"{path}.dvc"
        for path in paths.values()
    }
    return paths, {names[name]: names[name] for name in refs.contents(repository, names)}


def tracked_data(
    repository: Repository | None, record: Record, folder: str
) -> Mapping[str, tuple[str, str]]:
    """The inputs whose bytes DVC keeps for the project, by name: their path and their digest.

    What Git holds itself, and what is a model's version, is left out.
    """
    if not record.data:
        return {}
    paths, pointers = declared_paths(repository, record, folder)
    return {
        name: (paths[name], digest)
        for name, digest in record.data.items()
        if name in paths and f"{paths[name]}.dvc" in pointers
    }
