"""What runs a version in a stage: a folder that a server watches, Prefect, or a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from towpath.spec import words
from towpath.spec.declaration import Declaration
from towpath.spec.words import Duration, File

FLOW = "towpath.flows.batch_transform"


def _argv(value: Any) -> Any:
    if isinstance(value, str):
        words.refuse("a command is a list of words: no shell reads it", f"write {value.split()}")
    return value


def _named(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        words.refuse("the command is empty", "write `[./deploy.sh]`")
    return value


Text: TypeAlias = Annotated[str, Field(min_length=1)]
Argv: TypeAlias = Annotated[
    tuple[str, ...], Field(strict=False), BeforeValidator(_argv), AfterValidator(_named)
]


class Deployment(Declaration):
    """A target of deployment. ``sample`` is a table whose rows the smoke test predicts, by its
    path in the project or in a declared store; without it they are made from the signature."""

    HOW: ClassVar[Mapping[str, str]] = {
        "path": "write `path: deploy/prod`: the folder that a server watches",
        "run": "write `run: [./deploy.sh]`: a list of words that no shell reads",
    }

    sample: File | None = None


class Files(Deployment):
    """The bundle is put into ``path/<model>/versions/<version>``, and ``current`` points at it."""

    to: Literal["files"]
    path: str = Field(min_length=1)


class Command(Deployment):
    """The user's own programs: ``run`` deploys, ``check`` prints what runs, ``remove`` ends it.

    Each is a list of words that no shell reads; what they are told stands in ``TOWPATH_MODEL``,
    ``TOWPATH_VERSION``, ``TOWPATH_BUNDLE``, ``TOWPATH_STAGE`` and ``TOWPATH_SHA256``.
    """

    to: Literal["command"]
    run: Argv
    check: Argv | None = None
    remove: Argv | None = None
    timeout: Duration = 600.0


class Prefect(Deployment):
    """A deployment ``<model>/<stage>`` of a flow, pinned to the version.

    ``parameters`` are the flow's own beside those that pin it (``data``, ``output``, ...);
    ``schedule`` is in cron's words; ``path`` is the project's folder where the worker runs.
    """

    to: Literal["prefect"]
    flow: str = Field(default=FLOW, min_length=1)
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    schedule: Text | None = None
    path: Text | None = None


KINDS: Mapping[str, type[Deployment]] = {"files": Files, "prefect": Prefect, "command": Command}

AnyDeployment: TypeAlias = Files | Prefect | Command
