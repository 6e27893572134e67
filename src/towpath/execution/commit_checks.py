"""Whether what goes into a version is committed: code to Git, data to Git or by a pointer of DVC's.

A version whose data or code nobody else has could not be made again. Each check gives faults; none
raises for what is merely not committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from towpath.backends.dvc import tracked_files
from towpath.backends.git import checkouts
from towpath.config import names_and_paths
from towpath.errors import Fault, StoreError
from towpath.execution import run_inputs
from towpath.pipeline import artifact_paths
from towpath.planning import step_code
from towpath.versions.work_tree_files import find_own_files

if TYPE_CHECKING:
    from towpath.backends.git import Repository
    from towpath.execution.input_sources import UpstreamLink
    from towpath.pipeline.step_graph import Graph
    from towpath.workspace import Workspace

IGNORED_HINT = "take it out of .gitignore or .git/info/exclude, and commit it"
OUTSIDE_HINT = (
    "install it as a package that is not editable, whose version the record names, "
    "or bring it into the repository"
)
#: Nanoseconds by which the times of files may lag behind the clock: the kernel stamps files with
#: the time of its last tick, 4 to 10 ms ago; twice that for good measure.
CLOCK_STEP = 20_000_000
#: A path is no pattern: `data[1].csv` is one file.
LITERALLY = {"GIT_LITERAL_PATHSPECS": "1"}
_NAMED = 3  # files of a folder that a fault names


class CommitChecks:
    """The checks of one project; ``repository`` is the one that it lies in."""

    def __init__(self, workspace: Workspace, repository: Repository) -> None:
        self.workspace = workspace
        self.repository = repository

    def faults(self, graph: Graph, links: Iterable[UpstreamLink]) -> Iterator[Fault]:
        """What of a graph's inputs and code no commit holds; ``links`` are the inputs that other
        pipelines make."""
        links_by_input = {link.input: link for link in links}
        absent = run_inputs.list_absent_inputs(self.workspace, graph)
        # What was made last is known by its digest alone, as what a step makes in between.
        files = {
            n: s if graph.files[n].last is None else graph.files[n].otherwise
            for n, s in graph.inputs.items()
            if n not in absent
        }
        inputs = {n: s for n, s in files.items() if s and not names_and_paths.is_model_reference(s)}
        yield from self._changed_faults(inputs)
        for name, path in inputs.items():
            link = links_by_input.get(name)
            if link is None:
                yield from self._input_faults(path)
            elif link.stale:
                yield Fault(f"{link.path} not committed: {link.stale}", hint=link.update_command)
        for file in sorted(set(graph.param_files.values())):
            yield from self._input_faults(file)
        # Of code that Git ignores the version could not be made again.
        nodes, reader = graph.steps.values(), self.workspace.code
        code = {f for node in nodes for f in step_code.list_code_files(graph, node, reader)}
        yield from self.unknown_files(code, IGNORED_HINT)

    def _changed_faults(self, inputs: Mapping[str, str]) -> Iterator[Fault]:
        # A clone has what the pointer says: it could never have what stands here.
        root = self.workspace.root
        pointers = [
            p
            for input_path in inputs.values()
            for p in tracked_files.find_changed_pointers(root, Path(input_path))
        ]
        for pointer in dict.fromkeys(pointers):
            path, file = (os.path.relpath(p, root) for p in (pointer.path, pointer.file))
            what = f"{path} not committed: it is not what {file} says"
            yield Fault(what, hint=f"dvc add {path}, then commit {file}")

    def _input_faults(self, path: str) -> Iterator[Fault]:
        """An input that neither Git holds, nor a pointer, nor `dvc.lock`."""
        root = self.workspace.root
        if Path(path).is_absolute() or ".." in Path(path).parts:
            hint = f"bring it in: dvc import-url {path}, then commit its .dvc file"
            yield Fault(f"{path} not committed: it lies outside of the project", hint=hint)
            return
        shown = path.rstrip("/")
        if tracked_files.find_covering_pointer(root, Path(path)):
            return
        missing, outside = self._find_unheld(Path(root, shown))
        if not missing and not outside:
            yield from self._differs_from_head(shown)
            return
        if (output := self._locked_output(shown)) is not None:
            yield from self._locked_fault(shown, output)
            return
        if outside:
            what = f"{shown} not committed: {outside[0]} leads out of the repository"
            yield Fault(what, hint=f"bring the data into the project, then dvc add {shown}")
        if missing:
            ignored = self.repository.attempt_git(
                "check-ignore", "-q", "--", str(root / missing[0])
            )
            why = "Git does not hold" if ignored.code else "Git ignores"
            yield Fault(_unheld_words(shown, missing, why), hint=self._how_to_add(shown))

    def _differs_from_head(self, path: str) -> Iterator[Fault]:
        # As a change of a file that a run writes it was passed over; as an input it counts.
        if self._is_written(path):
            against = ("diff", "--quiet", "HEAD", "--", os.fspath(self.workspace.root / path))
            if self.repository.attempt_git(*against, env=LITERALLY).code:
                what = f"{path} not committed: it is not what Git holds"
                yield Fault(what, hint=f"git add {path}")

    def _locked_output(self, path: str) -> tracked_files.LockedOutput | None:
        above = (path, *map(str, Path(path).parents))
        return next(filter(None, map(self._outputs_by_path.get, above)), None)

    @cached_property
    def _outputs_by_path(self) -> Mapping[str, tracked_files.LockedOutput]:
        outputs: dict[str, tracked_files.LockedOutput] = {}
        with suppress(StoreError):  # rows that lead elsewhere: `check` and `pull` say so
            for output in tracked_files.locked_outputs(self.workspace.root):
                outputs[output.path] = output
        return outputs

    def _locked_fault(self, path: str, output: tracked_files.LockedOutput) -> Iterator[Fault]:
        store, whole = self.workspace.store, self.workspace.root / output.path
        if whole.exists() and store.digest(whole).digest == output.digest:
            return
        hint = f"dvc repro, or dvc commit {output.path}, then commit dvc.lock"
        yield Fault(f"{path} not committed: it is not what dvc.lock says", hint=hint)

    def _find_unheld(self, path: Path) -> tuple[list[str], list[str]]:
        """The files at a path, from the project's root, that Git ignores and no pointer covers;
        and those that are links out of the repository."""
        top = git_paths(self.repository.root, path)
        if top is None:
            return [], [self._show_path(path)]
        places, outside = self._find_places(path, top)
        below = (
            tracked_files.survey_pointers(self.workspace.root, path).pointers
            if path.is_dir()
            else ()
        )
        covered = tuple(self._show_path(pointer.path) for pointer in below)
        missing = sorted({places[place] for place in self._not_in_git(places, top)})
        return [s for s in missing if not _is_covered(s, covered)], outside

    def _show_path(self, path: Path) -> str:
        return os.path.relpath(path, self.workspace.root)

    def _find_places(self, path: Path, top: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
        """The files at a path by their place in the repository, and links that leave it."""
        places = dict.fromkeys(top[1:], self._show_path(path))
        outside: list[str] = []
        for file in _walk_files(path):
            if file != path and file.is_symlink():
                paths = git_paths(self.repository.root, file)
                outside += [self._show_path(file)] if paths is None else []
                places |= dict.fromkeys(paths or (), self._show_path(file))
            else:
                inside = file.relative_to(path).as_posix()
                places[top[0] if file == path else f"{top[0]}/{inside}"] = self._show_path(file)
        return places, outside

    def _not_in_git(self, places: Mapping[str, str], top: tuple[str, ...]) -> list[str]:
        # An untracked file that Git does not ignore is told as uncommitted, with all others.
        beside = [place for place in places if not _is_covered(place, top)]
        held_places = self._list_held((*top, *beside))
        folders = {str(above) for place in held_places for above in PurePosixPath(place).parents}
        unknown = [place for place in places if place not in held_places and place not in folders]
        if not unknown:
            return []
        text = "".join(f"{place}\0" for place in unknown).encode("utf-8", "surrogateescape")
        listed = self.repository.attempt_git("check-ignore", "-z", "--stdin", stdin=text).text
        ignored = set(listed.split("\0"))  # exit code 1 says that none is: no fault
        return [p for p in unknown if p in ignored or self._is_written(places[p])]

    def _is_written(self, path: str) -> bool:
        # The user's own `git status` is to be clean; what a run wrote is no change of theirs.
        return artifact_paths.is_written(path) or path in self._own_files

    @cached_property
    def _own_files(self) -> frozenset[str]:
        return find_own_files(self.workspace.root)

    def _list_held(self, paths: Iterable[str]) -> set[str]:
        wanted_paths = list(paths)
        if not wanted_paths:
            return set()
        listing = ("ls-files", "-z", "--recurse-submodules", "--")
        return set(self.repository.call(*listing, *wanted_paths, env=LITERALLY).split("\0"))

    def _how_to_add(self, path: str) -> str:
        # Where Git ignores the pointer too, `dvc add` would end in a fault: that line goes first.
        pointer = Path(self.workspace.root, f"{path}{tracked_files.SUFFIX}")
        ignoring_line = self.repository.attempt_git(
            "check-ignore", "-v", "--", os.fspath(pointer)
        ).text
        place, _, _ = ignoring_line.partition("\t")
        file, _, rest = place.partition(":")
        line, _, pattern = rest.partition(":")
        first = f"take `{pattern}` out of {file}:{line}, " if ignoring_line else ""
        return f"{first}dvc add {path}, then commit {path}{tracked_files.SUFFIX}"

    def unknown_files(self, files: Iterable[str], hint: str) -> Iterator[Fault]:
        """Files, from the project's root, that are not in Git, or not in this repository."""
        root = self.repository.root
        places = {f: git_paths(root, self.workspace.root / f) for f in sorted(files)}
        for file in (file for file, paths in places.items() if paths is None):
            yield Fault(f"{file} not committed: it lies outside the repository", hint=OUTSIDE_HINT)
        files_by_path = {path: file for file, paths in places.items() for path in paths or ()}
        unknown = files_by_path.keys() - self._list_held(files_by_path)
        missing = list(checkouts.absent_submodules(self.repository)) if unknown else []
        for path in sorted(unknown):
            if link := next((link for link in missing if path.startswith(f"{link}/")), None):
                what = f"{files_by_path[path]} not committed: the submodule {link} is not set up"
                yield Fault(what, hint=checkouts.SET_UP)
                continue
            yield Fault(f"{files_by_path[path]} not committed: Git ignores it", hint=hint)


def _walk_files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, names, files in os.walk(path):
        links = [name for name in names if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in (*sorted(files), *links))


def _is_covered(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _unheld_words(path: str, missing: list[str], why: str) -> str:
    more = len(missing) - _NAMED
    named = [*missing[:_NAMED], *([f"{more} more"] if more > 0 else [])]
    which = "it" if missing == [path] else ", ".join(named)
    return f"{path} not committed: {why} {which}, and no .dvc file covers it"


def may_have_changed(file: Path, since: int) -> bool:
    """Whether a file may have changed since (nanoseconds since 1970): its inode's time, which no
    copy sets back."""
    try:
        return file.stat().st_ctime_ns >= since - CLOCK_STEP
    except OSError:  # gone, so changed
        return True


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
    inside = (link for link in _links_on_way(file) if link.is_relative_to(root))
    return tuple(path.relative_to(root).as_posix() for path in (bytes_of, *inside))


def _links_on_way(file: Path) -> Iterator[Path]:
    path = Path(os.path.abspath(file))  # noqa: PTH100 - links must stay
    for part in (path, *path.parents):
        if part.is_symlink():
            yield part.parent.resolve() / part.name
