"""What goes wrong, said so that a person can mend it: a place, what, a hint, an exit code.

TowpathError                  70  a bug of ours, when raised as itself
├── UserError                  2  a wrong call or declaration
│   ├── DeclarationError       2  a file says what cannot be
│   └── UsageError             2  a command or an argument says what cannot be
├── StepFailed                 1  a step of a run failed
├── StoreError                 1  bytes are missing, wrong, or cannot be written
│   └── Malformed              1  a value is not of the type that it must have
├── RegistryError              1  Git or the registry refused
├── ForgeError                 1  the forge refused, or cannot be reached
├── EngineError                1  the Prefect API cannot be reached or started
├── DeployError                1  what runs a stage's versions did not take one
└── Refused                    3  a gate or a check said no
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum

from msgspec import Struct
from msgspec.structs import force_setattr

from towpath.credentials import hide_credentials


class ExitCode(IntEnum):
    """What the command line answers to the shell; the table stands in docs/commands.md."""

    DONE = 0
    FAILED = 1
    WRONG = 2
    REFUSED = 3
    PENDING = 4
    BUG = 70
    INTERRUPTED = 130


class Place(Struct, frozen=True, order=True):
    """Where in a file: lines and columns count from 1; 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Fault(Struct, frozen=True):
    """One thing that is wrong: what, where, and how to mend it; without anybody's password."""

    what: str
    place: Place | None = None
    hint: str | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "what", hide_credentials(self.what))
        if self.hint:
            force_setattr(self, "hint", hide_credentials(self.hint))

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        mend = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.what}{mend}"


class TowpathError(Exception):
    """The root of what Towpath raises on purpose. It carries every fault found, not the first."""

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, *faults: Fault | str, hint: str | None = None) -> None:
        self.faults = tuple(Fault(f, hint=hint) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[TowpathError], tuple[Fault, ...], dict[str, object]]:
        return type(self), self.faults, self.__dict__  # crosses from a step's process to the run's


class UserError(TowpathError):
    """A call or a declaration that cannot be carried out as it stands."""

    exit_code = ExitCode.WRONG


class DeclarationError(UserError):
    """A file of the project says what cannot be."""


class UsageError(UserError):
    """A command, an option or an argument says what cannot be."""


class StepFailed(TowpathError):
    """A step of a run failed. ``causes`` are the names of the class that its code raised, and of
    those which that descends from: what ``retry: errors`` may name."""

    exit_code = ExitCode.FAILED

    def __init__(
        self, *faults: Fault | str, hint: str | None = None, causes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(*faults, hint=hint)
        self.causes = causes

    def about(self, subject: str) -> StepFailed:
        """The same, naming what it is about: an output, an input."""
        faults = (
            Fault(f"{subject}: {fault.what}", fault.place, fault.hint) for fault in self.faults
        )
        return StepFailed(*faults, causes=self.causes)


def name_causes(kind: type[BaseException]) -> tuple[str, ...]:
    """The names that ``retry: errors`` may use for an error of this class."""
    classes = [ancestor for ancestor in kind.__mro__ if ancestor not in (object, BaseException)]
    return tuple(
        name
        for ancestor in classes
        for name in dict.fromkeys((ancestor.__name__, f"{ancestor.__module__}.{ancestor.__name__}"))
    )


class StoreError(TowpathError):
    """Bytes are missing or wrong, or cannot be written."""

    exit_code = ExitCode.FAILED


class Malformed(StoreError, ValueError):
    """What another wrote is not of the type that it must have: no digest, no path, no number.

    Who reads it says of what (``RegistryError``, ``StoreError``, a finding); raised as itself it
    stopped at the last door, where a value was about to become a file's name.
    """


class RegistryError(TowpathError):
    """Git or the registry refused."""

    exit_code = ExitCode.FAILED


class ForgeError(TowpathError):
    """The forge did not answer as it should: not reached, not allowed, not there, in conflict."""

    exit_code = ExitCode.FAILED


class EngineError(TowpathError):
    """The Prefect API cannot be reached or started."""

    exit_code = ExitCode.FAILED


class DeployError(TowpathError):
    """What runs the versions of a stage did not take one, or does not answer."""

    exit_code = ExitCode.FAILED


class Refused(TowpathError):
    """A gate or a check said no."""

    exit_code = ExitCode.REFUSED


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The hint for a mistyped name: the nearest known one, or None where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else None
