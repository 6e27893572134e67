"""From what is wanted and what is there to the changes between: a function of these two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from towpath.delivery.reconcile.deployment_record import Deployed
from towpath.delivery.reconcile.stage_changes import (
    Amiss,
    Blocked,
    Change,
    Deploy,
    Nothing,
    Remove,
    Repair,
)
from towpath.errors import Fault
from towpath.registry.version_number import Version
from towpath.storage.verified_bytes import State


@dataclass(frozen=True)
class Desired:
    """What the main branch asks for of a model.

    ``fault`` is why it cannot be had, ``rejected`` why the version should not be used any more,
    and ``way`` then the command by which the stage leaves it.
    ``deletion`` is the commit of main that deleted the stage file: then the model is to leave.
    """

    model: str
    version: Version | None
    sha256: str | None = None
    fault: Fault | None = None
    rejected: str | None = None
    deletion: str | None = None
    way: str = ""


@dataclass(frozen=True)
class Running:
    """What a target says of a model: the version, and whether its bundle is as it was put."""

    version: str | None
    whole: bool = True


@dataclass(frozen=True)
class Actual:
    """What there is of a model in a stage.

    ``bundle`` is what the stage's store has of the wanted version. ``running`` is None where the
    target cannot tell. ``target`` is what runs versions there by the declaration of now.
    ``followed`` is whether the record, and what it says of before, follows from main,
    ``published`` whether the stage's tags are on the remote; ``fault`` why it cannot be told
    what the stage runs of the model.
    """

    bundle: State = State.MISSING
    deployed: Deployed | None = None
    running: Running | None = None
    tagged: Version | None = None
    published: bool = True
    target: str = ""
    followed: bool = True
    fault: Fault | None = None

    @property
    def version(self) -> Version | None:
        """The version that runs, by the record."""
        return self.deployed.version if self.deployed else None

    def runs(self, wanted: Desired) -> bool:
        """Whether the record says that what is wanted was deployed."""
        found = self.deployed
        return found is not None and (found.version, found.sha256) == (
            wanted.version,
            wanted.sha256,
        )

    @property
    def is_trace(self) -> bool:
        """Whether anything of the model is in the stage."""
        runs = self.running is not None and self.running.version is not None
        return bool(self.version or runs or self.tagged or self.fault or not self.followed)


def compare(wanted: Mapping[str, Desired], actual: Mapping[str, Actual]) -> tuple[Change, ...]:
    """A change for each model of which the main branch asks anything, by name.

    Absence is no wish: what is in the stage and was never asked for is left alone, and a model
    leaves only where main deleted its stage file.
    """
    changes = (_change(wanted[name], actual.get(name, Actual())) for name in sorted(wanted))
    return tuple(change for change in changes if change)


def _change(wanted: Desired, actual: Actual) -> Change | None:
    model = wanted.model
    if actual.fault:
        return Blocked(model, actual.fault, wanted.version)
    if wanted.deletion is not None and wanted.fault is None:
        return Remove(model, actual.version, wanted.deletion) if actual.is_trace else None
    if wanted.fault or wanted.version is None:
        fault = wanted.fault or Fault("no version is named")
        return Blocked(model, fault, wanted.version)
    if not actual.runs(wanted):
        if wanted.rejected is not None:
            what = f"{model}@{wanted.version} was rejected: {wanted.rejected}"
            return Blocked(model, Fault(what, hint=wanted.way), wanted.version)
        return Deploy(model, wanted.version, actual.version)
    amiss = tuple(_amiss(wanted.version, actual))
    if amiss:
        return Repair(model, wanted.version, amiss)
    note = "" if wanted.rejected is None else f"rejected meanwhile: {wanted.rejected}"
    return Nothing(model, wanted.version, note)


def _amiss(version: Version, actual: Actual) -> Iterator[Amiss]:
    if actual.bundle is not State.WHOLE:
        yield Amiss("bundle", f"its bytes in the stage's store are {actual.bundle}")
    if wrong := _wrong_at_target(version, actual):
        yield Amiss("target", wrong)
    if not actual.followed:
        yield Amiss("record", "its deployment record does not follow from main")
    if actual.tagged is None:
        yield Amiss("tag", "the stage tag is missing")
    elif actual.tagged != version:
        yield Amiss("tag", f"the stage tag names {actual.tagged}")
    elif not actual.published:
        yield Amiss("tag", "the stage tag is not on the remote")


def _wrong_at_target(version: Version, actual: Actual) -> str | None:
    if actual.deployed and actual.deployed.target != actual.target:
        return f"it was deployed to {actual.deployed.target}, and belongs to {actual.target}"
    if actual.running is None:
        return None
    if actual.running.version != str(version):
        return f"the target runs {actual.running.version or 'nothing'}"
    return None if actual.running.whole else "what the target runs was altered"
