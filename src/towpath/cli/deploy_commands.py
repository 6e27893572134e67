"""`towpath deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from towpath.backends.prefect.write_deployments import DeploymentPlan

_SIGNS = {"make": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}


@click.command()
@click.option(
    "--for", "environment", metavar="NAME", default="", help="Only the deployments of this name."
)
@click.option("--apply", "acts", is_flag=True, help="Make what the plan says.")
@click.option("--check", is_flag=True, help="Exit 4 where anything differs.")
@json_option
@pass_session
def deploy(session: Session, environment: str, acts: bool, check: bool, as_json: bool) -> int:
    """Say what differs between the deployments that prefect.yaml declares and those at the Prefect
    API; with --apply, make it so.

    Only what Towpath made is removed.
    """
    from towpath.backends.prefect import deploy_project, write_deployments
    from towpath.errors import ExitCode, UsageError

    if acts and check:
        raise UsageError("--check changes nothing", hint="give --apply or --check")
    plans: list[DeploymentPlan] = []
    for prepared in deploy_project.plan_deployments(session.workspace, environment):
        plans.append(prepared.plan)
        if not as_json:
            _print_plan(prepared.plan)
        if acts:
            write_deployments.apply_plan_at_api(
                prepared, lambda change: session.say(Styled("done", "green"), f": {change}")
            )
    if as_json:
        print_json("deploy", [_plan_document(plan) for plan in plans], applied=acts)
    if acts or not any(plan.changes for plan in plans):
        return int(ExitCode.DONE)
    session.say("`towpath deploy --apply` makes it so")
    return int(ExitCode.PENDING if check else ExitCode.DONE)


def _print_plan(plan: DeploymentPlan) -> None:
    terminal.echo(Styled(plan.api, "bold"))
    for change in plan.changes:
        sign, colour = _SIGNS[change.kind]
        terminal.echo("  ", Styled(sign, colour), f" {change}")
        for field in change.fields:
            terminal.echo(f"      {field}")
    terminal.echo(f"  {_summarise(plan)}")


def _summarise(plan: DeploymentPlan) -> str:
    if not plan.changes and not plan.kept:
        return "nothing is declared, and nothing of this project stands here"
    kept = f"{len(plan.kept)} as declared" if plan.kept else ""
    if not plan.changes:
        return f"nothing to do: {kept}"
    return ", ".join(filter(None, [f"{len(plan.changes)} to do", kept]))


def _plan_document(plan: DeploymentPlan) -> dict[str, Any]:
    changes: Sequence[dict[str, Any]] = [
        {
            "change": change.kind,
            "what": change.what,
            "name": change.name,
            "fields": [
                {"field": field.field, "before": field.before, "after": field.after}
                for field in change.fields
            ],
        }
        for change in plan.changes
    ]
    return {"api": plan.api, "changes": changes, "kept": list(plan.kept)}
