"""The file of a step's own packages held against what can be made of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from towpath.errors import Fault, Place, did_you_mean

_EDITABLE = re.compile(r"(-e|--editable)\b")
_OTHER_FILE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
_HASHES = re.compile(r"\s--hash[= ]\S+")


def find_requirements_faults(
    root: Path, file: str, place: Place | None, above: tuple[str, ...] = ()
) -> Iterator[Fault]:
    """What is wrong with a file of requirements, from the root, that a step declares at a place,
    and with those that it names (``-r``, ``-c``); ``above`` are the files that led to it."""
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
        if named := _OTHER_FILE.match(plain):
            # pip follows a circle for ever; whoever wrote it hears of it from the installer.
            inner = posixpath.normpath(posixpath.join(posixpath.dirname(file), named[1]))
            if inner not in (*above, file):
                here = Place(file, number)
                yield from find_requirements_faults(root, inner, here, (*above, file))
        elif plain and (what := _wrong_line(plain)):
            yield Fault(what, Place(file, number))


def _wrong_line(line: str) -> str | None:
    is_code = f"`{line}` is code, whose changes no key would hold: name a package by its version"
    if _EDITABLE.match(line) or line.startswith((".", "/")):
        return is_code
    if line.startswith("--"):  # an index, or where wheels lie: the installer says what is wrong
        return None
    try:
        url = Requirement(line).url or ""
    except InvalidRequirement:
        return f"`{line}` names no package"
    return is_code if url.startswith("file:") else None
