"""What judges a version: gates, suites, samples and functions as the base commit has them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from towpath import documents
from towpath.backends.dvc.pointer_files import pointer_path
from towpath.backends.git import Repository, commit_history, large_files, refs
from towpath.backends.git.git_command import AS_COMMITTED
from towpath.config.declaration import Places
from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.gate_finding import Unjudged
from towpath.errors import did_you_mean
from towpath.registry import policy_at_commit

_SHORT = 7


@dataclass(frozen=True)
class GatePolicy:
    """The files of a commit, below the project's folder in it; what is asked for is written below
    ``scratch`` once."""

    repository: Repository
    commit: str
    folder: str
    scratch: Path
    _made: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of_context(cls, context: GateContext) -> GatePolicy:
        """That of a context."""
        scratch = context.scratch.absolute()
        return cls(context.repository, context.base, context.folder.strip("/"), scratch)

    def source(self, stage: str, gate: str) -> str:
        """Where a gate is declared: ``towpath.yaml:14 at 3f2a1c0``."""
        place = self._declared_places.find_place("stages", stage, "gates", gate)
        line = f":{place.line}" if place and place.line else ""
        return f"{policy_at_commit.declaration_path(self.folder)}{line} at {self.short_commit}"

    @property
    def short_commit(self) -> str:
        """The commit as a person reads it."""
        return self.commit[:_SHORT]

    @cached_property
    def _declared_places(self) -> Places:
        content = self._read_content(policy_at_commit.FILE)
        if content is None:
            return Places()
        return Places(
            documents.parse_yaml(content.decode("utf-8", "replace"), policy_at_commit.FILE).node
        )

    def lay_out_file(self, path: str) -> Path:
        """A file of the commit, on disk; ``path`` counts from the project's root.

        :raises Unjudged: where the commit has none.
        """
        if path not in self._made:
            content = self._read_content(path)
            if content is None:
                raise Unjudged(self._explain_missing(path))
            target = self.make_work_folder() / PurePosixPath(path).name
            target.write_bytes(content)
            self._made[path] = target
        return self._made[path]

    def lay_out_tree(self) -> Path:
        """The project's folder with all the files of the commit, on disk."""
        if "" not in self._made:
            room = self.make_work_folder()
            env = {"GIT_INDEX_FILE": str(room / "index"), "GIT_WORK_TREE": str(room)}
            self.repository.call("read-tree", self.commit, env=env)
            words = ("checkout-index", "--all", "--quiet", f"--prefix={room}/tree/")
            self.repository.call(*AS_COMMITTED, *words, env=env)
            self._made[""] = room / "tree" / self.folder
        return self._made[""]

    def make_work_folder(self) -> Path:
        """A new folder to work in."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="policy-", dir=self.scratch))

    def _read_content(self, path: str) -> bytes | None:
        name = f"{self.commit}:{self._path_from_root(path)}"
        content = refs.read_contents(self.repository, [name]).get(name)
        return (
            None if content is None else large_files.resolve_pointer(self.repository, content, path)
        )

    def _path_from_root(self, path: str) -> str:
        return f"{self.folder}/{path}".lstrip("/")

    def _explain_missing(self, path: str) -> str:
        names = commit_history.list_paths(self.repository, self.commit)
        near = did_you_mean(self._path_from_root(path), names)
        if pointer_path(self._path_from_root(path)) in names:
            near = "DVC tracks it, and gates read from Git"
        return f"there is no {path} at {self.short_commit}" + (f" ({near})" if near else "")
