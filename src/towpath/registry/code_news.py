"""What is new of a version's own code against that of the version that a stage runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.backends.git import commit_history
from towpath.backends.git.repository import Repository
from towpath.errors import Fault
from towpath.registry import own_code
from towpath.registry.version_record import VersionRecord

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project


@dataclass(frozen=True)
class CodeNews:
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
    """The trusted classes that a version's commit defines, each with its file.

    Where the record says which names the model's file needs, only those; none where this clone
    does not have the commit.
    """
    names = tuple(trust)
    if not names or repository.commit(record.code.commit) is None:
        return {}
    files = frozenset(commit_history.list_paths(repository, record.code.commit))
    below = own_code.find_project(files, record.path)
    folder = f"flows/{record.pipeline}" if record.pipeline else ""
    classes = own_code.find_classes(names, files, below, folder)
    return {name: file for name, file in classes if not record.needs or name in record.needs}


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
    files = frozenset(commit_history.list_paths(repository, commit))
    below = own_code.find_project(files, candidate.path)
    return CodeNews(classes, commit, old, tuple(_changed_lines(repository, old, commit, below)))


def refuse_off_main(
    repository: Repository, record: VersionRecord, project: Project, stage: str, main: str
) -> Iterator[Fault]:
    """Why a stage will not run a version's own code, known before any of it is tried."""
    commit = record.code.commit
    if not record.needs or not project.runs_main_only(stage):
        return
    classes = find_classes(repository, record, project.trust)
    if classes and not commit_history.is_ancestor(repository, commit, main):
        what = (
            f"{record.model}@{record.version} holds {', '.join(sorted(classes))}, of its own code, "
            f"and {own_code.off_main(commit)}"
        )
        yield Fault(what, hint=own_code.merge_it(stage))


def _changed_lines(
    repository: Repository, old: str, new: str, below: str
) -> Iterator[tuple[str, int, int]]:
    """By path from the repository's root; a file that is no text counts no lines."""
    numstat = repository.call(
        "diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv",
        old, new, "--", *([f"{below}/"] if below else []),
    )  # fmt: skip
    for row in numstat.split("\0"):
        added, _, rest = row.partition("\t")
        removed, _, path = rest.partition("\t")
        if path.endswith(".py"):
            yield (
                path,
                int(added) if added.isdigit() else 0,
                int(removed) if removed.isdigit() else 0,
            )
