"""Bytes by digest, in DVC's own format: on this machine, and through DVC anywhere else."""

from towpath.backends.dvc.dvc_cache import Store
from towpath.backends.dvc.dvc_config import initialise_store, missing_store_files

__all__ = ["Store", "initialise_store", "missing_store_files"]
