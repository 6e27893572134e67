"""What a version's commit holds: the code of the model's own classes, and the data it declares.

A model's file names classes, and `trust` says which may be made. Where the version's commit
defines one, that commit's code makes it: not the work tree's, and not what is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field, structs
from msgspec.structs import replace

from towpath.backends.git import Repository, checkouts, commit_history
from towpath.errors import Fault
from towpath.registry.version_record import VersionRecord

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project


_DECLARATION = "towpath.yaml"


class CodeSource(Struct, frozen=True):
    """Where code is taken from, and which may run.

    ``home`` is the folder that keeps it, a folder for each commit. ``project`` says which names are
    trusted, and of which stages the history of the commit ``main`` must hold the code; without a
    ``stage`` any commit's may run.
    """

    repository: Repository
    home: Path
    project: Project
    stage: str | None
    main: str


class OwnCode(Struct, frozen=True):
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
        return (self.root,) if self.root else ()

    def to_json(self) -> dict[str, Any]:
        """As a sandbox is told it."""
        root = str(self.root) if self.root else None
        return {
            **structs.asdict(self),
            "classes": sorted(self.classes),
            "root": root,
            "packages": dict(self.packages),
        }


def find_own_code(source: CodeSource, record: VersionRecord) -> OwnCode:
    """What a version's file may need of its own code, laid out where it may run. The model's bytes
    must have been held against their digest before."""
    name = f"{record.model}@{record.version}" if record.version else record.model
    none = OwnCode(name, packages=record.packages, python=record.python)
    if not (names := source.project.trust):
        return none
    commit, repository = record.code.commit, source.repository
    if repository.commit(commit) is None:
        elsewhere = f" of {record.code.repository}" if record.code.repository else ""
        fault = f"its code is that of the commit {commit[:7]}{elsewhere}, which is not here"
        hint = "git fetch the repository of the code, with its whole history"
        return replace(none, fault=fault, hint=hint)
    below, folder, classes = _read_own_classes(repository, record, names)
    if not classes:
        return none
    bound = source.stage if source.stage and source.project.runs_main_only(source.stage) else None
    if bound and not commit_history.is_ancestor(repository, commit, source.main):
        fault, hint = off_main(commit), merge_it(bound)
        return replace(none, classes=classes, fault=fault, hint=hint)
    root = checkouts.lay_out_code(repository, commit, below, source.home)
    return replace(none, classes=classes, root=root, folder=folder)


def off_main(commit: str) -> str:
    """Why a stage that runs main's code alone does not run that of a commit."""
    return f"its code is that of the commit {commit[:7]}, which main's history does not hold"


def merge_it(stage: str) -> str:
    return f"merge that commit into main, or say `code: any` of {stage} in towpath.yaml"


def find_project(files: Iterable[str], path: str) -> str:
    """The folder of the project that a path lies in, by the commit's files; empty at the root."""
    projects = {name.rpartition("/")[0] for name in files if name.split("/")[-1] == _DECLARATION}
    folders = path.split("/")[:-1]
    above = ("/".join(folders[:count]) for count in range(len(folders), 0, -1))
    return next((folder for folder in above if folder in projects), "")


def find_defining_files(
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


class CodeNews(Struct, frozen=True):
    """``classes`` are those of the model that come from the version's own code, each with its file
    from the project's root. ``changes`` are the project's Python files that differ from those of
    ``old``, the commit of the version that runs (None: there is none, or this clone has not its
    commit), and how many lines were added and taken away."""

    classes: Mapping[str, str]
    commit: str
    old: str | None
    changes: tuple[tuple[str, int, int], ...]


def find_classes(
    repository: Repository, record: VersionRecord, trust: Iterable[str]
) -> dict[str, str]:
    """The trusted classes that a version's commit defines, each with its file. Where the record
    says which names the model's file needs, only those; none where this clone does not have the
    commit."""
    names = tuple(trust)
    if not names or repository.commit(record.code.commit) is None:
        return {}
    *_, classes = _read_own_classes(repository, record, names)
    needs = record.needs or classes
    return {name: file for name, file in classes.items() if name in needs}


def _read_own_classes(
    repository: Repository, record: VersionRecord, trust: Iterable[str]
) -> tuple[str, str, dict[str, str]]:
    files = frozenset(commit_history.list_paths(repository, record.code.commit))
    below = find_project(files, record.path)
    folder = f"flows/{record.pipeline}" if record.pipeline else ""
    return below, folder, dict(find_defining_files(trust, files, below, folder))


def find_news(
    repository: Repository,
    candidate: VersionRecord,
    incumbent: VersionRecord | None,
    trust: Iterable[str],
) -> CodeNews | None:
    """What of a candidate's own code is new; None where its model has no class of its own."""
    commit = candidate.code.commit
    classes = find_classes(repository, candidate, trust)
    if not classes:
        return None
    old = incumbent.code.commit if incumbent else None
    if old is None or repository.commit(old) is None:
        return CodeNews(classes, commit, None, ())
    below = find_project(commit_history.list_paths(repository, commit), candidate.path)
    numstat = repository.call(
        "diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv",
        old, commit, "--", *([f"{below}/"] if below else []),
    )  # fmt: skip
    changes = []
    for row in filter(None, numstat.split("\0")):
        added, removed, path = row.split("\t", 2)
        if path.endswith(".py"):  # of one that is no text Git counts no lines: it writes a dash
            changes.append((path, int(added.strip("-") or 0), int(removed.strip("-") or 0)))
    return CodeNews(classes, commit, old, tuple(changes))


def refuse_off_main(
    repository: Repository, record: VersionRecord, project: Project, stage: str, main: str
) -> Iterator[Fault]:
    """Why a stage will not run a version's own code, known before any of it is tried."""
    commit = record.code.commit
    if not record.needs or not project.runs_main_only(stage):
        return
    classes = find_classes(repository, record, project.trust)
    if classes and not commit_history.is_ancestor(repository, commit, main):
        held = f"holds {', '.join(sorted(classes))}, of its own code, and {off_main(commit)}"
        what = f"{record.model}@{record.version} {held}"
        yield Fault(what, hint=merge_it(stage))


def tracked_data(record: VersionRecord) -> Mapping[str, tuple[str, str]]:
    """The inputs whose bytes DVC keeps for the project, by name: their path and their digest."""
    # What Git holds itself, and what is a model's version, is left out.
    return {
        name: (source.path, record.data[name])
        for name, source in record.sources.items()
        if source.path and source.pointer and name in record.data
    }
