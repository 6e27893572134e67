"""What the gates of a stage judge by: two versions, and the policy of a commit with its files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath import documents
from towpath.backends.dvc.tracked_files import pointer_path
from towpath.backends.git import Repository, commit_history, large_files, refs
from towpath.backends.git.git_command import AS_COMMITTED
from towpath.config.declaration import Places
from towpath.delivery.gates.verdict import Unjudged
from towpath.errors import did_you_mean
from towpath.registry import VersionRecord, policy_at_commit
from towpath.registry.version_code import CodeSource, OwnCode, find_own_code

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project


class TimeBelow(Struct, frozen=True):
    """How many seconds a version was wanted by the stage below, its stays there put together; when
    the last of them began, and when it ended, None where the version is there, in seconds since
    1970."""

    seconds: int
    entered: int
    left: int | None = None


class GateContext(Struct, frozen=True):
    """A version that is to enter a stage, judged by the policy of the commit ``base``, which
    ``project`` declares: suites, samples and functions are read from there, never from the
    candidate's commit. ``below`` is the version's time in the stage below, None where it never was
    there; ``now`` the present, in seconds since 1970. ``model`` gives a version's bytes, which are
    held against its record before they are opened, ``data`` a file of the stage's data by name, out
    of reach unless ``stage_available``; both raise a TowpathError. ``scratch`` is a folder to work
    in, ``kept`` one for what is laid out once for each commit."""

    stage: str
    candidate: VersionRecord
    incumbent: VersionRecord | None
    repository: Repository
    base: str
    project: Project
    below: TimeBelow | None
    model: Callable[[VersionRecord], Path]
    data: Callable[[str], Path]
    now: int
    scratch: Path
    stage_available: bool
    folder: str = ""
    kept: Path | None = None

    @property
    def own_code(self) -> OwnCode:
        home = self.kept or self.scratch.absolute() / "code"
        source = CodeSource(self.repository, home, self.project, self.stage, self.base)
        return find_own_code(source, self.candidate)


class GatePolicy(Struct, frozen=True, dict=True):
    """The files of a context's base commit, below the project's folder in it."""

    context: GateContext
    _laid_out: dict[str, Path] = field(default_factory=dict)

    def source(self, gate: str) -> str:
        """Where a gate is declared: ``towpath.yaml:14 at 3f2a1c0``."""
        place = self._declared_places.find_place("stages", self.context.stage, "gates", gate)
        line = f":{place.line}" if place and place.line else ""
        path = policy_at_commit.declaration_path(self.context.folder.strip("/"))
        return f"{path}{line} at {self.context.base[:7]}"

    @cached_property
    def _declared_places(self) -> Places:
        context, path = self.context, policy_file_path(self.context.folder, policy_at_commit.FILE)
        content = refs.read_content(context.repository, context.base, path)
        text = (content or b"").decode("utf-8", "replace")
        return Places(documents.parse_yaml(text, policy_at_commit.FILE).node)

    def lay_out_file(self, path: str) -> Path:
        """A file of the commit, on disk; ``path`` counts from the project's root."""
        if path not in self._laid_out:
            context = self.context
            content = read_policy_file(context.repository, context.base, context.folder, path)
            self._laid_out[path] = self.make_work_folder() / PurePosixPath(path).name
            self._laid_out[path].write_bytes(content)
        return self._laid_out[path]

    @cached_property
    def tree(self) -> Path:
        repository, room = self.context.repository, self.make_work_folder()
        # An index and a work tree of its own: the user's checkout is not touched.
        env = {"GIT_INDEX_FILE": str(room / "index"), "GIT_WORK_TREE": str(room)}
        repository.call("read-tree", self.context.base, env=env)
        words = ("checkout-index", "--all", "--quiet", f"--prefix={room}/tree/")
        # As committed: a smudge filter or other line ends would be code or bytes of this machine's.
        repository.call(*AS_COMMITTED, *words, env=env)
        return room / "tree" / self.context.folder.strip("/")

    def make_work_folder(self) -> Path:
        scratch = self.context.scratch.absolute()
        scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="policy-", dir=scratch))


def read_policy_file(repository: Repository, base: str, folder: str, path: str) -> bytes:
    """A file of the commit that judges; ``path`` counts from ``folder``, the project's in it.
    Raises ``Unjudged`` where there is none, ``StoreError`` for a pointer whose bytes are away."""
    place = policy_file_path(folder, path)
    content = refs.read_content(repository, base, place)
    if content is None:
        names = commit_history.list_paths(repository, base)
        near = did_you_mean(place, names)
        if pointer_path(place) in names:
            near = "DVC tracks it, and gates read from Git"
        what = f"there is no {path} at {base[:7]}"
        raise Unjudged(what + (f" ({near})" if near else ""))
    return large_files.resolve_pointer(repository, content, path)


def policy_file_path(folder: str, path: str) -> str:
    """A path from the project's root as the commit has it."""
    return f"{folder.strip('/')}/{path}".lstrip("/")
