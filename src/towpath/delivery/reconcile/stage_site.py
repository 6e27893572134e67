"""A stage as a reconcile sees it: its declaration on the main branch, its store, its target."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, commit_history, main_branch, remotes
from towpath.delivery.promotion.approval_rule import ApprovalRule
from towpath.delivery.promotion.rules_in_force import names_forge
from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.registry import Model, Promotion, Record, policy_at_commit, registry_state
from towpath.registry.main_decisions import Decisions
from towpath.registry.own_code import CodeSource, OwnCode, find_own_code
from towpath.registry.ownership import Owners, read_owners
from towpath.storage.stage_store import StageStore

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project, Stage
    from towpath.delivery.reconcile.targets import Target
    from towpath.forge import Forge
    from towpath.workspace import Workspace

_UNBORN = "there is no main branch yet, so no stage wants anything"


@dataclass(frozen=True)
class View:
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
        if name not in self._models:
            self._models[name] = registry_state.model(self.repository, name)
        return self._models[name]

    @cached_property
    def _models(self) -> dict[str, Model]:
        return {}

    @cached_property
    def project(self) -> Project:
        """The policy: ``towpath.yaml`` on the main branch."""
        return policy_at_commit.at(self.repository, self.main, self.workspace.folder)

    @cached_property
    def owners(self) -> Owners:
        """Whose each model is, by main."""
        return read_owners(self.repository, self.main)

    @cached_property
    def decisions(self) -> Decisions:
        """Every promotion of every stage, and the records that came with them.

        None in a shallow clone: it may be planned for there, and approval, which needs the log,
        is asked before anything is changed.
        """
        if self.repository.is_shallow():
            return Decisions(self.repository, self.main, ())
        return Decisions.read(self.repository, self.main)

    def promotions_of(self, model: str) -> tuple[Promotion, ...]:
        """A model's promotions, oldest first."""
        return tuple(one for one in self.decisions.log if one.model == model)


def view(workspace: Workspace, offline: bool = False, fetches: bool = True) -> View:
    """The registry, brought up to date where it has a remote and ``offline`` is false; without
    ``fetches`` as it was brought here last, though a forge may be asked.

    Raises ``RegistryError`` where the remote does not answer, and where there is no main branch.
    """
    repository = workspace.registry_at_hand
    remote = None if offline else remotes.chosen(repository)
    if remote and fetches:
        remotes.deepen(repository, remote)  # the promotions are in the history
        registry.fetch(repository, remote)
    near = main_branch.main(repository)
    if near is None:
        raise RegistryError(_UNBORN)
    # What a forge merged is approved; what is only here is not there yet.
    there = main_branch.remote_main(repository) if remote else None
    ahead = _ahead(repository, there) if there else 0
    main = (there if there and names_forge(workspace, repository) else None) or near
    return View(workspace, repository, main, remote, ahead, there)


def declared_stages(workspace: Workspace) -> tuple[str, ...]:
    """The stages that the main branch declares, as it was brought here last, whatever is checked
    out."""
    repository = workspace.registry_at_hand
    main = main_branch.main(repository)
    if main is None:
        raise RegistryError(_UNBORN)
    return tuple(policy_at_commit.at(repository, main, workspace.folder).stages)


def _ahead(repository: Repository, there: str) -> int:
    """How many commits the main branch here is ahead of the remote's."""
    here = repository.commit(f"refs/heads/{main_branch.name(repository)}")
    if here is None or here == there:
        return 0
    return int(repository.call("rev-list", "--count", f"{there}..{here}"))


@dataclass(frozen=True)
class Site:
    """One stage in a view of the registry; ``environ`` holds the credentials' values."""

    view: View
    stage: str
    environ: Mapping[str, str]
    say: Callable[[str], object] = field(default=len, repr=False)
    """Told what a person may want to read while it goes on."""

    @classmethod
    def of(
        cls,
        view: View,
        stage: str,
        environ: Mapping[str, str] | None = None,
        say: Callable[[str], object] = len,
    ) -> Site:
        """A declared stage; ``UsageError`` with the near name for another."""
        known = view.project.stages
        if stage not in known:
            hint = did_you_mean(stage, known) or f"there is {', '.join(known)}"
            raise UsageError(f"there is no stage `{stage}` on the main branch", hint=hint)
        return cls(view, stage, os.environ if environ is None else environ, say)

    @property
    def project(self) -> Project:
        """The policy on the main branch."""
        return self.view.project

    @property
    def declared(self) -> Stage:
        """What the stage declares."""
        return self.project.stages[self.stage]

    @property
    def below(self) -> str | None:
        """The stage below on the ladder; None for the first."""
        names = list(self.project.stages)
        place = names.index(self.stage)
        return names[place - 1] if place else None

    @property
    def home(self) -> Path:
        """Where folders in towpath.yaml start, for all work trees of the repository."""
        return self.view.workspace.home

    @property
    def checkout(self) -> Path:
        """The project's folder with its files: programs of the project are started there."""
        return self.view.workspace.checkout

    def own_code(self, record: Record) -> OwnCode:
        """A version's own code, as far as its model's file may need it and this stage runs it."""
        view = self.view
        source = CodeSource.of_stage(
            view.repository, view.workspace.state / "code", self.project, self.stage, view.main
        )
        return find_own_code(source, record, self.project.trust)

    @cached_property
    def store(self) -> StageStore:
        """The stage's own store."""
        return self.open_store(self.stage)

    def open_store(self, stage: str) -> StageStore:
        """A stage's store, opened as this stage: one below is read with this one's keys."""
        return StageStore.open(self.project, stage, self.environ, self.home, self.stage)

    @cached_property
    def forge(self) -> Forge | None:
        """The forge that approvals are asked of; None where none is configured, and offline."""
        if self.view.remote is None:
            return None
        from towpath.delivery.promotion.rules_in_force import connected

        return connected(self.view.workspace, self.view.main)

    @cached_property
    def rule(self) -> ApprovalRule:
        """The rule of approval, of the main branch that is looked at."""
        view = self.view
        return ApprovalRule(view.repository, view.main, view.workspace.folder, self.forge)

    @cached_property
    def target(self) -> Target:
        """What runs versions here."""
        from towpath.delivery.reconcile import targets

        return targets.of(self)
