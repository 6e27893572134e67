"""A stage as a reconcile sees it: its declaration on the main branch, its store, its target."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import registry
from towpath.backends.git import Repository, commit_history, main_branch, remotes
from towpath.backends.git.main_branch import MainBranch
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.rules_in_force import names_forge
from towpath.errors import (
    RegistryError,
    UsageError,
    did_you_mean,
)
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


class StageSite(Struct, frozen=True, dict=True):
    """One stage in the registry as it is read: ``main`` is its main branch's head, ``remote`` what
    it is shared by, None without one and offline. ``ahead`` counts commits on the main branch here
    that the remote's, ``there``, does not have: with a forge they do not count yet, and without
    one nothing that follows from them is pushed. ``environ`` holds the credentials' values;
    ``branch`` is the main branch as it was found."""

    workspace: Workspace
    repository: Repository
    main: str
    remote: str | None
    ahead: int
    there: str | None
    stage: str
    branch: MainBranch
    environ: Mapping[str, str]
    say: Callable[[str], object] = len
    """Told what a person may want to read while it goes on."""

    def is_shared(self, commit: str) -> bool:
        """Whether the remote's main branch holds a commit, so that what follows from it may be
        told to others; without a remote there is nobody to tell."""
        return self.there is None or commit_history.is_ancestor(self.repository, commit, self.there)

    def find_model(self, name: str) -> Model:
        # Once: the plan asks for it from several sides, and reading it asks Git.
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
        # None in a shallow clone: it may be planned for there, and approval, which needs the log,
        # is asked before anything is changed.
        if self.repository.is_shallow():
            return MainDecisions(self.repository, self.main, ())
        return MainDecisions.read(self.repository, self.main)

    @property
    def declared_stage(self) -> StageDeclaration:
        return self.project.stages[self.stage]

    @property
    def stage_below(self) -> str | None:
        return next(iter(self.project.lower_stages(self.stage)), None)

    def own_code(self, record: VersionRecord) -> OwnCode:
        home = self.workspace.state / "code"
        source = CodeSource(self.repository, home, self.project, self.stage, self.main)
        return find_own_code(source, record)

    @cached_property
    def store(self) -> StageStore:
        return self.open_store(self.stage)

    def open_store(self, stage: str) -> StageStore:
        """A stage's store, opened as this stage: one below is read with this one's keys."""
        return StageStore.open(
            self.project, stage, self.environ, self.workspace.main_folder, self.stage
        )

    def open_declared_stores(self) -> Iterator[StageStore]:
        for name in self.project.stores:
            yield StageStore.open_declared(
                self.project, name, self.environ, self.workspace.main_folder
            )

    @cached_property
    def forge(self) -> Forge | None:
        """The forge that approvals are asked of; None where none is configured, and offline."""
        if self.remote is None:
            return None
        from towpath.delivery.promotion.rules_in_force import connect_forge_in_force

        return connect_forge_in_force(self.workspace, self.main)

    @cached_property
    def rule(self) -> ApprovalRule:
        folder = self.workspace.folder
        return ApprovalRule(self.repository, self.main, folder, self.forge, self.branch)

    @cached_property
    def target(self) -> DeployTarget:
        from towpath.delivery.reconcile import targets

        place = self.workspace.main_folder, self.workspace.checkout
        setting = (self.stage, self.declared_stage, *place, self.environ, self.say)
        return targets.open_target(targets.TargetSetting(*setting))


def open_stage_site(
    workspace: Workspace,
    stage: str,
    environ: Mapping[str, str] | None,
    say: Callable[[str], object],
    offline: bool,
    fetches: bool,
) -> StageSite:
    """A declared stage, the registry brought up to date where it has a remote and ``offline`` is
    false; without ``fetches`` as it was brought here last, though a forge may be asked. Raises
    ``RegistryError`` where the remote does not answer, ``UsageError`` for another stage."""
    repository = workspace.registry_at_hand
    remote = None if offline else remotes.choose_remote(repository)
    if remote and fetches:
        remotes.deepen_clone(repository, remote)  # the promotions are in the history
        registry.fetch_registry(repository, remote)
    branch = main_branch.find_main_branch(repository)
    newest = main_branch.newest_commit(repository, branch) if branch else None
    if branch is None or newest is None:
        raise RegistryError(_UNBORN)
    # What a forge merged is approved; what is only here is not there yet.
    remote_main = branch.far if remote else None
    ahead = _count_ahead(repository, branch.near, remote_main)
    at_forge = remote_main is not None and names_forge(workspace, repository, newest)
    main = (remote_main if at_forge else None) or newest
    environ = os.environ if environ is None else environ
    place = workspace, repository, main, remote, ahead, remote_main
    site = StageSite(*place, stage, branch, environ, say)
    _require_stage(stage, site.project.stages)
    return site


def _require_stage(stage: str, declared: Collection[str]) -> None:
    if stage not in declared:
        hint = did_you_mean(stage, declared) or f"there is {', '.join(declared)}"
        raise UsageError(f"there is no stage `{stage}` on the main branch", hint=hint)


def _count_ahead(repository: Repository, mine: str | None, remote_main: str | None) -> int:
    if remote_main is None or mine in (None, remote_main):
        return 0
    return int(repository.call("rev-list", "--count", f"{remote_main}..{mine}"))


def declared_stages(workspace: Workspace) -> tuple[str, ...]:
    """The stages that main declares as it was brought here last, whatever is checked out."""
    repository = workspace.registry_at_hand
    main = main_branch.main_commit(repository)
    if main is None:
        raise RegistryError(_UNBORN)
    return tuple(policy_at_commit.read_project_at(repository, main, workspace.folder).stages)
