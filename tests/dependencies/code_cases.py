"""A corpus of small projects, each with one edit, kept as text in ``soundness/``.

A case is its title, files each headed by ``--- path``, and the edit headed by ``>>> path``: the
old text, a line ``===``, the new text. The function asked about is ``step`` of ``steps.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent / "soundness"


@dataclass(frozen=True)
class Case:
    """One edit of one project."""

    title: str
    files: dict[str, str]
    edited: str
    old: str
    new: str

    def __str__(self) -> str:
        return self.title


def read(name: str) -> list[Case]:
    """The cases of one file of the corpus."""
    text = (HERE / f"{name}.txt").read_text("utf-8")
    return [_case(part) for part in text.split("\n# case: ")[1:]]


def _case(text: str) -> Case:
    before, _, edit = text.partition("\n>>> ")
    title, *files = before.split("\n--- ")
    edited, _, change = edit.partition("\n")
    old, _, new = change.partition("\n===\n")
    return Case(title, dict(map(_file, files)), _path(edited), old, new.rstrip("\n"))


def _file(text: str) -> tuple[str, str]:
    path, _, content = text.partition("\n")
    return _path(path), f"{content}\n"


def _path(said: str) -> str:
    return f"flows/training/{said}" if said == "steps.py" else said
