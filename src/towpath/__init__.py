"""Towpath: an ML platform in a Git repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "flow"]

if TYPE_CHECKING:
    from towpath.engine.entrypoint import flow


def __getattr__(name: str) -> Any:
    """``towpath.flow``, brought in when it is asked for: the command line does not need it."""
    if name == "flow":
        from towpath.engine.entrypoint import flow

        return flow
    raise AttributeError(f"module 'towpath' has no attribute {name!r}")
