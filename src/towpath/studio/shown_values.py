"""Numbers, times, sizes and digests as a person writes them, for pages."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from towpath.quantities import split_clock


class ShownTime(Struct, frozen=True):
    """A moment: ``iso`` for machines and the tooltip, ``words`` in UTC, until a script says it in
    the reader's zone, and ``ago``."""

    iso: str
    words: str
    ago: str


def show_time(iso: str | None, now: datetime | None = None) -> ShownTime | None:
    """A time of a record; None for none, and for what is no time."""
    moment = parse_time(iso)
    if moment is None:
        return None
    return ShownTime(
        moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        moment.strftime("%Y-%m-%d %H:%M"),
        show_age(((now or datetime.now(UTC)) - moment).total_seconds()),
    )


def parse_time(iso: str | None) -> datetime | None:
    """A moment in UTC; None for what is no time."""
    try:
        moment = datetime.fromisoformat(iso or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day there is, in another zone
        return None


_AGES = ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"),
         (60, "minute"))  # fmt: skip


def show_age(seconds: float) -> str:
    """How long ago that is, in whole units: `5 minutes ago`."""
    for size, unit in _AGES:
        count = int(seconds // size)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now" if seconds >= 0 else "in the future"


def show_duration(seconds: float) -> str:
    if seconds < 0.05:
        return "0 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes, rest = split_clock(seconds)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


_LONG, _BEYOND_FLOATS = 999.95, 1e15  # from which on what stands behind the point is not shown


def show_number(value: object) -> str:
    """A figure with four significant digits, thousands parted as gates and evidence write them
    (``4,177``); other values as JSON says them, text as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        is_long = _LONG <= abs(value) < _BEYOND_FLOATS
        return f"{value:,.0f}" if is_long else f"{value:.4g}"
    return raw_text(value)


def raw_text(value: object) -> str:
    """A value as a form sends it, and `--param` takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def finite_number(value: object) -> float | None:
    """A figure that can be drawn and compared; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def best_number(numbers: Iterable[float | None], sign: int) -> float | None:
    """The highest (``sign`` 1) or the lowest (-1); None where no way is the better one, or all are
    as good."""
    comparable = {number for number in numbers if number is not None and number == number}
    if not sign or len(comparable) < 2:
        return None
    return max(comparable) if sign > 0 else min(comparable)


def show_change(before: float | None, after: float | None) -> str:
    """``-2.6 %`` and the like; "" where one of the two is missing."""
    if before is None or after is None or not (math.isfinite(before) and math.isfinite(after)):
        return ""
    if before == after:
        return "±0"
    if before == 0:
        return f"{after - before:+.3g}"
    return f"{(after - before) / abs(before):+.1%}".replace("%", "\N{NARROW NO-BREAK SPACE}%")


def show_person(author: str | None) -> str:
    """The name alone of ``Ada Berg <ada@example.org>``."""
    return (author or "").partition(" <")[0]
