"""Workflow files as data: their jobs and steps, and GitHub's filters of paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

USES = re.compile(r"^\s*(?:- )?uses: *([^\s#]+)(?: *# *(\S+))?", re.MULTILINE)
SECRET = re.compile(r"secrets\.(\w+)")


@dataclass(frozen=True)
class Job:
    """A job: what it says, and the workflow that it stands in."""

    workflow: Mapping[str, Any]
    said: Mapping[str, Any]

    @property
    def permissions(self) -> Mapping[str, str]:
        """What its token may do: its own list replaces the workflow's."""
        found: Mapping[str, str] = self.said.get("permissions", self.workflow["permissions"])
        return found

    @property
    def group(self) -> str:
        """Its group of concurrency, or its workflow's."""
        here = self.said.get("concurrency") or self.workflow.get("concurrency") or {}
        return str(here.get("group", ""))

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """Its steps."""
        found: Sequence[Mapping[str, Any]] = self.said["steps"]
        return found

    @property
    def runs(self) -> list[str]:
        """The scripts of its steps."""
        return [step["run"] for step in self.steps if "run" in step]

    @property
    def secrets(self) -> set[str]:
        """The secrets that it names, wherever."""
        return set(SECRET.findall(str(self.said)))

    def checkout(self) -> Mapping[str, Any]:
        """What it asks of actions/checkout."""
        (found,) = [s for s in self.steps if s.get("uses", "").startswith("actions/checkout@")]
        return found["with"]  # type: ignore[no-any-return]


def read(file: Path) -> Mapping[str, Any]:
    """A workflow file's content."""
    found: Mapping[str, Any] = YAML(typ="safe").load(file.read_text())
    return found


def jobs(folder: Path) -> dict[str, Job]:
    """All jobs of a folder of workflows, as `workflow/job`."""
    found = {}
    for file in sorted(folder.glob("*.yml")):
        workflow = read(file)
        for name, said in workflow["jobs"].items():
            found[f"{file.stem}/{name}"] = Job(workflow, said)
    return found


def uses(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Every action used: its name, what it is pinned to, and the release said beside it."""
    for file in sorted(folder.glob("*.yml")):
        for action, release in USES.findall(file.read_text()):
            name, _, pin = action.partition("@")
            yield name, pin, release


def fits(path: str, filters: Sequence[str]) -> bool:
    """Whether GitHub's filter of paths lets a changed file through: `*` stops at a slash."""
    parts = {"**": ".*", "*": "[^/]*"}
    patterns = (
        "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", one))
        for one in filters
    )
    return any(re.fullmatch(pattern, path) for pattern in patterns)
