"""The extras of Towpath: packages that only some declarations need, and what installs them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "dask": ("distributed", "prefect_dask"),
    "duckdb": ("duckdb",),
    "explain": ("shap",),
    "notebook": ("papermill", "ipykernel", "nbconvert"),
    "polars": ("polars",),
}
"""The modules that tell whether an extra of pyproject.toml is installed, by its name."""


def tell_missing_extra(extra: str) -> str | None:
    """What to type where an extra is not installed; None where it is."""
    # `find_spec` of a module at the top imports nothing.
    if all(find_spec(module) for module in EXTRAS[extra]):
        return None
    return f"pip install 'towpath[{extra}]'"
