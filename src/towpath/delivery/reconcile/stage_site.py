"""A stage as a reconcile sees it: its declaration on the main branch, its store, its target."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, branches, commit_history, remotes
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.rules_in_force import names_forge
from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.registry import Model, VersionRecord, policy_at_commit, registry_state
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.ownership import Owners, read_owners
from towpath.registry.version_code import CodeSource, OwnCode, find_own_code
from towpath.storage.stage_store import StageStore

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project, StageDeclaration
    from towpath.delivery.reconcile.targets import DeployTarget
    from towpath.forge import Forge
    from towpath.workspace import Workspace

_UNBORN = "there is no main branch yet, so no stage wants anything"


@dataclass(frozen=True)
class RegistryView:
    """The registry as it is read: its main branch's head, and the remote that it is shared by.

    ``remote`` is None without one, and offline; ``ahead`` counts commits on the main branch here
    that the remote's does not have: with a forge they do not count yet, and without one nothing
    that follows from them is pushed. ``there`` is the remote's main branch.
    """

    workspace: Workspace
    repository: Repository
    main: str
    remote: str | None = None
    ahead: int = 0
    there: str | None = None

    def is_shared(self, commit: str) -> bool:
        """Whether the remote's main branch holds a commit, so that what follows from it may be
        told to others; without a remote there is nobody to tell."""
        return self.there is None or commit_history.is_ancestor(self.repository, commit, self.there)

    def model(self, name: str) -> Model:
        """One model, read once: the plan asks for it from several sides."""
        if name not in self._model_cache:
            self._model_cache[name] = registry_state.read_model(self.repository, name)
        return self._model_cache[name]

    @cached_property
    def _model_cache(self) -> dict[str, Model]:
        return {}

    @cached_property
    def project(self) -> Project:
        """The policy: ``towpath.yaml`` on the main branch."""
        return policy_at_commit.read_project_at(self.repository, self.main, self.workspace.folder)

    @cached_property
    def model_owners(self) -> Owners:
        return read_owners(self.repository, self.main)

    @cached_property
    def main_decisions(self) -> MainDecisions:
        """Every promotion of every stage, and the records that came with them."""
        # None in a shallow clone: it may be planned for there, and approval, which needs the log,
        # is asked before anything is changed.
        if self.repository.is_shallow():
            return MainDecisions(self.repository, self.main, ())
        return MainDecisions.read(self.repository, self.main)


def open_registry_view(
    workspace: Workspace, offline: bool = False, fetches: bool = True
) -> RegistryView:
    """The registry, brought up to date where it has a remote and ``offline`` is false; without
    ``fetches`` as it was brought here last, though a forge may be asked.

    Raises ``RegistryError`` where the remote does not answer, and where there is no main branch.
    """
    repository = workspace.registry_at_hand
    remote = None if offline else remotes.choose_remote(repository)
    if remote and fetches:
        remotes.deepen_clone(repository, remote)  # the promotions are in the history
        registry.fetch_registry(repository, remote)
    near = branches.main_commit(repository)
    if near is None:
        raise RegistryError(_UNBORN)
    # What a forge merged is approved; what is only here is not there yet.
    remote_main = branches.remote_main(repository) if remote else None
    ahead = _count_ahead(repository, remote_main) if remote_main else 0
    main = (remote_main if remote_main and names_forge(workspace, repository) else None) or near
    return RegistryView(workspace, repository, main, remote, ahead, remote_main)


def declared_stages(workspace: Workspace) -> tuple[str, ...]:
    """The stages that the main branch declares, as it was brought here last, whatever is checked
    out."""
    repository = workspace.registry_at_hand
    main = branches.main_commit(repository)
    if main is None:
        raise RegistryError(_UNBORN)
    return tuple(policy_at_commit.read_project_at(repository, main, workspace.folder).stages)


def _count_ahead(repository: Repository, remote_main: str) -> int:
    local_main = repository.commit(f"refs/heads/{branches.main_branch_name(repository)}")
    if local_main is None or local_main == remote_main:
        return 0
    return int(repository.call("rev-list", "--count", f"{remote_main}..{local_main}"))


@dataclass(frozen=True)
class StageSite:
    """One stage in a view of the registry; ``environ`` holds the credentials' values."""

    view: RegistryView
    stage: str
    environ: Mapping[str, str]
    say: Callable[[str], object] = field(default=len, repr=False)
    """Told what a person may want to read while it goes on."""

    @classmethod
    def open_stage(
        cls,
        view: RegistryView,
        stage: str,
        environ: Mapping[str, str] | None = None,
        say: Callable[[str], object] = len,
    ) -> StageSite:
        """A declared stage; ``UsageError`` with the near name for another."""
        stages = view.project.stages
        if stage not in stages:
            hint = did_you_mean(stage, stages) or f"there is {', '.join(stages)}"
            raise UsageError(f"there is no stage `{stage}` on the main branch", hint=hint)
        return cls(view, stage, os.environ if environ is None else environ, say)

    @property
    def project(self) -> Project:
        return self.view.project

    @property
    def declared_stage(self) -> StageDeclaration:
        return self.project.stages[self.stage]

    @property
    def stage_below(self) -> str | None:
        """The stage below on the ladder; None for the first."""
        return next(iter(self.project.lower_stages(self.stage)), None)

    @property
    def home_folder(self) -> Path:
        """Where folders in towpath.yaml start, for all work trees of the repository."""
        return self.view.workspace.main_folder

    @property
    def checkout(self) -> Path:
        """The project's folder with its files: programs of the project are started there."""
        return self.view.workspace.checkout

    def own_code(self, record: VersionRecord) -> OwnCode:
        """A version's own code, as far as its model's file may need it and this stage runs it."""
        view = self.view
        source = CodeSource.of_stage(
            view.repository, view.workspace.state / "code", self.project, self.stage, view.main
        )
        return find_own_code(source, record, self.project.trust)

    @cached_property
    def store(self) -> StageStore:
        return self.open_store(self.stage)

    def open_store(self, stage: str) -> StageStore:
        """A stage's store, opened as this stage: one below is read with this one's keys."""
        return StageStore.open(self.project, stage, self.environ, self.home_folder, self.stage)

    @cached_property
    def forge(self) -> Forge | None:
        """The forge that approvals are asked of; None where none is configured, and offline."""
        if self.view.remote is None:
            return None
        from towpath.delivery.promotion.rules_in_force import connect_forge_in_force

        return connect_forge_in_force(self.view.workspace, self.view.main)

    @cached_property
    def rule(self) -> ApprovalRule:
        view = self.view
        return ApprovalRule(view.repository, view.main, view.workspace.folder, self.forge)

    @cached_property
    def target(self) -> DeployTarget:
        from towpath.delivery.reconcile import targets

        setting = targets.TargetSetting(
            stage=self.stage,
            declared=self.declared_stage,
            home_folder=self.home_folder,
            checkout=self.checkout,
            environ=self.environ,
            say=self.say,
        )
        return targets.open_target(setting)
