"""The policy that judges: ``towpath.yaml`` as a commit has it, not as a work tree says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, refs
from towpath.errors import DeclarationError, Fault, Place, RegistryError

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

FILE = "towpath.yaml"


def read_project_at(repository: Repository, commit: str, folder: str = "") -> Project:
    """The project that ``commit`` declares; ``folder`` is the project's, from the Git root.

    Raises ``RegistryError`` where the commit holds no ``towpath.yaml`` there, ``DeclarationError``
    where what it holds cannot be; both say who left it so, and how it comes back.
    """
    from towpath.config.project_declaration import parse_project

    path = declaration_path(folder)
    content = refs.read_contents(repository, [f"{commit}:{path}"]).get(f"{commit}:{path}")
    if content is None:
        what = f"{commit[:7]} holds no {path}, so nothing says what may enter a stage"
        last = last_change(repository, commit, path)
        if last is None:
            raise RegistryError(what, hint=f"commit {path} on the main branch")
        raise RegistryError(
            f"{what}: {last.author} took it away in {last.commit[:7]}", hint=last.way_to_undo_change
        )
    try:
        return parse_project(content.decode("utf-8", "replace"))
    except DeclarationError as wrong:
        raise DeclarationError(*_of_main(repository, commit, path, wrong)) from wrong


@dataclass(frozen=True)
class LastChange:
    """The commit of a branch that changed a file last."""

    path: str
    commit: str
    author: str

    @property
    def way_to_undo_change(self) -> str:
        """How the file comes back as it was before."""
        return (
            f"git checkout {self.commit[:7]}^ -- ':/{self.path}', commit it, and merge that into "
            "main; until then the rules before it hold, nothing is promoted or deployed, and what "
            "runs runs on"
        )


def last_change(repository: Repository, commit: str, *paths: str) -> LastChange | None:
    """The last change of any of these files on the first-parent line of a commit."""
    log_text = repository.attempt_git(
        "log", "-1", "--first-parent", "--diff-merges=first-parent", "--no-renames", "-z",
        "--name-only", "--format=%H%x00%an <%ae>%x00", commit, "--",
        *(f":(top,literal){path}" for path in paths),
    ).text  # fmt: skip
    words = [word.strip("\n") for word in log_text.split("\0")]
    named = [word for word in words[2:] if word in paths]
    return LastChange(named[0], words[0], words[1]) if named else None


def read_last_sound(repository: Repository, commit: str, folder: str = "") -> Project | None:
    """The newest declaration on a branch that can be read, for who looks back where that of now
    cannot; None where there never was one."""
    from towpath.config.project_declaration import parse_project

    path = declaration_path(folder)
    listing = repository.call(
        "log", "--first-parent", "--diff-merges=first-parent", "--format=%H", commit, "--",
        f":(top,literal){path}",
    )  # fmt: skip
    names = [f"{change}:{path}" for change in listing.split("\n") if change]
    texts = refs.read_contents(repository, names)
    for name in names:
        try:
            return parse_project(texts[name].decode("utf-8", "replace"))
        except (KeyError, DeclarationError):
            continue
    return None


def _of_main(
    repository: Repository, commit: str, path: str, wrong: DeclarationError
) -> Iterator[Fault]:
    """The faults of a declaration with the commit that holds it: the work tree's may be sound."""
    last = last_change(repository, commit, path)
    for fault in wrong.faults:
        place_in_file = fault.place or Place(path)
        place_there = replace(place_in_file, file=f"{path} at {commit[:7]}")
        yield replace(
            fault, place=place_there, hint=fault.hint or (last.way_to_undo_change if last else None)
        )


def declaration_path(folder: str = "") -> str:
    """Where ``towpath.yaml`` of a project lies, from the Git root."""
    return f"{folder.rstrip('/')}/{FILE}".lstrip("/")
