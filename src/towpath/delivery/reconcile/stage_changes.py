"""What reconciling would do to a stage: a change for each model, which can say itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from towpath.errors import Fault
from towpath.registry.version_reference import VersionNumber


@dataclass(frozen=True)
class NothingToDo:
    """A model runs as it should; ``note`` is what a person may want to know all the same."""

    model: str
    version: VersionNumber
    note: str = ""
    kind: ClassVar[str] = "nothing"

    def __str__(self) -> str:
        return f"nothing to do: {self.version}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class DeployVersion:
    """A version goes in, over the one that runs (None: the first)."""

    model: str
    version: VersionNumber
    over: VersionNumber | None = None
    kind: ClassVar[str] = "deploy"

    def needs_part(self, part: Part) -> bool:  # noqa: ARG002
        """All of it is to be done."""
        return True

    def __str__(self) -> str:
        return f"deploy {self.version}" + (f" over {self.over}" if self.over else "")


Part: TypeAlias = Literal["bundle", "target", "record", "tag"]


@dataclass(frozen=True)
class AmissPart:
    """What is not as it should be: the bytes in the store, the target, or the stage tag."""

    part: Part
    words: str


@dataclass(frozen=True)
class RepairVersion:
    """The right version runs, but something about it is not as it should be."""

    model: str
    version: VersionNumber
    amiss: tuple[AmissPart, ...]
    kind: ClassVar[str] = "repair"

    def needs_part(self, part: Part) -> bool:
        """Whether a part is to be mended."""
        return any(amiss_part.part == part for amiss_part in self.amiss)

    def __str__(self) -> str:
        return f"repair {self.version}: {'; '.join(amiss_part.words for amiss_part in self.amiss)}"


@dataclass(frozen=True)
class RemoveModel:
    """The model is taken out; ``version`` is what runs, None where only traces are left.

    ``deletion`` is its authority: the commit of the main branch that deleted the stage file.
    """

    model: str
    version: VersionNumber | None = None
    deletion: str = ""
    kind: ClassVar[str] = "remove"

    def __str__(self) -> str:
        return f"remove {self.version}" if self.version else "remove what is left of it"


@dataclass(frozen=True)
class BlockedChange:
    """What is wanted cannot be done: it is left as it is until a person decides."""

    model: str
    fault: Fault
    version: VersionNumber | None = None
    kind: ClassVar[str] = "blocked"

    def __str__(self) -> str:
        return f"blocked: {self.fault}"


StageChange: TypeAlias = NothingToDo | DeployVersion | RepairVersion | RemoveModel | BlockedChange


@dataclass(frozen=True)
class StagePlan:
    """A stage's changes, by model. ``commit`` is the main branch's, as it was read; ``target``
    and ``store`` are told as a person wrote them; ``notes`` concern the stage as a whole."""

    stage: str
    commit: str
    changes: tuple[StageChange, ...]
    store: str = ""
    target: str = ""
    notes: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[StageChange, ...]:
        """What is to be done, or cannot be."""
        return tuple(change for change in self.changes if not isinstance(change, NothingToDo))

    @property
    def asks_for_action(self) -> bool:
        """Whether anything is to be done by reconcile, or by a person: a version that runs and
        was rejected meanwhile runs until somebody goes back."""
        return bool(self.pending) or any(getattr(change, "note", "") for change in self.changes)
