"""Where a command works: a project's root and the rooms that read it, opened when asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import DeclarationError, Fault, Place, UsageError, UserError, did_you_mean
from towpath.regular_files import read_regular_file

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.backends.git import Repository
    from towpath.config.pipeline_file import DeclaredPipeline, PipelineFileMemory
    from towpath.config.project_declaration import Project
    from towpath.dependencies import CodeReader

PROJECT_FILE = "towpath.yaml"


def _taken_away(begin: Path) -> Fault | None:
    """Which project's declaration was here, and how it comes back; None where there was none."""
    from towpath.backends.git import Repository, refs
    from towpath.registry import policy_at_commit

    repository = Repository.find_repository(begin)
    if repository is None or repository.bare or repository.head() is None:
        return None
    root = repository.root.resolve()
    folders = [up for up in (begin, *begin.parents) if up.resolve().is_relative_to(root)]
    paths = [
        policy_at_commit.declaration_path(up.resolve().relative_to(root).as_posix().strip("."))
        for up in folders
    ]
    names = [f"HEAD:{path}" for path in paths]
    if present := [path for name, path in zip(names, paths, strict=True)
                if name in refs.read_contents(repository, names)]:  # fmt: skip
        return Fault("", Place(present[0]), f"git checkout HEAD -- ':/{present[0]}' brings it back")
    last = policy_at_commit.last_change(repository, "HEAD", *paths)
    if last is None:
        return None
    return Fault(
        "",
        Place(f"{last.path}, taken away in {last.commit[:7]} by {last.author}"),
        last.way_to_undo_change,
    )


class Workspace:
    """A project on disk. It is passed to whom needs it; nothing of it is global.

    ``root`` is the folder that holds ``towpath.yaml``. With ``refreshes`` a shared registry is
    looked at again where the view of it is old; without, nothing here asks the network.
    ``pipeline_files`` is what a server keeps of the pipelines' files from one request to the next.
    ``keep`` gives, of a repository that was opened, the one that its caller opened before, with
    what that remembers of commits.
    """

    def __init__(
        self,
        root: Path,
        refreshes: bool = True,
        pipeline_files: PipelineFileMemory | None = None,
        keep: Callable[[Repository], Repository] | None = None,
    ) -> None:
        self.root = root
        self.refreshes = refreshes
        self.pipeline_files = pipeline_files
        self._keep = keep or (lambda repository: repository)

    @classmethod
    def find(cls, start: Path | None = None) -> Workspace:
        """The project around ``start`` (default: the working directory), looked for upwards."""
        begin = (start or Path.cwd()).absolute()
        for folder in (begin, *begin.parents):
            # A pipe of that name, too: reading it says what it is.
            if (folder / PROJECT_FILE).exists() and not (folder / PROJECT_FILE).is_dir():
                return cls(folder)
        what = f"no project here: there is no {PROJECT_FILE} in {begin} or above it"
        if gone := _taken_away(begin):
            raise UsageError(Fault(f"{what}, and there was", gone.place, gone.hint))
        hint = "`towpath init` makes this repository one, `towpath new` a new one; or use -C"
        raise UsageError(what, hint=hint)

    @cached_property
    def project(self) -> Project:
        """The declaration in ``towpath.yaml``."""
        from towpath.config.project_declaration import read_project

        return read_project(self.root)

    @cached_property
    def pipelines(self) -> Mapping[str, Path]:
        """The pipelines' files by name; a pipeline's name is that of its folder."""
        files = sorted((self.root / "flows").glob("*/pipeline.yaml"))
        return {path.parent.name: path for path in files}

    def pipeline(self, name: str | None = None) -> DeclaredPipeline:
        """A pipeline's declaration; without a name the only one, or ``training``."""
        from towpath.config.pipeline_file import read_pipeline

        path = self.pipelines[self.pipeline_name(name)]
        if self.pipeline_files:
            return self.pipeline_files.read_pipeline_file(path, self.root, self._own_formats)
        return read_pipeline(path, self.root, self._own_formats)

    @cached_property
    def _own_formats(self) -> Mapping[str, str]:
        """The formats of its own that the project declares: the class of each, by name."""
        # Reading the whole declaration takes longer than reading most pipelines.
        text = self._declaration_text()
        return self.project.formats if "formats" in text else {}

    def pipeline_name(self, name: str | None = None) -> str:
        """The name meant: as given, the only one there is, or ``training``."""
        if name is not None and name in self.pipelines:
            return name
        if name is None and len(self.pipelines) == 1:
            return next(iter(self.pipelines))
        if name is None and "training" in self.pipelines:
            return "training"
        raise UsageError(self._unknown_pipeline(name))

    def _unknown_pipeline(self, name: str | None) -> Fault:
        names = ", ".join(self.pipelines)
        none_yet = "" if names else "there is none yet: write flows/<name>/pipeline.yaml"
        if name is None:
            return Fault("no pipeline is named", hint=none_yet or f"one of {names}")
        near = did_you_mean(name, self.pipelines)
        return Fault(f"no pipeline `{name}`", hint=near or none_yet or f"there is {names}")

    @cached_property
    def store(self) -> Store:
        """The project's store."""
        from towpath.backends.dvc import Store

        return Store(self.root)

    @cached_property
    def code(self) -> CodeReader:
        """The reader of the project's code; it remembers what it parsed."""
        from towpath.dependencies import CodeReader

        return CodeReader(self.root)

    @cached_property
    def repository(self) -> Repository | None:
        """The Git repository around the project, or None."""
        from towpath.backends.git import Repository

        opened = Repository.find_repository(self.root)
        return self._remember(opened) if opened else None

    def _remember(self, opened: Repository) -> Repository:
        # A copy begins with an empty memory: it is made where it differs, and not else.
        differs = opened.asks_remotes != self.refreshes
        return self._keep(
            dataclasses.replace(opened, asks_remotes=self.refreshes) if differs else opened
        )

    def _declaration_text(self) -> str:
        """DeclarationError where the file cannot be read: it went, or something else is there."""
        try:
            return read_regular_file(self.root / PROJECT_FILE).decode("utf-8", "replace")
        except OSError as unread:
            what = f"the file cannot be read: {(unread.strerror or str(unread)).lower()}"
            raise DeclarationError(Fault(what, Place(PROJECT_FILE))) from unread

    @cached_property
    def shared_registry(self) -> str | None:
        """The address of the registry that this project shares; None where it keeps its own."""
        text = self._declaration_text()
        if "registry" not in text:
            return None
        from towpath import documents

        if documents.find_entry(text, "registry") in (None, "."):
            return None  # reading the whole declaration takes longer than listing the models
        if self.project.registry == ".":
            return None
        from towpath.registry import shared_registry

        return shared_registry.registry_address(self.project.registry, self.root)

    @cached_property
    def registry(self) -> Repository:
        """The repository that keeps the registry: this one, or a clone of the shared one.

        A view of the shared one that is older than ten minutes is brought up to date, if it can
        be. UserError where there is no repository, RegistryError where the shared registry was
        never seen and cannot be reached.
        """
        repository = self.registry_at_hand
        if self.shared_registry and self.refreshes:
            from towpath.registry import shared_registry

            shared_registry.refresh_clone(repository, self.shared_registry)
        return repository

    @cached_property
    def registry_at_hand(self) -> Repository:
        """The same as it was last brought here, without a look at the network."""
        if self.shared_registry:
            from towpath.backends.git import remotes
            from towpath.registry import shared_registry

            clone = shared_registry.at_hand(self.shared_registry, self.state / "registry")
            if self.repository:
                remotes.follow_settings(clone, self.repository)
            return self._remember(clone)
        if self.repository is None:
            hint = "git init, and commit"
            raise UserError("there is no Git repository here, so no registry", hint=hint)
        return self.repository

    @cached_property
    def policy(self) -> Project:
        """What stages, stores, gates and forge there are: this project's declaration, or what the
        shared registry's main branch declares."""
        if self.shared_registry is None:
            return self.project
        from towpath.registry import policy_at_commit, shared_registry

        main = shared_registry.registry_root_commit(self.registry, self.shared_registry)
        return policy_at_commit.read_project_at(self.registry, main)

    @cached_property
    def folder(self) -> str:
        """The project's folder in the repository that keeps its registry, empty at the root.

        A shared registry has its own ``towpath.yaml``, at its root.
        """
        if self.shared_registry or self.repository is None or self.repository.bare:
            return ""
        inside = self.path_in_repository(self.repository).as_posix()
        return "" if inside == "." else inside

    @property
    def claimant_folder(self) -> str:
        """The folder of a project that may own models here. Raises ``UsageError`` where the
        registry is shared, in which repositories own them."""
        if self.shared_registry:
            hint = "`owners` in the shared registry's towpath.yaml says whose a model is"
            raise UsageError("this project shares a registry with others", hint=hint)
        return self.folder

    @cached_property
    def main_folder(self) -> Path:
        """Where stages are kept, and what else is one for all work trees of a repository: the
        project's folder in the main work tree.

        A bare repository has none: there it is a folder beside the repository where that is hidden
        (``.git``, ``.bare``), else one in it.
        """
        repository = self.repository
        if repository is None or repository.bare:
            return self.root
        main = repository.main_work_tree()
        if main is None:
            common = repository.common
            main = common.parent if common.name.startswith(".") else common / "towpath"
        return main / self.path_in_repository(repository)

    @cached_property
    def checkout(self) -> Path:
        """The project's folder in the main work tree; in this one where there is none."""
        return self.main_folder if (self.main_folder / PROJECT_FILE).is_file() else self.root

    def path_in_repository(self, repository: Repository) -> Path:
        """The project's folder, from the root of a work tree around it."""
        return self.root.resolve().relative_to(repository.root.resolve())

    @property
    def state(self) -> Path:
        """The folder of runs and local state, ignored by Git."""
        return self.root / ".towpath"

    @property
    def runs(self) -> Path:
        """The folder of run directories."""
        return self.state / "runs"
