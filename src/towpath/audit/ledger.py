"""What every audit reads: the promotions on the main branch, and the registry's tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from towpath import registry
from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.git import Repository, mainline, remotes
from towpath.registry import Model, Promotion, Version, policy, reading, staging
from towpath.registry.staging import Assigned

if TYPE_CHECKING:
    from towpath.spec.project import Project
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Ledger:
    """A registry as one audit sees it.

    ``main`` is the commit whose log is read, ``folder`` the project's from the Git root,
    ``model`` the one that is asked about (None: all).
    """

    repository: Repository
    main: str
    folder: str = ""
    model: str | None = None

    @cached_property
    def promotions(self) -> tuple[Promotion, ...]:
        """Every change of a stage file, oldest first."""
        return registry.promotions(self.repository, self.main, model=self.model)

    @cached_property
    def models(self) -> Mapping[str, Model]:
        """The models by name."""
        if self.model is None:
            return reading.models(self.repository)
        return {self.model: reading.model(self.repository, self.model)}

    @cached_property
    def assigned(self) -> tuple[Assigned, ...]:
        """Every stage tag that is one, oldest first."""
        return staging.history(self.repository, self.model)

    @cached_property
    def project(self) -> Project:
        """The policy on the main branch now."""
        return policy.at(self.repository, self.main, self.folder)

    def of(self, stage: str, model: str) -> Sequence[Promotion]:
        """The promotions of a model in a stage, oldest first."""
        return self._promotions.get((stage, model), ())

    @cached_property
    def _promotions(self) -> Mapping[tuple[str, str], list[Promotion]]:
        found: defaultdict[tuple[str, str], list[Promotion]] = defaultdict(list)
        for one in self.promotions:
            found[one.stage, one.model].append(one)
        return found

    def tags(self, promotion: Promotion) -> Sequence[Assigned]:
        """The stage tags that follow from a promotion, oldest first."""
        place = promotion.commit, promotion.path
        return [tag for tag, one in self._paired if one and (one.commit, one.path) == place]

    @property
    def strays(self) -> Sequence[Assigned]:
        """The stage tags that follow from no promotion."""
        return [tag for tag, promotion in self._paired if promotion is None]

    def version_on(self, model: str, commit: str) -> Version | None:
        """The number of the version that stands on a commit."""
        versions = self.models[model].versions if model in self.models else ()
        return next((one.version for one in versions if one.commit == commit), None)

    @cached_property
    def _paired(self) -> Sequence[tuple[Assigned, Promotion | None]]:
        return tuple(self._pairs())

    def _pairs(self) -> Iterator[tuple[Assigned, Promotion | None]]:
        """Each stage tag with its promotion: the last before it that asked for its version.

        Tags follow promotions in order: one that goes back behind its predecessor's was not
        written by reconcile. Two tags may follow one promotion, where the first was mended.
        """
        reached: dict[tuple[str, str], int] = {}
        for tag in self.assigned:
            here = tag.stage, tag.model
            version = None if tag.undone else self.version_on(tag.model, tag.commit)
            place = _place(self.of(*here), tag, version, reached.get(here, 0))
            reached[here] = reached.get(here, 0) if place is None else place
            yield tag, None if place is None else self.of(*here)[place]


def _place(
    known: Sequence[Promotion], tag: Assigned, version: Version | None, least: int
) -> int | None:
    if version is None and not tag.undone:
        return None
    fitting = (
        place
        for place in reversed(range(least, len(known)))
        if known[place].time <= tag.tag.time
        and known[place].version == version
        and known[place].fault is None
    )
    return next(fitting, None)


def open_ledger(workspace: Workspace, model: str | None = None) -> Ledger:
    """The registry of a project, for one model or for all.

    Raises ``UsageError`` for a model that is not there, ``RegistryError`` where there is no main
    branch, and in a clone that lacks the registry's tags or its history.
    """
    repository = workspace.registry
    if remotes.is_tagless(repository):
        raise RegistryError("this clone was made without tags", hint="towpath fetch")
    main = mainline.main(repository)
    if main is None:
        raise RegistryError("nothing is committed yet, so there is no history")
    ledger = Ledger(repository, main, workspace.folder, model)
    if model is not None and not ledger.promotions:
        registry.known_model(repository, model)
    return ledger


def known_stage(ledger: Ledger, stage: str) -> None:
    """Raise ``UsageError`` with the near name for a stage that neither is nor ever was."""
    known = [*ledger.project.stages, *(one.stage for one in ledger.promotions)]
    if stage not in known:
        there_is = f"there is {', '.join(dict.fromkeys(known))}"
        raise UsageError(f"no stage `{stage}`", hint=did_you_mean(stage, known) or there_is)
