"""What `.dvcignore` leaves out of a folder, by DVC's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".dvcignore"
_ALWAYS = frozenset({".git", ".hg", ".dvc"})
_AS_FOLDERS = frozenset({".hg", ".dvc"})


@dataclass(frozen=True)
class Ignore:
    """The patterns in force at one folder.

    ``home`` holds the `.dvc`; ``below`` is the folder's path under it, empty for the home itself
    and for folders elsewhere.
    """

    home: Path
    below: str = ""

    @classmethod
    def at(cls, home: Path, folder: Path) -> Ignore:
        """The patterns in force at a folder; outside of the home there are none but DVC's own."""
        try:
            relative = folder.absolute().relative_to(home)
        except ValueError:
            return cls(home)
        parts = relative.parts
        if ".towpath" in parts:  # a run's folder: as the same folder of the project would be
            parts = parts[-1:]
        return cls(home, "/".join(parts))

    def ignores(self, relative: str, is_folder: bool) -> bool:
        """Whether a file or a folder below this one is left out."""
        name = relative.rpartition("/")[2]
        if name in _ALWAYS and (is_folder or name not in _AS_FOLDERS):
            return True
        if not self._levels:
            return False
        path = f"{self.below}/{relative}" if self.below else relative
        return self._decided(f"{path}/" if is_folder else path)

    def _decided(self, path: str) -> bool:
        """The last pattern that matches decides, and that of a deeper file over a higher one's."""
        for prefix, spec in reversed(self._levels):
            verdict = spec.check_file(path[len(prefix) :]).include
            if verdict is not None:
                return verdict
        return False

    @cached_property
    def _levels(self) -> tuple[tuple[str, GitIgnoreSpec], ...]:
        return tuple(self._read())

    def _read(self) -> Iterator[tuple[str, GitIgnoreSpec]]:
        folders = [""]
        for part in self.below.split("/")[:-1] if self.below else ():
            folders.append(f"{folders[-1]}{part}/")
        for folder in folders:
            patterns = _patterns(self.home / folder / IGNORE_FILE)
            if patterns:
                yield folder, _spec()(patterns)


def _patterns(path: Path) -> list[str]:
    try:
        lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    except OSError:
        return []
    return [line for line in lines if line and not line.startswith("#")]


def _spec() -> Callable[[list[str]], GitIgnoreSpec]:
    from pathspec import GitIgnoreSpec  # only where somebody wrote a pattern

    return GitIgnoreSpec.from_lines
