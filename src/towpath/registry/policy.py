"""The policy that judges: ``towpath.yaml`` as a commit has it, not as a work tree says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.errors import RegistryError
from towpath.git import Repository, refs

if TYPE_CHECKING:
    from towpath.spec.project import Project

FILE = "towpath.yaml"


def at(repository: Repository, commit: str, folder: str = "") -> Project:
    """The project that ``commit`` declares; ``folder`` is the project's, from the Git root.

    Raises ``RegistryError`` where the commit holds no ``towpath.yaml`` there, ``DeclarationError``
    where what it holds cannot be.
    """
    from towpath.spec.project import parse_project

    path = place(folder)
    found = refs.contents(repository, [f"{commit}:{path}"]).get(f"{commit}:{path}")
    if found is None:
        raise RegistryError(
            f"{commit[:7]} holds no {path}, so nothing says what may enter a stage",
            hint="commit towpath.yaml on the main branch",
        )
    return parse_project(found.decode("utf-8", "replace"))


def place(folder: str = "") -> str:
    """Where ``towpath.yaml`` of a project lies, from the Git root."""
    return f"{folder.rstrip('/')}/{FILE}".lstrip("/")
