"""The forge: whether it is reached, by whom, and whether it enforces what the policy relies on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath import forge
from towpath.backends.git import clones, remotes
from towpath.delivery.promotion import rules_in_force
from towpath.delivery.promotion.rules_in_force import connect_to_set_up
from towpath.doctor.health_check import DoctorCheck, report_faults, report_lack, report_well
from towpath.errors import TowpathError
from towpath.forge import Forbidden

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.workspace import Workspace

_ABOUT = "forge"


def examine_forge(workspace: Workspace, environ: Mapping[str, str]) -> Iterator[DoctorCheck]:
    """The forge that the rules in force name, as this environment's token sees it."""
    try:
        connected_forge = connect_to_set_up(workspace, environ)
        if connected_forge is None:
            yield report_well(_ABOUT, "there is none: `towpath approve` merges what is promoted")
            return
        yield _forge_answers(connected_forge)
    except TowpathError as error:
        yield from report_faults(_ABOUT, error)
        return
    yield from _examine_push(workspace, connected_forge)
    yield from _examine_rules(workspace, connected_forge)


def _forge_answers(connected: Forge) -> DoctorCheck:
    """Who the token is of. An app's, as in GitHub's own workflows, is nobody's, and works."""
    about = f"asked about {connected.repository}"
    try:
        return report_well(_ABOUT, f"{connected.name} answers {connected.user()}, {about}")
    except Forbidden:
        message = f"{connected.name} answers, {about}; the token is no person's"
        return DoctorCheck(_ABOUT, "unknown", message, "towpath approve needs a person's token")


def _examine_push(workspace: Workspace, connected: Forge) -> Iterator[DoctorCheck]:
    """Promotions are pushed to the remote, and their pull requests opened at the forge."""
    repository = workspace.registry
    remote = remotes.choose_remote(repository)
    address = clones.remote_address(repository, remote) if remote else None
    if address is None:
        hint = f"git remote add origin https://github.com/{connected.repository}.git"
        yield report_lack(_ABOUT, "there is no remote to push a promotion to", hint)
    elif clones.is_fork(address, connected.repository):
        message = (
            f"promotions are pushed to the fork {address}, and proposed to {connected.repository}"
        )
        yield report_well(_ABOUT, message)
    elif not address.removesuffix(".git").lower().endswith(connected.repository.lower()):
        message = f"promotions are pushed to {address}, and looked for in {connected.repository}"
        yield report_lack(
            _ABOUT, message, "one of `git remote` and `forge: {repository: ...}` is another's"
        )


def _examine_rules(workspace: Workspace, connected: Forge) -> Iterator[DoctorCheck]:
    """What the forge lacks of what the declaration relies on; not every token may read it all."""
    try:
        actual = connected.rules()
    except TowpathError as error:
        yield from report_faults(_ABOUT, error, "unknown")
        return
    missing = forge.find_lacking_rules(rules_in_force.required_forge_rules(workspace), actual)
    for lack in missing:
        yield report_lack(_ABOUT, str(lack), "towpath forge setup --apply")
    silent = rules_in_force.queue_lacks(workspace, actual)
    for lack in silent:
        hint = f"write {rules_in_force.QUEUED} of each, as the workflows of a new project have it"
        yield report_lack(_ABOUT, str(lack), hint)
    if not missing and not silent:
        yield report_well(_ABOUT, "it enforces what the declaration relies on")
