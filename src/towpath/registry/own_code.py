"""The code that a version was made with, for the classes of its own that a model's file names.

A model's file names classes, and `trust` says which may be made. Where the version's commit
defines one, that commit's code makes it: not the work tree's, and not what is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends.git import code_folder, commit_history
from towpath.backends.git.repository import Repository
from towpath.registry.version_record import VersionRecord

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

_DECLARATION = "towpath.yaml"


@dataclass(frozen=True)
class CodeSource:
    """Where code is taken from, and which may run.

    ``home`` is the folder that keeps it, a folder for each commit. ``main`` is the commit whose
    history must hold the code; None where any commit's may run. ``stage`` is whose rule that is.
    """

    repository: Repository
    home: Path
    main: str | None = None
    stage: str | None = None

    @classmethod
    def of_stage(
        cls, repository: Repository, home: Path, project: Project, stage: str | None, main: str
    ) -> CodeSource:
        """By what the policy says of a stage; without a stage, any commit's code may run."""
        bound = main if stage is not None and project.runs_main_only(stage) else None
        return cls(repository, home, bound, stage)


@dataclass(frozen=True)
class OwnCode:
    """What there is of a version's own code.

    ``classes`` are the trusted names that its commit defines, each with the file (from the
    project's root) that does. ``root`` is the project's root as that commit has it, laid out;
    ``folder`` the pipeline's in it. Where the code may not run, or cannot be had, ``fault`` and
    ``hint`` say why, and there is no root. ``packages`` and ``python`` are what was installed when
    the version was made.
    """

    version: str
    classes: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None
    folder: str = ""
    fault: str = ""
    hint: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None

    @property
    def readable_paths(self) -> tuple[Path, ...]:
        """What a sandbox must be let read."""
        return (self.root,) if self.root else ()

    def to_json(self) -> dict[str, Any]:
        """As a sandbox is told it."""
        return {
            "version": self.version,
            "classes": sorted(self.classes),
            "root": str(self.root) if self.root else None,
            "folder": self.folder,
            "fault": self.fault,
            "hint": self.hint,
            "packages": dict(self.packages),
            "python": self.python,
        }


def find_own_code(source: CodeSource, record: VersionRecord, trust: Iterable[str]) -> OwnCode:
    """What a version's file may need of its own code, laid out where it may run.

    The model's bytes must have been held against their digest before.
    """
    name = f"{record.model}@{record.version}" if record.version else record.model
    installed = {"packages": record.packages, "python": record.python}
    if not (names := tuple(trust)):
        return OwnCode(name, **installed)  # type: ignore[arg-type]
    commit, repository = record.code.commit, source.repository
    if repository.commit(commit) is None:
        elsewhere = f" of {record.code.repository}" if record.code.repository else ""
        fault = f"its code is that of the commit {commit[:7]}{elsewhere}, which is not here"
        hint = "git fetch the repository of the code, with its whole history"
        return OwnCode(name, fault=fault, hint=hint, **installed)  # type: ignore[arg-type]
    files = frozenset(commit_history.list_paths(repository, commit))
    below = find_project(files, record.path)
    folder = f"flows/{record.pipeline}" if record.pipeline else ""
    classes = dict(find_classes(names, files, below, folder))
    if not classes:
        return OwnCode(name, **installed)  # type: ignore[arg-type]
    if source.main is not None and not commit_history.is_ancestor(repository, commit, source.main):
        fault, hint = off_main(commit), merge_it(str(source.stage))
        return OwnCode(name, classes, fault=fault, hint=hint, **installed)  # type: ignore[arg-type]
    root = code_folder.lay_out_code(repository, commit, below, source.home)
    return OwnCode(name, classes, root, folder, **installed)  # type: ignore[arg-type]


def off_main(commit: str) -> str:
    """Why a stage that runs main's code alone does not run that of a commit."""
    return f"its code is that of the commit {commit[:7]}, which main's history does not hold"


def merge_it(stage: str) -> str:
    """What to do about it."""
    return f"merge that commit into main, or say `code: any` of {stage} in towpath.yaml"


def find_project(files: Iterable[str], path: str) -> str:
    """The folder of the project that a path lies in, by the commit's files; empty at the root."""
    projects = {name.rpartition("/")[0] for name in files if name.split("/")[-1] == _DECLARATION}
    folders = path.split("/")[:-1]
    above = ("/".join(folders[:count]) for count in range(len(folders), 0, -1))
    return next((folder for folder in above if folder in projects), "")


def find_classes(
    names: Iterable[str], files: frozenset[str], below: str, folder: str
) -> Iterator[tuple[str, str]]:
    """Each name that a project's files define, with the file: from the root, from ``src`` and from
    the pipeline's folder, as in a run."""
    prefix = f"{below}/" if below else ""
    for name in names:
        module = name.rpartition(".")[0].replace(".", "/")
        tried = (
            f"{place}/{module}{ending}".lstrip("/")
            for place in dict.fromkeys((folder, "", "src"))
            for ending in (".py", "/__init__.py")
        )
        if defining_file := next((file for file in tried if prefix + file in files), None):
            yield name, defining_file
