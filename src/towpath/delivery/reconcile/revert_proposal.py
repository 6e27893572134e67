"""After a gate said no: how the main branch comes to say again what runs."""

from __future__ import annotations

from towpath.delivery.reconcile.stage_changes import Change, Deploy
from towpath.delivery.reconcile.stage_site import Site
from towpath.errors import TowpathError


def propose(site: Site, change: Change) -> str | None:
    """A pull request that goes back to the incumbent, where there is a forge; else the command."""
    if not isinstance(change, Deploy):
        return None
    if site.forge is None:
        return command(site.stage, change)
    from towpath.delivery import promotion

    why = f"A deploy gate of {site.stage} refused {change.model}@{change.version}."
    try:
        made = (
            promotion.rollback(
                site.view.workspace, change.model, site.stage, to=str(change.over), why=why
            )
            if change.over
            else promotion.demote(site.view.workspace, change.model, site.stage, why=why)
        )
    except TowpathError as refused:  # a rejected incumbent, a token that may not
        site.say(f"no revert could be proposed: {refused}")
        return command(site.stage, change)
    return made.url or command(site.stage, change)


def command(stage: str, change: Deploy) -> str:
    """What a person types."""
    if change.over is None:
        return f"towpath demote {change.model} --stage {stage}"
    return f"towpath rollback {change.model} --stage {stage} --to {change.over}"
