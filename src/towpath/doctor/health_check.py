"""One thing that was looked at, and how it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.credentials import hide_credentials
from towpath.errors import TowpathError

Verdict: TypeAlias = Literal["well", "lacks", "unknown"]


@dataclass(frozen=True)
class Check:
    """What is said of ``about``: ``unknown`` is what cannot be seen from here, or may be
    meant so, and no fault."""

    about: str
    verdict: Verdict
    said: str
    hint: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "said", hide_credentials(self.said))


def well(about: str, said: str) -> Check:
    """It is as it should be."""
    return Check(about, "well", said)


def lacks(about: str, said: str, hint: str) -> Check:
    """It is not, and the hint says how to mend it."""
    return Check(about, "lacks", said, hint)


def faults(about: str, error: TowpathError, verdict: Verdict = "lacks") -> Iterator[Check]:
    """What an error says, a check for each of its faults."""
    for fault in error.faults:
        place = f"{fault.place}: " if fault.place else ""
        yield Check(about, verdict, f"{place}{fault.what}", fault.hint)
