"""Towpath: an ML platform in a Git repository."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "RegisteredModel",
    "TowpathError",
    "__version__",
    "flow",
    "load",
    "load_inputs",
    "log_metric",
    "models",
    "read",
]

if TYPE_CHECKING:
    from towpath.backends.prefect.flow_entrypoint import flow
    from towpath.errors import TowpathError
    from towpath.python_api import RegisteredModel, load, load_inputs, models, read
    from towpath.steps.metric_log import log_metric

_HOMES = {
    "flow": "towpath.backends.prefect.flow_entrypoint",
    "TowpathError": "towpath.errors",
    "RegisteredModel": "towpath.python_api",
    "load": "towpath.python_api",
    "load_inputs": "towpath.python_api",
    "log_metric": "towpath.steps.metric_log",
    "models": "towpath.python_api",
    "read": "towpath.python_api",
}


def __getattr__(name: str) -> Any:
    """The public names, brought in when they are asked for: the command line needs none."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'towpath' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
