"""Bytes by digest, in DVC's own format: on this machine, and through DVC anywhere else."""

from towpath.store.config import initialise, missing_files
from towpath.store.local import Store

__all__ = ["Store", "initialise", "missing_files"]
