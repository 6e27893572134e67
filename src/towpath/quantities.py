"""Sizes and times as a person reads them, on a terminal, in evidence and on pages."""

from __future__ import annotations


def readable_size(count: float) -> str:
    """``453.2 kB`` of a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def readable_duration(seconds: float) -> str:
    """``2.6s``, ``3m05s`` or ``1h02m``, for a narrow column; "" for no time at all."""
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds >= 0.05 else ""
    hours, minutes, rest = split_clock(seconds)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def split_clock(seconds: float) -> tuple[int, int, int]:
    """Whole hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return (*divmod(minutes, 60), rest)
