"""From what is wanted of a stage and what is there to the changes between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from towpath.delivery.reconcile.deployment_record import DeploymentRecord
from towpath.errors import Fault
from towpath.registry.version_reference import VersionNumber
from towpath.storage.verified_bytes import BytesState


class NothingToDo(Struct, frozen=True):
    """A model runs as it should; ``note`` is what a person may want to know all the same."""

    model: str
    version: VersionNumber
    note: str = ""
    kind: ClassVar[str] = "nothing"

    def __str__(self) -> str:
        return f"nothing to do: {self.version}" + (f" ({self.note})" if self.note else "")


class DeployVersion(Struct, frozen=True):
    """A version goes in, over the one that runs (None: the first)."""

    model: str
    version: VersionNumber
    over: VersionNumber | None = None
    kind: ClassVar[str] = "deploy"

    def needs_part(self, part: Part) -> bool:  # noqa: ARG002
        return True

    def __str__(self) -> str:
        return f"deploy {self.version}" + (f" over {self.over}" if self.over else "")


Part: TypeAlias = Literal["bundle", "target", "record", "tag"]


class AmissPart(Struct, frozen=True):
    """What is not as it should be: the bytes in the store, the target, or the stage tag."""

    part: Part
    words: str


class RepairVersion(Struct, frozen=True):
    """The right version runs, but something about it is not as it should be."""

    model: str
    version: VersionNumber
    amiss: tuple[AmissPart, ...]
    kind: ClassVar[str] = "repair"

    def needs_part(self, part: Part) -> bool:
        return any(amiss_part.part == part for amiss_part in self.amiss)

    def __str__(self) -> str:
        return f"repair {self.version}: {'; '.join(amiss_part.words for amiss_part in self.amiss)}"


class RemoveModel(Struct, frozen=True):
    """The model is taken out; ``version`` is what runs, None where only traces are left.
    ``deletion`` is its authority: the commit of the main branch that deleted the stage file."""

    model: str
    version: VersionNumber | None = None
    deletion: str = ""
    kind: ClassVar[str] = "remove"

    def __str__(self) -> str:
        return f"remove {self.version}" if self.version else "remove what is left of it"


class BlockedChange(Struct, frozen=True):
    """What is wanted cannot be done: it is left as it is until a person decides."""

    model: str
    fault: Fault
    version: VersionNumber | None = None
    kind: ClassVar[str] = "blocked"

    def __str__(self) -> str:
        return f"blocked: {self.fault}"


StageChange: TypeAlias = NothingToDo | DeployVersion | RepairVersion | RemoveModel | BlockedChange


class StagePlan(Struct, frozen=True):
    """A stage's changes, by model, at main's ``commit``; ``notes`` concern it as a whole."""

    stage: str
    commit: str
    changes: tuple[StageChange, ...]
    store: str = ""
    target: str = ""
    notes: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[StageChange, ...]:
        return tuple(change for change in self.changes if not isinstance(change, NothingToDo))

    @property
    def asks_for_action(self) -> bool:
        """Whether anything is to be done by reconcile, or by a person: a version that runs and
        was rejected meanwhile runs until somebody goes back."""
        return bool(self.pending) or any(getattr(change, "note", "") for change in self.changes)


class DesiredVersion(Struct, frozen=True):
    """What main asks for of a model. ``fault`` is why it cannot be had, ``rejected`` why the
    version should not be used any more, ``way`` then the command by which the stage leaves it;
    ``deletion`` is the commit that deleted the stage file, so that the model is to leave."""

    model: str
    version: VersionNumber | None
    sha256: str | None = None
    fault: Fault | None = None
    rejected: str | None = None
    deletion: str | None = None
    way: str = ""


class RunningVersion(Struct, frozen=True):
    """What a target says of a model: the version, and whether its bundle is as it was put."""

    version: str | None
    whole: bool = True


class ActualState(Struct, frozen=True):
    """What there is of a model in a stage. ``running`` is None where the target cannot tell;
    ``followed`` is whether the record, and what it says of before, follows from main, ``published``
    whether the stage's tags are on the remote; ``fault`` why it cannot be told what runs."""

    bundle: BytesState = BytesState.MISSING
    deployed: DeploymentRecord | None = None
    running: RunningVersion | None = None
    tagged: VersionNumber | None = None
    published: bool = True
    target: str = ""
    followed: bool = True
    fault: Fault | None = None

    @property
    def running_version(self) -> VersionNumber | None:
        return self.deployed.version if self.deployed else None

    def runs(self, desired: DesiredVersion) -> bool:
        facts = (desired.version, desired.sha256)
        return bool(self.deployed and (self.deployed.version, self.deployed.sha256) == facts)

    @property
    def is_trace(self) -> bool:
        runs = self.running is not None and self.running.version is not None
        return bool(self.running_version or runs or self.tagged or self.fault or not self.followed)


def find_stage_changes(
    wanted: Mapping[str, DesiredVersion], actual: Mapping[str, ActualState]
) -> tuple[StageChange, ...]:
    """A change for each model of which the main branch asks anything, by name. Absence is no wish:
    what is in the stage and was never asked for is left alone, and a model leaves only where main
    deleted its stage file."""
    names, absent = sorted(wanted), ActualState()
    changes = (_derive_change(wanted[name], actual.get(name, absent)) for name in names)
    return tuple(filter(None, changes))


def _derive_change(desired: DesiredVersion, actual: ActualState) -> StageChange | None:
    model = desired.model
    if actual.fault:
        return BlockedChange(model, actual.fault, desired.version)
    if desired.deletion is not None and desired.fault is None:
        removal = RemoveModel(model, actual.running_version, desired.deletion)
        return removal if actual.is_trace else None
    if desired.fault or desired.version is None:
        fault = desired.fault or Fault("no version is named")
        return BlockedChange(model, fault, desired.version)
    if not actual.runs(desired):
        if desired.rejected is not None:
            what = f"{model}@{desired.version} was rejected: {desired.rejected}"
            return BlockedChange(model, Fault(what, hint=desired.way), desired.version)
        return DeployVersion(model, desired.version, actual.running_version)
    amiss = tuple(_find_amiss(desired.version, actual))
    if amiss:
        return RepairVersion(model, desired.version, amiss)
    note = "" if desired.rejected is None else f"rejected meanwhile: {desired.rejected}"
    return NothingToDo(model, desired.version, note)


def _find_amiss(version: VersionNumber, actual: ActualState) -> Iterator[AmissPart]:
    if actual.bundle is not BytesState.WHOLE:
        yield AmissPart("bundle", f"its bytes in the stage's store are {actual.bundle}")
    yield from _find_amiss_target(version, actual)
    if not actual.followed:
        yield AmissPart("record", "its deployment record does not follow from main")
    if actual.tagged is None:
        yield AmissPart("tag", "the stage tag is missing")
    elif actual.tagged != version:
        yield AmissPart("tag", f"the stage tag names {actual.tagged}")
    elif not actual.published:
        yield AmissPart("tag", "the stage tag is not on the remote")


def _find_amiss_target(version: VersionNumber, actual: ActualState) -> Iterator[AmissPart]:
    running = actual.running
    if actual.deployed and actual.deployed.target != actual.target:
        what = f"it was deployed to {actual.deployed.target}, and belongs to {actual.target}"
        yield AmissPart("target", what)
    elif running and running.version != str(version):
        yield AmissPart("target", f"the target runs {running.version or 'nothing'}")
    elif running and not running.whole:
        yield AmissPart("target", "what the target runs was altered")
