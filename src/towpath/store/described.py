"""A remote of DVC's as another repository may name it: where it is, never who is let in."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from towpath.credentials import strip_credentials
from towpath.errors import StoreError

PUBLIC = ("url", "endpointurl", "region", "profile")
"""What a remote's section may say in another repository; the rest stays where it is written."""

_REMOTE = re.compile(r"""'?remote\s+"(?P<name>[^"]+)"'?""")


@dataclass(frozen=True)
class Described:
    """A remote by name, and the public part of what ``.dvc/config`` says of it."""

    name: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Configuration:
    """A ``.dvc/config`` as sections of settings; comments are not kept."""

    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, shown: str = ".dvc/config") -> Configuration:
        """Read the file's text; ``StoreError`` where DVC could not read it either."""
        parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
        try:
            parser.read_string("\n".join(line.strip() for line in text.splitlines()))
        except configparser.Error as wrong:
            raise StoreError(f"{shown} cannot be read: {wrong.message}") from wrong
        return cls({name: dict(parser[name]) for name in parser.sections()})

    def __str__(self) -> str:
        blocks = (
            "".join([f"[{name}]\n", *(f"    {key} = {value}\n" for key, value in said.items())])
            for name, said in self.sections.items()
        )
        return "".join(blocks)

    def default(self) -> Described | None:
        """The remote that is meant when none is named: ``core.remote``, or the only one."""
        found = {one["name"]: name for name in self.sections if (one := _REMOTE.fullmatch(name))}
        named = self.sections.get("core", {}).get("remote")
        chosen = named or (next(iter(found)) if len(found) == 1 else None)
        if chosen is None or chosen not in found:
            return None
        said = self.sections[found[chosen]]
        known = {key: strip_credentials(_bare(said[key])) for key in PUBLIC if key in said}
        return Described(chosen, known) if "url" in known else None

    def using(self, remote: Described) -> Configuration:
        """The same with another default remote, which takes the place of one of its name."""
        kept = {name: said for name, said in self.sections.items() if not _is(name, remote.name)}
        core = {**kept.pop("core", {}), "remote": remote.name}
        return Configuration({"core": core, **kept, f"'remote \"{remote.name}\"'": remote.settings})


def described(root: Path) -> Described | None:
    """The default remote in a project's own ``.dvc/config``; None where it names none.

    What only this machine or this person configured is not for others. A folder becomes absolute.
    """
    from towpath.store.layout import locate

    file = locate(root).dvc / "config"
    if not file.is_file():
        return None
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as wrong:
        raise StoreError(".dvc/config is not UTF-8") from wrong
    found = Configuration.parse(text).default()
    if found is None or "://" in found.settings["url"]:
        return found
    folder = os.path.normpath(file.parent / Path(found.settings["url"]).expanduser())
    return Described(found.name, {**found.settings, "url": folder})


def _is(section: str, remote: str) -> bool:
    found = _REMOTE.fullmatch(section)
    return bool(found and found["name"] == remote)


def _bare(value: str) -> str:
    quoted = re.fullmatch(r"""(["'])(.*)\1""", value)
    return quoted[2] if quoted else value
