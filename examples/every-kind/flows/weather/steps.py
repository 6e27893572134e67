"""The weather at a lock."""

from __future__ import annotations

import pandas as pd


def measure(boats: pd.DataFrame, wet: float) -> dict[str, float]:
    """The mean rain of a trip, and the share of wet ones."""
    return {"mean": float(boats["rain"].mean()), "wet": float((boats["rain"] >= wet).mean())}
