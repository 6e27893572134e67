"""Moments as people write them: a date, or a time in ISO 8601, always UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from towpath.config.foreign_values import format_second
from towpath.errors import UsageError

DATE = r"\d{4}-\d{2}-\d{2}"
MOMENT = rf"{DATE}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:Z|[+-]\d{{2}}:?\d{{2}})?)?"


def parse_moment(text: str) -> int:
    """Seconds since 1970 of the last second that ``text`` covers: a date means its whole day.

    Raises ``UsageError`` for what is no date.
    """
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "write 2026-03-01, or 2026-03-01T14:30:00Z"
        raise UsageError(f"`{text}` is no date", hint=hint) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if re.fullmatch(DATE, text.strip()):
        when += timedelta(days=1, seconds=-1)
    return int(when.timestamp())


def normalise_date(text: str) -> str:
    """A date or a time as the registry writes times, so that they order as text does."""
    if re.fullmatch(DATE, text):
        parse_moment(text)
        return text
    return format_second(parse_moment(text))
