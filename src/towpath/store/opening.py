"""From a declared store to the place it means: whose credentials, which folder or bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import Fault, UsageError, UserError, did_you_mean
from towpath.store.folder import Folder
from towpath.store.place import Place

if TYPE_CHECKING:
    from towpath.spec.project import Project, Store

DEFAULT = ".towpath/stages"
"""Where the stores of stages lie that declare none, below the project."""

_AT_S3 = "s3://"
_KEYS = {
    "access_key": "access_key_id",
    "secret_key": "secret_access_key",
    "session_token": "session_token",
}


def stage_place(
    project: Project, stage: str, environ: Mapping[str, str], root: Path, identity: str | None
) -> Place:
    """The place of a stage's store; ``identity`` names the stage whose credentials open it.

    Raises ``UsageError`` for a stage that is not declared, ``UserError`` where an environment
    variable that should hold a credential is not set.
    """
    if stage not in project.stages:
        known = ", ".join(project.stages)
        hint = did_you_mean(stage, project.stages) or f"there is {known}"
        raise UsageError(f"there is no stage `{stage}`", hint=hint)
    declared = project.stages[stage].store
    if declared is None:
        url = f"{DEFAULT}/{stage}"
        return Folder(root / url, url)
    other = project.stages[identity].store if identity else None
    return declared_place(declared, environ, root, other)


def declared_place(
    store: Store, environ: Mapping[str, str], root: Path, identity: Store | None = None
) -> Place:
    """The place that a store's declaration means; ``identity`` brings other credentials."""
    if not store.url.startswith(_AT_S3):
        if "://" in store.url:
            raise UserError(f"{store.url} is neither a folder nor an S3 URL")
        return Folder(root / Path(store.url).expanduser(), store.url)
    from towpath.store.remote.bucket import Bucket

    whose = identity if identity and (identity.credentials or identity.profile) else store
    plain = {"endpointurl": store.endpoint, "region": store.region, "profile": whose.profile}
    settings = {key: value for key, value in plain.items() if value}
    return Bucket.open_with(store.url, settings | dict(_credentials(whose, environ)))


def _credentials(store: Store, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The values of the variables that the declaration names, by DVC's names for them."""
    if store.credentials is None:
        return
    named = store.credentials.model_dump(exclude_none=True)
    missing = [variable for variable in named.values() if not environ.get(variable)]
    if missing:
        hint = "set it in the environment of whoever acts for that stage; never in a file in Git"
        raise UserError(
            *(Fault(f"{name} is not set: it holds a credential of {store.url}", hint=hint)
              for name in missing)
        )  # fmt: skip
    yield from ((_KEYS[key], environ[variable]) for key, variable in named.items())
