"""The file of a step's own packages held against what can be made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from towpath.errors import Fault, Place, did_you_mean

_EDITABLE = re.compile(r"(-e|--editable)\b")
_HASHES = re.compile(r"\s--hash[= ]\S+")


def find_requirements_faults(root: Path, file: str, place: Place | None) -> Iterator[Fault]:
    """What is wrong with a file of requirements, from the root, that a step declares at a place."""
    path = root / file
    if not path.is_file():
        near_files = [near.name for near in path.parent.glob("*.txt")]
        yield Fault(f"there is no {file}", place, did_you_mean(path.name, near_files))
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        yield Fault(f"{file} is not UTF-8", Place(file))
        return
    for number, line in enumerate(lines, 1):
        plain = _HASHES.sub("", re.sub(r"(^|\s)#.*", "", line)).strip().rstrip("\\").strip()
        if plain and (what := _wrong_line(path.parent, plain)):
            yield Fault(what, Place(file, number))


def _wrong_line(folder: Path, line: str) -> str | None:
    named = re.match(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)", line)
    if named:
        return None if (folder / named[1]).is_file() else f"there is no {named[1]}"
    if _EDITABLE.match(line) or line.startswith((".", "/")):
        return f"`{line}` is code, whose changes no key would hold: name a package by its version"
    if line.startswith("--"):  # an index, or where wheels lie: the installer says what is wrong
        return None
    try:
        Requirement(line)
    except InvalidRequirement:
        return f"`{line}` names no package"
    return None
