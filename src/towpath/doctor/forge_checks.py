"""The forge: whether it is reached, by whom, and whether it enforces what the policy relies on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath import forge
from towpath.backends.git import clones, remotes
from towpath.delivery.promotion import forge_demands
from towpath.delivery.promotion.rules_in_force import connect_to_set_up
from towpath.doctor.health_check import Check, faults, lacks, well
from towpath.errors import TowpathError
from towpath.forge import Forbidden

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.workspace import Workspace

_ABOUT = "forge"


def check(workspace: Workspace, environ: Mapping[str, str]) -> Iterator[Check]:
    """The forge that the rules in force name, as this environment's token sees it."""
    try:
        found = connect_to_set_up(workspace, environ)
        if found is None:
            yield well(_ABOUT, "there is none: `towpath approve` merges what is promoted")
            return
        yield _answers(found)
    except TowpathError as error:
        yield from faults(_ABOUT, error)
        return
    yield from _pushed(workspace, found)
    yield from _enforced(workspace, found)


def _answers(found: Forge) -> Check:
    """Who the token is of. An app's, as in GitHub's own workflows, is nobody's, and works."""
    try:
        return well(_ABOUT, f"{found.name} answers {found.user()}, asked about {found.repository}")
    except Forbidden:
        said = f"{found.name} answers, asked about {found.repository}; the token is no person's"
        return Check(_ABOUT, "unknown", said, "towpath approve needs a person's token")


def _pushed(workspace: Workspace, found: Forge) -> Iterator[Check]:
    """Promotions are pushed to the remote, and their pull requests opened at the forge."""
    repository = workspace.registry
    remote = remotes.chosen(repository)
    address = clones.address(repository, remote) if remote else None
    if address is None:
        hint = f"git remote add origin https://github.com/{found.repository}.git"
        yield lacks(_ABOUT, "there is no remote to push a promotion to", hint)
    elif clones.is_fork(address, found.repository):
        said = f"promotions are pushed to the fork {address}, and proposed to {found.repository}"
        yield well(_ABOUT, said)
    elif not address.removesuffix(".git").lower().endswith(found.repository.lower()):
        said = f"promotions are pushed to {address}, and looked for in {found.repository}"
        yield lacks(_ABOUT, said, "one of `git remote` and `forge: {repository: ...}` is another's")


def _enforced(workspace: Workspace, found: Forge) -> Iterator[Check]:
    """What the forge lacks of what the declaration relies on; not every token may read it all."""
    try:
        actual = found.rules()
    except TowpathError as error:
        yield from faults(_ABOUT, error, "unknown")
        return
    missing = forge.lacks(forge_demands.wanted(workspace), actual)
    for one in missing:
        yield lacks(_ABOUT, str(one), "towpath forge setup --apply")
    silent = forge_demands.queue_lacks(workspace, actual)
    for one in silent:
        hint = f"write {forge_demands.QUEUED} of each, as the workflows of a new project have it"
        yield lacks(_ABOUT, str(one), hint)
    if not missing and not silent:
        yield well(_ABOUT, "it enforces what the declaration relies on")
