"""What is installed in this environment: its modules, versions, and what each one requires."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from towpath.package_names import plain_package_name
from towpath.plain_data import list_fields
from towpath.scratch import replace_bytes

FORMAT = 2
# Of a distribution's metadata; what is indented continues a header.
_HEADER = re.compile(
    r"^(name|version|requires-dist):[ \t]*(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE
)


class Distribution(Struct, frozen=True):
    """One installed distribution. ``requires`` are its metadata's lines; ``modules`` the top names
    that it installs; ``editable`` the folder of its sources, where it is editable."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    editable: str | None = None


class InstalledPackages:
    """The distributions of this interpreter; ``read_installed`` gives the present ones."""

    def __init__(self, distributions: Iterable[Distribution]) -> None:
        distributions = tuple(distributions)
        self.distributions: Mapping[str, Distribution] = {
            distribution.name: distribution for distribution in distributions
        }
        self._by_module: dict[str, list[str]] = {}
        self._answers: dict[frozenset[str], dict[str, str]] = {}
        for distribution in distributions:
            for module in distribution.modules:
                self._by_module.setdefault(module, []).append(distribution.name)

    def editable_folders(self) -> tuple[str, ...]:
        """The folders in which editable distributions have their modules."""
        folders = [entry.editable for entry in self.distributions.values() if entry.editable]
        inside = (Path(folder, part) for folder in folders for part in ("", "src"))
        return tuple(str(entry) for entry in inside if entry.is_dir())

    def is_fixed(self, module: str) -> bool:
        """Whether a top name is that of installed packages only, none of them editable."""
        owners = [self.distributions[name] for name in self._by_module.get(module, ())]
        return bool(owners) and not any(owner.editable for owner in owners)

    def versions_of_modules(self, modules: Iterable[str]) -> dict[str, str]:
        """Name and version of what provides these modules, with all it requires, by name. A
        distribution may be named itself (``great-expectations``). A module that nothing provides
        stands with the version ``not installed``: installing it may change what the code does."""
        wanted_modules = frozenset(modules)
        if wanted_modules not in self._answers:
            versions: dict[str, str] = {}
            requirements: list[tuple[str, frozenset[str]]] = []
            for module in wanted_modules:
                name = plain_package_name(module)
                named = [name] if name in self.distributions else []
                owners = self._by_module.get(module, named)
                requirements += [(owner, frozenset()) for owner in owners]
                if not owners:
                    versions[module] = "not installed"
            versions.update(self._with_required(requirements))
            self._answers[wanted_modules] = dict(sorted(versions.items()))
        return dict(self._answers[wanted_modules])

    def _with_required(self, requirements: list[tuple[str, frozenset[str]]]) -> dict[str, str]:
        resolved: set[tuple[str, frozenset[str]]] = set()
        while requirements:
            name, extras = requirements.pop()
            if (name, extras) not in resolved and name in self.distributions:
                resolved.add((name, extras))
                requirements += _held_requirements(self.distributions[name].requires, extras)
        return {name: self.distributions[name].version for name, _ in resolved}


def read_installed(kept: Path) -> InstalledPackages:
    """What is installed now. The process and a file, ``kept``, remember it; that holds for the same
    folders on ``sys.path`` with the same times of change."""
    current_stamp = environment_stamp()
    distributions = _recall_packages(kept, current_stamp)
    if distributions is None:
        distributions = _read_distributions(current_stamp)
        rows = [list_fields(entry) for entry in distributions]
        content = json.dumps({"stamp": current_stamp, "distributions": rows}).encode()
        # Where it cannot be kept, the next process reads for itself: a store may be read-only.
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(kept, content)
    return InstalledPackages(distributions)


def _held_requirements(
    lines: Iterable[str], extras: frozenset[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    # Markers of systems are not weighed: what is installed counts.
    for line in lines:
        text, _, marker = line.partition(";")
        extra_names = re.findall(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if extra_names and extras.isdisjoint(map(plain_package_name, extra_names)):
            continue
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^]]*)\])?", text)
        if match:
            asked_extras = (match[2] or "").split(",")
            yield (
                plain_package_name(match[1]),
                frozenset(plain_package_name(extra) for extra in asked_extras if extra.strip()),
            )


def environment_stamp() -> str:
    """What tells one state of the environment from another."""
    states: list[list[Any]] = [[FORMAT, sys.version]]
    for entry in dict.fromkeys(sys.path):
        try:
            states += _change_times(Path(entry or os.curdir))
        except OSError:
            continue
    return json.dumps(states)


def _change_times(entry: Path) -> list[list[Any]]:
    # A folder of sources is at work all day: of it only the metadata of packages count.
    if entry.name in ("site-packages", "dist-packages") or not entry.is_dir():
        return [[str(entry), entry.stat().st_mtime_ns]]
    about = sorted(path for path in entry.iterdir() if path.name.endswith("-info"))
    return [[str(path), path.stat().st_mtime_ns] for path in about]


def _recall_packages(kept: Path, stamp: str) -> tuple[Distribution, ...] | None:
    try:
        data = json.loads(kept.read_bytes())
        if data["stamp"] != stamp:
            return None
        rows: list[dict[str, Any]] = data["distributions"]
        lists = ("requires", "modules")
        return tuple(Distribution(**row | {key: tuple(row[key]) for key in lists}) for row in rows)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=8)
def _read_distributions(_stamp: str) -> tuple[Distribution, ...]:
    """Every distribution on ``sys.path``; of two with one name, the first is imported."""
    from importlib import metadata  # 20 ms, and not needed when the file holds

    distributions: dict[str, Distribution] = {}
    for distribution in metadata.distributions():
        headers = _read_headers(distribution)
        name = plain_package_name("".join(headers["name"][:1]))
        if name and name not in distributions:
            distributions[name] = Distribution(
                name,
                "".join(headers["version"][:1]),
                tuple(headers["requires-dist"]),
                tuple(sorted(_top_modules(distribution))),
                _editable_folder(distribution.read_text("direct_url.json")),
            )
    return tuple(distributions.values())


def _read_headers(distribution: Any) -> dict[str, list[str]]:
    """The values of the headers that are wanted here, by their names in lower case."""
    # `distribution.metadata` parses the long description too: 57 of 113 ms for 300 distributions.
    # By the empty name it is the distribution itself, where that is one file (`NAME.egg-info`).
    texts = (distribution.read_text(name) for name in ("METADATA", "PKG-INFO", ""))
    text = next(filter(None, texts), "")
    headers: dict[str, list[str]] = {"name": [], "version": [], "requires-dist": []}
    for name, value in _HEADER.findall(text.partition("\n\n")[0]):
        headers[name.lower()].append(value)
    return headers


def _top_modules(distribution: Any) -> set[str]:
    # `top_level.txt` is setuptools' own, so the files that `RECORD` lists count as well.
    names = set((distribution.read_text("top_level.txt") or "").split())
    record = distribution.read_text("RECORD") or ""
    paths = (line.partition(",")[0].strip('"') for line in record.splitlines())
    for top, slash in {path.partition("/")[:2] for path in paths}:
        if slash or top.endswith((".py", ".so", ".pyd")):
            names.add(top if slash else top.partition(".")[0])
    return {name for name in names if name.isidentifier()}


def _editable_folder(direct: str | None) -> str | None:
    try:
        origin = json.loads(direct or "{}")
    except ValueError:
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    from urllib.request import url2pathname

    return url2pathname(origin["url"].removeprefix("file://"))
