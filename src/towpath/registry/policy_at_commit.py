"""The policy that judges: ``towpath.yaml`` as a commit has it, not as a work tree says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git import Repository, commit_history, refs
from towpath.errors import DeclarationError, Place, RegistryError

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

FILE = "towpath.yaml"


def read_project_at(repository: Repository, commit: str, folder: str = "") -> Project:
    """The project that ``commit`` declares; ``folder`` is the project's, from the Git root. Raises
    ``RegistryError`` where the commit holds no ``towpath.yaml`` there, ``DeclarationError`` where
    what it holds cannot be; both say who left it so, and how it comes back."""
    from towpath.config.project_declaration import parse_project

    path = declaration_path(folder)
    content = refs.read_content(repository, commit, path)
    if content is None:
        what = f"{commit[:7]} holds no {path}, so nothing says what may enter a stage"
        last = last_change(repository, commit, path)
        if last is None:
            raise RegistryError(what, hint=f"commit {path} on the main branch")
        what = f"{what}: {last.author} took it away in {last.commit[:7]}"
        raise RegistryError(what, hint=last.way_to_undo_change)
    try:
        return parse_project(content.decode("utf-8", "replace"))
    except DeclarationError as wrong:
        last = last_change(repository, commit, path)
        way = last.way_to_undo_change if last else None
        # The work tree's own file may be sound: without the commit a reader looks there in vain.
        shown = f"{path} at {commit[:7]}"
        faults = (
            replace(
                fault, place=replace(fault.place or Place(path), file=shown), hint=fault.hint or way
            )
            for fault in wrong.faults
        )
        raise DeclarationError(*faults) from wrong


class LastChange(Struct, frozen=True):
    path: str
    commit: str
    author: str

    @property
    def way_to_undo_change(self) -> str:
        return (
            f"git checkout {self.commit[:7]}^ -- ':/{self.path}', commit it, and merge that into "
            "main; until then the rules before it hold, nothing is promoted or deployed, and what "
            "runs runs on"
        )


def last_change(repository: Repository, commit: str, *paths: str) -> LastChange | None:
    """The last change of any of these files on the first-parent line of a commit."""
    pathspecs = (f":(top,literal){path}" for path in paths)
    for change in commit_history.read_changes(repository, commit, "-1", "--", *pathspecs):
        path = next(path for path in change.files if path in paths)
        return LastChange(path, change.commit, change.author)
    return None


def read_last_sound(repository: Repository, commit: str, folder: str = "") -> Project | None:
    """The newest declaration on a branch that can be read, for who looks back where that of now
    cannot; None where there never was one."""
    from towpath.config.project_declaration import parse_project

    path = declaration_path(folder)
    changes = commit_history.read_changes(repository, commit, "--", f":(top,literal){path}")
    names = [f"{change.commit}:{path}" for change in changes]
    texts = refs.read_contents(repository, names)
    for name in reversed(names):
        try:
            return parse_project(texts[name].decode("utf-8", "replace"))
        except (KeyError, DeclarationError):  # it was taken away there, or broken: look further
            continue
    return None


def declaration_path(folder: str = "") -> str:
    return f"{folder.rstrip('/')}/{FILE}".lstrip("/")
