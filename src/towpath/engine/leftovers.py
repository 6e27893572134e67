"""What a run that failed or was killed leaves on the disk beside its record and its logs."""

from __future__ import annotations

import shutil
from pathlib import Path

from towpath.engine import record
from towpath.engine.runs import names
from towpath.scratch import sweep_folders
from towpath.steps.order import BYTES

LATEST = 20
"""Runs that are looked at: each run clears what the ones before it left."""


def discard(run: Path) -> None:
    """Take away a run's folder that holds no record."""
    shutil.rmtree(run, ignore_errors=True)


def sweep(runs: Path) -> None:
    """Remove the bytes of steps whose runs were killed; records and logs stay."""
    sweep_folders()
    for name in names(runs)[-LATEST:]:
        left = [runs / name / step for step in _steps(runs / name)]
        if left and not _is_in_progress(runs / name):
            for folder in left:
                shutil.rmtree(folder, ignore_errors=True)


def _steps(run: Path) -> list[Path]:
    return [path for name in BYTES for path in run.glob(f"*/{name}")]


def _is_in_progress(run: Path) -> bool:
    found = record.read(run)
    return found is not None and not found.state.ended
