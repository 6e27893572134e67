"""Pickles: they run code when read, so only where ``format:`` asks for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    assert asked.format
    if asked.format.name == "joblib":
        import joblib  # type: ignore[import-untyped,unused-ignore]

        return joblib.load(path)
    import pickle

    with path.open("rb") as file:
        return pickle.load(file)


def write(value: Any, path: Path, kind: str) -> None:
    if kind == "joblib":
        import joblib

        joblib.dump(value, path)
        return
    import pickle

    with path.open("wb") as file:
        pickle.dump(value, file, protocol=5)
