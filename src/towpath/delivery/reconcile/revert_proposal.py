"""After a gate said no: how the main branch comes to say again what runs."""

from __future__ import annotations

from towpath.delivery.reconcile.stage_changes import DeployVersion, StageChange
from towpath.delivery.reconcile.stage_site import StageSite
from towpath.errors import TowpathError


def propose_revert(site: StageSite, change: StageChange) -> str | None:
    """A pull request that goes back to the incumbent, where there is a forge; else the command."""
    if not isinstance(change, DeployVersion):
        return None
    if site.forge is None:
        return revert_command(site.stage, change)
    from towpath.delivery import promotion

    why = f"A deploy gate of {site.stage} refused {change.model}@{change.version}."
    try:
        proposal = (
            promotion.propose_rollback(
                site.view.workspace, change.model, site.stage, to=str(change.over), why=why
            )
            if change.over
            else promotion.propose_demotion(site.view.workspace, change.model, site.stage, why=why)
        )
    except TowpathError as refused:  # a rejected incumbent, a token that may not
        site.say(f"no revert could be proposed: {refused}")
        return revert_command(site.stage, change)
    return proposal.url or revert_command(site.stage, change)


def revert_command(stage: str, change: DeployVersion) -> str:
    """What a person types."""
    if change.over is None:
        return f"towpath demote {change.model} --stage {stage}"
    return f"towpath rollback {change.model} --stage {stage} --to {change.over}"
