"""The data that a version was made from: where it was read, and what its code declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from towpath.backends.git import Repository, refs
from towpath.registry.ownership import folder_of_pipeline
from towpath.registry.version_record import VersionRecord


def declared_paths(
    repository: Repository | None, record: VersionRecord, folder: str
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The inputs' paths by name as the code declared them, and the text of each `.dvc` file beside
    one by its path; none of either where that commit is not here.

    ``folder`` is where the project lies now, from the Git root.
    """
    if repository is None or repository.commit(record.code.commit) is None:
        return {}, {}
    from towpath import documents
    from towpath.backends.dvc.pointer_files import pointer_path

    then = folder_of_pipeline(repository, record, folder)
    prefix = "" if then in ("", ".") else f"{then}/"
    name = f"{record.code.commit}:{prefix}flows/{record.pipeline}/pipeline.yaml"
    text = refs.read_contents(repository, [name]).get(name, b"").decode("utf-8", "replace")
    declaration = documents.plain_data(documents.parse_yaml(text, name).node)
    inputs = declaration.get("inputs") if isinstance(declaration, dict) else None
    paths = dict(_input_paths(inputs if isinstance(inputs, dict) else {}))
    names = {
        f"{record.code.commit}:{prefix}{pointer_path(path)}": pointer_path(path)
        for path in paths.values()
    }
    contents = refs.read_contents(repository, names)
    return paths, {
        names[name]: content.decode("utf-8", "replace") for name, content in contents.items()
    }


def _input_paths(inputs: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    """Each input's path: it is the declaration itself, or ``path`` of a longer one."""
    for name, declared in inputs.items():
        path = declared.get("path") if isinstance(declared, dict) else declared
        if isinstance(path, str):
            yield str(name), path


def tracked_data(
    repository: Repository | None, record: VersionRecord, folder: str
) -> Mapping[str, tuple[str, str]]:
    """The inputs whose bytes DVC keeps for the project, by name: their path and their digest.

    What Git holds itself, and what is a model's version, is left out.
    """
    if not record.data:
        return {}
    if record.sources:
        return {
            name: (source.path, record.data[name])
            for name, source in record.sources.items()
            if source.path and source.pointer and name in record.data
        }
    from towpath.backends.dvc.pointer_files import pointer_path

    paths, pointers = declared_paths(repository, record, folder)
    return {
        name: (paths[name], digest)
        for name, digest in record.data.items()
        if name in paths and digest in pointers.get(pointer_path(paths[name]), "")
    }
