"""What is installed in this environment: its modules, versions, and what each one requires."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from towpath.scratch import scratch_beside

FORMAT = 1


@dataclass(frozen=True)
class Distribution:
    """One installed distribution.

    ``requires`` are the lines of its metadata; ``modules`` the top names that it installs;
    ``editable`` the folder of its sources, where it is installed as editable.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    editable: str | None = None


class InstalledPackages:
    """The distributions of this interpreter; ``read_installed`` gives the present ones."""

    def __init__(self, known: Iterable[Distribution]) -> None:
        known = tuple(known)
        self.distributions: Mapping[str, Distribution] = {each.name: each for each in known}
        self._by_module: dict[str, list[str]] = {}
        self._answers: dict[frozenset[str], dict[str, str]] = {}
        for each in known:
            for module in each.modules:
                self._by_module.setdefault(module, []).append(each.name)

    def editable(self) -> tuple[str, ...]:
        """The folders in which editable distributions have their modules."""
        folders = [each.editable for each in self.distributions.values() if each.editable]
        inside = (Path(folder, part) for folder in folders for part in ("", "src"))
        return tuple(str(each) for each in inside if each.is_dir())

    def is_fixed(self, module: str) -> bool:
        """Whether a top name is that of installed packages only, none of them editable."""
        owners = [self.distributions[name] for name in self._by_module.get(module, ())]
        return bool(owners) and not any(owner.editable for owner in owners)

    def versions(self, modules: Iterable[str]) -> dict[str, str]:
        """Name and version of what provides these modules, with all it requires, by name.

        A distribution may be named itself (``great-expectations``).

        A module that nothing provides stands with the version ``not installed``: installing it
        may change what the code does.
        """
        asked = frozenset(modules)
        if asked not in self._answers:
            self._answers[asked] = self._find(asked)
        return dict(self._answers[asked])

    def _find(self, modules: Iterable[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        wanted: list[tuple[str, frozenset[str]]] = []
        for module in modules:
            named = [_plain(module)] if _plain(module) in self.distributions else []
            owners = self._by_module.get(module, named)
            wanted += [(owner, frozenset()) for owner in owners]
            if not owners:
                found[module] = "not installed"
        found.update(self._with_required(wanted))
        return dict(sorted(found.items()))

    def _with_required(self, wanted: list[tuple[str, frozenset[str]]]) -> dict[str, str]:
        seen: set[tuple[str, frozenset[str]]] = set()
        while wanted:
            name, extras = wanted.pop()
            if (name, extras) not in seen and name in self.distributions:
                seen.add((name, extras))
                wanted += _required(self.distributions[name].requires, extras)
        return {name: self.distributions[name].version for name, _ in seen}


def read_installed(kept: Path) -> InstalledPackages:
    """What is installed now. Reading that takes a while, so the process and a file keep it.

    ``kept`` is that file (JSON); it holds for the same folders on ``sys.path`` with the same times
    of change.
    """
    now = stamp()
    known = _recall(kept, now)
    if known is None:
        known = _read(now)
        _keep(kept, now, known)
    return InstalledPackages(known)


def _required(lines: Iterable[str], extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """The requirements that hold; markers of systems are not weighed: what is there, counts."""
    for line in lines:
        text, _, marker = line.partition(";")
        of = re.findall(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if of and extras.isdisjoint(map(_plain, of)):
            continue
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^]]*)\])?", text)
        if match:
            asked = (match[2] or "").split(",")
            yield _plain(match[1]), frozenset(_plain(each) for each in asked if each.strip())


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def stamp() -> str:
    """What tells one state of the environment from another."""
    found: list[list[Any]] = [[FORMAT, sys.version]]
    for entry in dict.fromkeys(sys.path):
        try:
            found += _times(Path(entry or os.curdir))
        except OSError:
            continue
    return json.dumps(found)


def _times(entry: Path) -> list[list[Any]]:
    """When a folder of packages changed; of a folder of sources, which is at work, its metadata."""
    if entry.name in ("site-packages", "dist-packages") or not entry.is_dir():
        return [[str(entry), entry.stat().st_mtime_ns]]
    about = sorted(each for each in entry.iterdir() if each.name.endswith("-info"))
    return [[str(each), each.stat().st_mtime_ns] for each in about]


def _recall(kept: Path, stamp: str) -> tuple[Distribution, ...] | None:
    try:
        data = json.loads(kept.read_bytes())
        if data["stamp"] != stamp:
            return None
        return tuple(
            Distribution(
                each["name"],
                each["version"],
                tuple(each["requires"]),
                tuple(each["modules"]),
                each["editable"],
            )
            for each in data["distributions"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(kept: Path, stamp: str, known: tuple[Distribution, ...]) -> None:
    """Kept for the next process; where that cannot be, it reads for itself."""
    text = json.dumps({"stamp": stamp, "distributions": [asdict(each) for each in known]})
    beside = scratch_beside(kept)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, "utf-8")
        beside.replace(kept)
    except OSError:
        with suppress(OSError):
            beside.unlink()


@lru_cache(maxsize=8)
def _read(_stamp: str) -> tuple[Distribution, ...]:
    """Every distribution on ``sys.path``; of two with one name, the first is imported."""
    from importlib import metadata  # 20 ms, and not needed when the file holds

    found: dict[str, Distribution] = {}
    for each in metadata.distributions():
        about = each.metadata  # parsed anew each time it is asked for
        name = _plain(about["Name"] or "")
        if name and name not in found:
            found[name] = Distribution(
                name,
                about["Version"] or "",
                tuple(about.get_all("Requires-Dist") or ()),
                tuple(sorted(_modules(each))),
                _editable(each.read_text("direct_url.json")),
            )
    return tuple(found.values())


def _modules(distribution: Any) -> set[str]:
    """The top names: what it says itself, and the first part of each of its files."""
    said = set((distribution.read_text("top_level.txt") or "").split())
    record = distribution.read_text("RECORD") or ""
    for line in record.splitlines():
        path = line.partition(",")[0].strip('"')
        top, _, inside = path.partition("/")
        if inside or top.endswith((".py", ".so", ".pyd")):
            said.add(top.partition(".")[0] if not inside else top)
    return {each for each in said if each.isidentifier()}


def _editable(direct: str | None) -> str | None:
    try:
        said = json.loads(direct or "{}")
    except ValueError:
        return None
    if not said.get("dir_info", {}).get("editable"):
        return None
    from urllib.request import url2pathname

    return url2pathname(said["url"].removeprefix("file://"))
