"""What runs a version in a stage: a folder that a server watches, Prefect, or a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from towpath.config.declaration import Declaration, kinds_of
from towpath.config.names_and_paths import Duration, File, refuse_value

FLOW = "towpath.flows.batch_transform"


def word_list(value: Any) -> Any:
    if isinstance(value, str):
        refuse_value("a command is a list of words: no shell reads it", f"write {value.split()}")
    return value


def not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        refuse_value("the command is empty", "write `[./deploy.sh]`")
    return value


Text: TypeAlias = Annotated[str, Field(min_length=1)]
Argv: TypeAlias = Annotated[
    tuple[str, ...], Field(strict=False), BeforeValidator(word_list), AfterValidator(not_empty)
]


class Deployment(Declaration):
    """A target of deployment."""

    HOW: ClassVar[Mapping[str, str]] = {
        "path": "write `path: deploy/prod`: the folder that a server watches",
        "run": "write `run: [./deploy.sh]`: a list of words that no shell reads",
    }

    sample: File | None = None
    """Rows for the smoke test, from a file of the project or of a declared store; without it they
    are made from the signature."""


class FolderDeployment(Deployment):
    """The bundle is put into ``path/<model>/versions/<version>``, and ``current`` points at it."""

    to: Literal["files"]
    """What runs a version in the stage."""
    path: str = Field(min_length=1)
    """The folder that a server watches."""


class CommandDeployment(Deployment):
    """The user's own programs, each a list of words that no shell reads.

    What they are told stands in ``TOWPATH_MODEL``, ``TOWPATH_VERSION``, ``TOWPATH_BUNDLE``,
    ``TOWPATH_STAGE`` and ``TOWPATH_SHA256``.
    """

    to: Literal["command"]
    run: Argv
    """Deploys a version."""
    check: Argv | None = None
    """Prints the version that runs."""
    remove: Argv | None = None
    """Takes the model out."""
    timeout: Duration = 600.0
    """By default 10m."""


class PrefectDeployment(Deployment):
    """A deployment ``<model>/<stage>`` of a flow, pinned to the version."""

    to: Literal["prefect"]
    flow: str = Field(default=FLOW, min_length=1)
    """The entrypoint of a flow, by default Towpath's own."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """What the flow is given beside the version (`data`, `output`, ...)."""
    schedule: Text | None = None
    """When it runs, in cron's words."""
    path: Text | None = None
    """The project's folder where the worker runs."""


AnyDeployment: TypeAlias = FolderDeployment | PrefectDeployment | CommandDeployment
KINDS: Mapping[str, type[Deployment]] = kinds_of(AnyDeployment, "to")
