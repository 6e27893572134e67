"""What a Dask cluster adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd


def add_loads(boats: dd.DataFrame) -> pd.Series:
    """The tonnes of each hour: the workers read the boats, and add them up."""
    return boats.groupby("hour")["tonnes"].sum().compute().sort_index().round(1)
