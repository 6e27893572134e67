"""Which files a folder's digest is made of, by DVC's rules, and what `.dvcignore` leaves out.

What a manifest cannot say is refused or left out, as DVC does: a link to a file is the file, empty
folders and modes are not kept, files that `.dvcignore` names are left out. A link to a folder is
refused: DVC would leave it out and say nothing, and so would the digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from towpath.config.project_paths import is_reserved
from towpath.errors import StoreError
from towpath.storage.objects import FileStamp

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".dvcignore"
_NAME = re.compile(r"[\w.-]+/?")
_ALWAYS = frozenset({".git", ".hg", ".dvc"})
_AS_FOLDERS = frozenset({".hg", ".dvc"})


@dataclass(frozen=True)
class IgnorePatterns:
    """The patterns in force at one folder.

    ``home`` holds the `.dvc`; ``below`` is the folder's path under it, empty for the home itself
    and for folders elsewhere.
    """

    home: Path
    below: str = ""

    @classmethod
    def patterns_at(cls, home: Path, folder: Path) -> IgnorePatterns:
        """The patterns in force at a folder; outside of the home there are none but DVC's own."""
        try:
            relative = folder.absolute().relative_to(home)
        except ValueError:  # outside of the home there are no patterns but DVC's own
            return cls(home)
        parts = relative.parts
        if ".towpath" in parts:  # a run's folder: as the same folder of the project would be
            parts = parts[-1:]
        return cls(home, "/".join(parts))

    def is_ignored(self, relative: str, is_folder: bool) -> bool:
        """Whether a file or a folder below this one is left out."""
        name = relative.rpartition("/")[2]
        if name in _ALWAYS and (is_folder or name not in _AS_FOLDERS):
            return True
        if not self._pattern_levels:
            return False
        if self._plain_names is not None:
            return name in self._plain_names or (is_folder and f"{name}/" in self._plain_names)
        path = f"{self.below}/{relative}" if self.below else relative
        return self._is_left_out(f"{path}/" if is_folder else path)

    def _is_left_out(self, path: str) -> bool:
        """The last pattern that matches decides, and that of a deeper file over a higher one's."""
        for prefix, spec in reversed(self._pattern_specs):
            verdict = spec.check_file(path[len(prefix) :]).include
            if verdict is not None:
                return verdict
        return False

    @cached_property
    def _plain_names(self) -> frozenset[str] | None:
        """The patterns, where all are names alone that speak of nothing above this folder."""
        names = frozenset(pattern for _, patterns in self._pattern_levels for pattern in patterns)
        above = {part for part in self.below.split("/") if part in names or f"{part}/" in names}
        return names if all(map(_NAME.fullmatch, names)) and not above else None

    @cached_property
    def _pattern_specs(self) -> list[tuple[str, GitIgnoreSpec]]:
        from pathspec import GitIgnoreSpec  # only where somebody wrote more than names

        return [(prefix, GitIgnoreSpec.from_lines(lines)) for prefix, lines in self._pattern_levels]

    @cached_property
    def _pattern_levels(self) -> tuple[tuple[str, list[str]], ...]:
        folders = [""]
        for part in self.below.split("/")[:-1] if self.below else ():
            folders.append(f"{folders[-1]}{part}/")
        levels = ((folder, _read_patterns(self.home / folder / IGNORE_FILE)) for folder in folders)
        return tuple((folder, patterns) for folder, patterns in levels if patterns)


def _read_patterns(path: Path) -> list[str]:
    try:
        lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    except OSError:
        return []
    return [line for line in lines if line and not line.startswith("#")]


class FileBelow(NamedTuple):
    """A regular file under a folder: its absolute path, its path below the folder, its stamp."""

    path: str
    relative: str
    stamp: FileStamp


def files_under(folder: Path, ignore: IgnorePatterns) -> Iterator[FileBelow]:
    """The files that a folder's digest is made of. Raises StoreError, with every fault, for links
    to folders, broken links, pipes and the like, and for a `.dvcignore` inside the folder."""
    faults: list[str] = []
    yield from _walk_folder(os.fspath(folder), "", ignore, faults)
    if faults:
        raise StoreError(*faults)


def _walk_folder(
    folder: str, below: str, ignore: IgnorePatterns, faults: list[str]
) -> Iterator[FileBelow]:
    with os.scandir(folder) as rows:
        entries = sorted(rows, key=lambda entry: entry.name)
    if below and any(entry.name == ".dvc" and entry.is_dir() for entry in entries):
        return  # a project of its own, which DVC leaves out
    for entry in entries:
        relative = f"{below}{entry.name}"
        is_directory = entry.is_dir(follow_symlinks=False)
        if ignore.is_ignored(relative, is_directory):
            continue
        if is_directory and not is_reserved(entry.name):
            yield from _walk_folder(entry.path, f"{relative}/", ignore, faults)
        elif entry.is_file() and entry.name != IGNORE_FILE and not is_reserved(entry.name):
            yield FileBelow(entry.path, relative, FileStamp.from_status(entry.stat()))
        else:
            faults.append(_refusal_words(entry))


def _refusal_words(entry: os.DirEntry[str]) -> str:
    if is_reserved(entry.name):
        return f"{entry.path}: what is called so may not stand inside a stored folder"
    if entry.name == IGNORE_FILE:
        return f"{entry.path}: a {IGNORE_FILE} may not stand inside a stored folder"
    if entry.is_dir():
        return f"{entry.path} is a link to a folder, which a folder's digest leaves out"
    if not Path(entry.path).exists():
        return f"{entry.path} is a link to nothing"
    return f"{entry.path} is neither a file nor a folder"
