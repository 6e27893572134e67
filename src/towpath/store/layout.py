"""Where a project keeps its bytes: the nearest `.dvc` upwards, and what its configuration says."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import StoreError

_SECTION = re.compile(r"^\[\s*(?:'(?P<quoted>[^']*)'|(?P<plain>[^\]]*?))\s*\]")
_SETTING = re.compile(r"^(?P<key>[^=#;\[]+?)\s*=\s*(?P<value>.*)$")


@dataclass(frozen=True)
class Layout:
    """The folders of a store: all absolute. ``shared`` is DVC's `cache.shared = group`."""

    root: Path
    """The project."""
    dvc: Path
    """The `.dvc` folder, of the project or of the repository above it."""
    cache: Path
    """DVC's cache: `.dvc/cache`, or what `cache.dir` says."""
    shared: bool = False

    @property
    def home(self) -> Path:
        """The folder that holds `.dvc`."""
        return self.dvc.parent

    @property
    def objects(self) -> Path:
        """Bytes by digest, as DVC 3 lays them out: two digits, then thirty."""
        return self.cache / "files" / "md5"

    @property
    def entries(self) -> Path:
        """What was made from what."""
        return self.cache / "towpath" / "entries"

    @property
    def scratch(self) -> Path:
        """Bytes on their way in, on the file system of the objects."""
        return self.cache / "towpath" / "tmp"

    @property
    def corrupt(self) -> Path:
        """Objects whose bytes were not what their name says, kept for a person to look at."""
        return self.cache / "towpath" / "corrupt"

    @property
    def state(self) -> Path:
        """What this project remembers on this machine; losing it costs time only."""
        return self.root / ".towpath" / "state"


def locate(root: Path) -> Layout:
    """The layout of a project's store, read from its files and from nothing else.

    Raises StoreError where no folder upwards holds a `.dvc`.
    """
    root = root.absolute()
    dvc = next((up / ".dvc" for up in (root, *root.parents) if (up / ".dvc").is_dir()), None)
    if dvc is None:
        raise StoreError(
            "this project has no store: there is no `.dvc` here or above",
            hint="`towpath init` makes one",
        )
    said = settings(dvc)
    cache = Path(said.get("cache.dir") or dvc / "cache")
    return Layout(root, dvc, cache, shared=said.get("cache.shared") == "group")


def settings(dvc: Path) -> Mapping[str, str]:
    """DVC's configuration as `section.key`, the local file over the repository's, over the user's.

    Only what can be had without importing DVC: plain sections, no remotes. ``cache.dir`` comes
    back absolute, taken from the folder of the file that says it, as DVC does.
    """
    found: dict[str, str] = {}
    for path in (*_user_files(), dvc / "config", dvc / "config.local"):
        said = dict(_read(path))
        if "cache.dir" in said:
            folder = (path.parent / Path(said["cache.dir"]).expanduser()).absolute()
            said["cache.dir"] = os.path.normpath(folder)
        found |= said
    return found


def _read(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    section = ""
    for line in map(str.strip, lines):
        if opened := _SECTION.match(line):
            section = opened["quoted"] or opened["plain"] or ""
        elif setting := _SETTING.match(line):
            yield f"{section}.{setting['key']}".lower(), _value(setting["value"])


def _value(text: str) -> str:
    if quoted := re.match(r"""^(["'])(.*?)\1""", text):
        return quoted[2]
    return re.split(r"\s*#", text, maxsplit=1)[0].strip()


def _user_files() -> tuple[Path, Path]:
    """DVC's files for the machine and for the user, where platformdirs puts them."""
    home = Path.home()
    if sys.platform == "darwin":
        system, user = Path("/Library/Application Support"), home / "Library/Application Support"
    else:
        system = Path(os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)[0])
        user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return (
        Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or system / "dvc") / "config",
        Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or user / "dvc") / "config",
    )
