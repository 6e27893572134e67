"""Where Git must hold a file of code, so that a commit pins it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

OUTSIDE_HINT = (
    "install it as a package that is not editable, whose version the record names, "
    "or bring it into the repository"
)


def git_paths(repository: Path, file: Path) -> tuple[str, ...] | None:
    """The paths, from the repository's root, that must be committed for a file to be: that of its
    bytes, and that of each symbolic link on the way. None for bytes outside of the repository.

    A library may lie anywhere that Python looks: on ``PYTHONPATH``, behind a ``.pth`` file or an
    editable install, or behind a link in the project itself.
    """
    root = repository.resolve()
    bytes_of = file.resolve()
    if not bytes_of.is_relative_to(root):
        return None
    inside = (link for link in _links(file) if link.is_relative_to(root))
    return tuple(path.relative_to(root).as_posix() for path in (bytes_of, *inside))


def _links(file: Path) -> Iterator[Path]:
    path = Path(os.path.abspath(file))  # noqa: PTH100 - links must stay
    for part in (path, *path.parents):
        if part.is_symlink():
            yield part.parent.resolve() / part.name
