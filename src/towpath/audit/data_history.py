"""Data that DVC tracks: what each pointer named over the history, since when and by whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.backends.dvc import tracked_files
from towpath.backends.dvc.tracked_files import OutputRow
from towpath.backends.git import commit_history, refs
from towpath.config.foreign_values import format_second
from towpath.errors import TowpathError

if TYPE_CHECKING:
    from towpath.backends.git import Repository
    from towpath.backends.git.commit_history import MainChange
    from towpath.workspace import Workspace

_LARGEST_POINTER = 64 << 10  # bytes


class DataVersion(Struct, frozen=True):
    """What a path held from a commit on: its digest, DVC's (MD5), and size in bytes; None where it
    was taken away. ``files`` counts those of a folder."""

    digest: str | None
    size: int
    files: int | None
    time: str
    author: str
    commit: str
    subject: str


def read_data_history(workspace: Workspace) -> dict[str, tuple[DataVersion, ...]]:
    """The versions of each tracked file or folder, by its path from the project's root, the newest
    first, along the line that is checked out. A pointer that cannot be followed tells nothing."""
    repository = workspace.repository
    if repository is None or repository.head() is None:
        return {}
    head = repository.head() or ""
    inside = workspace.folder and f"{workspace.folder}/"
    changes = list(commit_history.read_changes(repository, head, "--", tracked_files.ALL_POINTERS))
    rows = _read_pointers(repository, changes)
    versions: defaultdict[str, list[DataVersion]] = defaultdict(list)
    paths_by_file: dict[str, set[str]] = {}
    for change in changes:
        # Those of its files that may name data of the project in the folder.
        named = filter(tracked_files.is_pointer_path, change.files)
        for file in (file for file in named if file.startswith(inside)):
            pointed = rows.get((file, change.files[file]), ())
            rows_by_path = {str(row.path): row for row in pointed}
            for path in paths_by_file.get(file, set()) - rows_by_path.keys():
                versions[path].append(_make_version(change, None))
            for path, row in rows_by_path.items():
                versions[path].append(_make_version(change, row))
            paths_by_file[file] = set(rows_by_path)
    return {
        path.removeprefix(inside): tuple(reversed(listed))
        for path, listed in sorted(versions.items())
    }


def _read_pointers(
    repository: Repository, changes: list[MainChange]
) -> Mapping[tuple[str, str | None], tuple[OutputRow, ...]]:
    files = {(file, blob) for change in changes for file, blob in change.files.items() if blob}
    blobs = [blob for _, blob in files if blob and not blob.startswith("submodule:")]
    contents = refs.read_contents(repository, blobs)
    return {
        (file, blob): tuple(_parse_pointer(contents[blob], file))
        for file, blob in files
        if blob in contents and len(contents[blob]) <= _LARGEST_POINTER
    }


def _parse_pointer(content: bytes, file: str) -> Iterator[OutputRow]:
    try:
        rows = tuple(tracked_files.read_pointer(content.decode("utf-8", "replace"), file))
    except TowpathError:
        return
    yield from (row for row in rows if isinstance(row, OutputRow))


def _make_version(change: MainChange, row: OutputRow | None) -> DataVersion:
    artifact = row.artifact if row else None
    return DataVersion(
        artifact.digest if artifact else None,
        artifact.size if artifact else 0,
        artifact.files if artifact else None,
        format_second(change.time),
        change.author,
        change.commit,
        change.subject,
    )
