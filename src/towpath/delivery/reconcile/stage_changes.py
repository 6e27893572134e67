"""What reconciling would do to a stage: a change for each model, which can say itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from towpath.errors import Fault
from towpath.registry.version_number import Version


@dataclass(frozen=True)
class Nothing:
    """A model runs as it should; ``note`` is what a person may want to know all the same."""

    model: str
    version: Version
    note: str = ""
    kind: ClassVar[str] = "nothing"

    def __str__(self) -> str:
        return f"nothing to do: {self.version}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Deploy:
    """A version goes in, over the one that runs (None: the first)."""

    model: str
    version: Version
    over: Version | None = None
    kind: ClassVar[str] = "deploy"

    def needs(self, part: Part) -> bool:  # noqa: ARG002
        """All of it is to be done."""
        return True

    def __str__(self) -> str:
        return f"deploy {self.version}" + (f" over {self.over}" if self.over else "")


Part: TypeAlias = Literal["bundle", "target", "record", "tag"]


@dataclass(frozen=True)
class Amiss:
    """What is not as it should be: the bytes in the store, the target, or the stage tag."""

    part: Part
    words: str


@dataclass(frozen=True)
class Repair:
    """The right version runs, but something about it is not as it should be."""

    model: str
    version: Version
    amiss: tuple[Amiss, ...]
    kind: ClassVar[str] = "repair"

    def needs(self, part: Part) -> bool:
        """Whether a part is to be mended."""
        return any(one.part == part for one in self.amiss)

    def __str__(self) -> str:
        return f"repair {self.version}: {'; '.join(one.words for one in self.amiss)}"


@dataclass(frozen=True)
class Remove:
    """The model is taken out; ``version`` is what runs, None where only traces are left.

    ``deletion`` is its authority: the commit of the main branch that deleted the stage file.
    """

    model: str
    version: Version | None = None
    deletion: str = ""
    kind: ClassVar[str] = "remove"

    def __str__(self) -> str:
        return f"remove {self.version}" if self.version else "remove what is left of it"


@dataclass(frozen=True)
class Blocked:
    """What is wanted cannot be done: it is left as it is until a person decides."""

    model: str
    fault: Fault
    version: Version | None = None
    kind: ClassVar[str] = "blocked"

    def __str__(self) -> str:
        return f"blocked: {self.fault}"


Change: TypeAlias = Nothing | Deploy | Repair | Remove | Blocked


@dataclass(frozen=True)
class Plan:
    """A stage's changes, by model. ``commit`` is the main branch's, as it was read; ``target``
    and ``store`` are told as a person wrote them; ``notes`` concern the stage as a whole."""

    stage: str
    commit: str
    changes: tuple[Change, ...]
    store: str = ""
    target: str = ""
    notes: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[Change, ...]:
        """What is to be done, or cannot be."""
        return tuple(change for change in self.changes if not isinstance(change, Nothing))

    @property
    def asks_for_action(self) -> bool:
        """Whether anything is to be done by reconcile, or by a person: a version that runs and
        was rejected meanwhile runs until somebody goes back."""
        return bool(self.pending) or any(getattr(one, "note", "") for one in self.changes)
