"""One thing that was looked at, and how it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr

from towpath.credentials import hide_credentials
from towpath.errors import Fault

CheckVerdict: TypeAlias = Literal["well", "lacks", "unknown"]


class DoctorCheck(Struct, frozen=True):
    """``unknown`` is what cannot be seen from here, or may be meant so, and no fault."""

    about: str
    verdict: CheckVerdict
    said: str
    hint: str | None = None

    def __post_init__(self) -> None:
        # A fault hides them itself; what is said of an address need not come as one.
        force_setattr(self, "said", hide_credentials(self.said))


def report_well(about: str, said: str) -> DoctorCheck:
    return DoctorCheck(about, "well", said)


def report_lack(about: str, said: str, hint: str) -> DoctorCheck:
    return DoctorCheck(about, "lacks", said, hint)


def report_faults(
    about: str, faults: Iterable[Fault], verdict: CheckVerdict = "lacks"
) -> Iterator[DoctorCheck]:
    for fault in faults:
        place = f"{fault.place}: " if fault.place else ""
        yield DoctorCheck(about, verdict, f"{place}{fault.what}", fault.hint)
