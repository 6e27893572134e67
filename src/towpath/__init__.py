"""Towpath: an ML platform in a Git repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "batch_transform", "flow"]

if TYPE_CHECKING:
    from towpath.engine.entrypoint import flow
    from towpath.engine.flow.batch_transform import batch_transform


def __getattr__(name: str) -> Any:
    """``towpath.flow`` and ``towpath.batch_transform``, brought in when they are asked for: the
    command line does not need them."""
    if name == "flow":
        from towpath.engine.entrypoint import flow

        return flow
    if name == "batch_transform":
        from towpath.engine.flow.batch_transform import batch_transform

        return batch_transform
    raise AttributeError(f"module 'towpath' has no attribute {name!r}")
