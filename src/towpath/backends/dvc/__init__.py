"""Bytes by digest, in DVC's own format: on this machine, and through DVC anywhere else."""

from towpath.backends.dvc.dvc_cache import Store
from towpath.backends.dvc.dvc_config import initialise, missing_files

__all__ = ["Store", "initialise", "missing_files"]
