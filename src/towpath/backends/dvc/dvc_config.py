"""DVC's configuration: where a project keeps its bytes, and what of a remote others may be told.

Read as DVC reads it, but without DVC, which takes a second to load.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from configobj import ConfigObj, ConfigObjError
from msgspec import Struct, field

from towpath.credentials import strip_credentials
from towpath.errors import StoreError
from towpath.regular_files import read_regular_file
from towpath.storage.copy_files import explain_write_errors
from towpath.storage.objects import StoreLayout

CONFIG = ".dvc/config"

# What a remote's section may say in another repository; the rest, which may let somebody in, stays
# where it is written.
PUBLIC = ("url", "endpointurl", "region", "profile")

_APP = ("dvc", "iterative")
_REMOTE = re.compile(r'''remote\s+"(?P<name>[^"]+)"''')
_FILES = {
    # Neither analytics nor the search for updates may speak to a network.
    CONFIG: "[core]\n    analytics = false\n    check_update = false\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": (
        "# What DVC leaves out, by Git's patterns: https://dvc.org/doc/user-guide/dvcignore\n"
        ".towpath/\n"
    ),
}


def locate_store(root: Path) -> StoreLayout:
    """The layout of a project's store: the nearest `.dvc` upwards; StoreError for none."""
    root = root.absolute()
    dvc = find_dvc(root)
    if dvc is None:
        what = "this project has no store: there is no `.dvc` here or above"
        raise StoreError(what, hint="`towpath init` makes one")
    cache = load_config(dvc).sections.get("cache", {})
    folder = Path(cache.get("dir") or dvc / "cache")
    return StoreLayout(root, dvc, folder, shared=cache.get("shared") == "group")


def find_dvc(root: Path) -> Path | None:
    root = root.absolute()
    return next((up / ".dvc" for up in (root, *root.parents) if (up / ".dvc").is_dir()), None)


def missing_store_files(root: Path) -> Mapping[str, str]:
    """The texts of the files that a first store here lacks; none if there is a store above."""
    if not (root / ".dvc").exists() and find_dvc(root):
        return {}
    return {name: text for name, text in _FILES.items() if not (root / name).exists()}


def initialise_store(root: Path) -> StoreLayout:
    """Make a store at the root of a repository, unless one is there or above; what is, stays."""
    if find_dvc(root) is None:
        with explain_write_errors(".dvc", root):
            for name, text in missing_store_files(root).items():
                path = root / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return locate_store(root)


class RemoteConfig(Struct, frozen=True):
    name: str
    settings: Mapping[str, str]


class DvcConfig(Struct, frozen=True):
    """A configuration of DVC's as sections of settings; comments are not kept."""

    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def parse_text(cls, text: str, shown: str = CONFIG) -> DvcConfig:
        """Read a file's text; ``StoreError`` where DVC could not read it either."""
        try:
            parsed = ConfigObj(text.splitlines(), interpolation=False)
        except ConfigObjError as wrong:
            raise StoreError(f"{shown} cannot be read: {wrong}") from wrong
        if parsed.scalars:
            raise StoreError(f"{shown} cannot be read: `{parsed.scalars[0]}` is in no section")
        # DVC lowers names, too: `[CORE]` is its `core`.
        sections = {
            name.lower(): {key.lower(): str(value) for key, value in section.items()}
            for name, section in parsed.dict().items()
        }
        for name in sections:
            if name.startswith("remote") and not _REMOTE.fullmatch(name):
                what = f"{shown} cannot be read: `[{name}]` is no remote"
                raise StoreError(what, hint="""write `['remote "NAME"']`, with both quotes""")
        return cls(sections)

    def __str__(self) -> str:
        written = ConfigObj(interpolation=False, indent_type="    ")
        for name, settings in self.sections.items():
            written[name] = dict(settings)
        return "".join(f"{line}\n" for line in written.write())

    def remote_sections(self) -> dict[str, Mapping[str, str]]:
        named = {_REMOTE.fullmatch(name): settings for name, settings in self.sections.items()}
        return {remote["name"]: settings for remote, settings in named.items() if remote}

    def default_name(self) -> str | None:
        """The remote that is meant when none is named: ``core.remote``, or the only one."""
        sections_by_name = self.remote_sections()
        named = self.sections.get("core", {}).get("remote", "").lower()  # as DVC lowers it
        return named or (next(iter(sections_by_name)) if len(sections_by_name) == 1 else None)

    def default_remote(self) -> RemoteConfig | None:
        """That remote, with the public part of what is said of it: never who is let in."""
        name, sections_by_name = self.default_name(), self.remote_sections()
        if name is None or "url" not in sections_by_name.get(name, {}):
            return None
        settings = sections_by_name[name]
        public = {key: strip_credentials(settings[key]) for key in PUBLIC if key in settings}
        return RemoteConfig(name, public)

    def with_remote(self, remote: RemoteConfig) -> DvcConfig:
        """The same with another default remote, which takes the place of one of its name."""
        section = f'remote "{remote.name}"'
        kept = {name: settings for name, settings in self.sections.items() if name != section}
        core = {**kept.pop("core", {}), "remote": remote.name}
        return DvcConfig({"core": core, **kept, section: remote.settings})


def load_config(dvc: Path) -> DvcConfig:
    """All that DVC is configured by: the local file over the repository's, over the user's."""
    # ``cache.dir`` is absolute, taken from the folder of the file that says it, as DVC does.
    merged: dict[str, dict[str, str]] = {}
    for path in (*_user_files(), dvc / "config", dvc / "config.local"):
        for name, settings in _read_config(path).sections.items():
            merged_section = merged.setdefault(name, {})
            merged_section |= settings
            if name == "cache" and "dir" in settings:
                folder = (path.parent / Path(settings["dir"]).expanduser()).absolute()
                merged_section["dir"] = os.path.normpath(folder)
    return DvcConfig(merged)


def shared_remote(root: Path) -> RemoteConfig | None:
    # What only this machine or this person configured is not for others. A folder becomes absolute.
    file = locate_store(root).dvc / "config"
    remote = _read_config(file).default_remote()
    if remote is None or "://" in remote.settings["url"]:
        return remote
    folder = os.path.normpath(file.parent / Path(remote.settings["url"]).expanduser())
    return RemoteConfig(remote.name, {**remote.settings, "url": folder})


def _read_config(path: Path) -> DvcConfig:
    shown = f"{path.parent.name}/{path.name}"
    try:
        return DvcConfig.parse_text(read_regular_file(path).decode("utf-8"), shown)
    except UnicodeDecodeError as wrong:
        raise StoreError(f"{shown} is not UTF-8") from wrong
    # Each of the files may be missing, and those of the machine unreadable.
    except OSError:
        return DvcConfig()


def _user_files() -> tuple[Path, Path]:
    import platformdirs  # as DVC does it

    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir(*_APP)
    user = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir(*_APP)
    return Path(system, "config"), Path(user, "config")
