"""`towpath up`, `down`, `status` and `deploy`: the Prefect API, and what runs by it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session
from towpath.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from towpath.audit.open_tasks import ProjectStanding
    from towpath.backends.prefect.deployment_plan import DeploymentPlan
    from towpath.backends.prefect.server.project_api import ServiceStatus, StartedServices
    from towpath.backends.prefect.server.worker import PoolWorker

_ENTER = "  (its password: `towpath status --secret`)"
_NEXT = "Next:  towpath deploy --apply && prefect deployment run 'training/dev'"


@click.command()
@json_option
@pass_session
def up(session: Session, as_json: bool) -> None:
    """Start the Prefect API and a worker, and tell stock `prefect` commands of them."""
    from towpath.backends.prefect.server import project_api

    started = project_api.start_services(session.workspace.root)
    if as_json:
        return print_json("up", started)
    _print_pairs(_describe_start(started))
    if started.advice:
        session.say(started.advice)
    session.say()
    return session.say(_NEXT)


def _describe_start(started: StartedServices) -> Iterable[tuple[str, str]]:
    yield "API", started.api.url
    yield "UI", f"{started.api.pages_url}{_ENTER if started.api.started_by_us else ''}"
    yield "worker", _describe_worker(started.worker)
    yield "log", str(started.worker_log)
    if started.settings:
        yield "settings", f"{started.settings.name}, which stock `prefect` obeys here"


def _describe_worker(worker: PoolWorker) -> str:
    return f"takes runs from pool `{worker.pool}`, process {worker.pid}, since {worker.since}"


@click.command()
@click.option("--force", is_flag=True, help="Even while runs are in progress.")
@json_option
@pass_session
def down(session: Session, force: bool, as_json: bool) -> None:
    """Stop the worker and the local Prefect API."""
    from towpath.backends.prefect.server import project_api

    stopped = project_api.stop_services(session.workspace.root, force=force)
    if as_json:
        return print_json("down", stopped)
    names = {"the worker": stopped.worker, "the API": stopped.api}
    ended = [name for name, was_there in names.items() if was_there]
    return session.say(f"stopped {' and '.join(ended)}" if ended else "nothing was running")


@click.command()
@click.option("--secret", is_flag=True, help="Print the secret of the local API, and nothing else.")
@click.option("--online", is_flag=True, help="Ask the forge, remote and shared registry as well.")
@json_option
@pass_session
def status(session: Session, secret: bool, online: bool, as_json: bool) -> None:
    """Say what runs: the Prefect API, the worker, runs in progress, the stages; and what waits for
    a person. Nothing is started."""
    from towpath.backends.prefect.server import project_api

    if secret:
        return terminal.echo(project_api.read_secret(session.workspace.root))
    server_status = project_api.read_service_status(session.workspace.root)
    from towpath.audit.open_tasks import read_project_standing

    standing = read_project_standing(session.workspace, offline=not online)
    if as_json:
        return print_json("status", {**structs.asdict(server_status), **structs.asdict(standing)})
    _print_pairs(_describe_status(server_status))
    return _print_standing(standing)


def _describe_status(status: ServiceStatus) -> Iterable[tuple[str, str]]:
    if status.url is None:
        yield "API", "none runs; `towpath run` starts one and lets it rest, `towpath up` keeps it"
    else:
        yield "API", f"{status.url}  ({status.origin})"
        yield "UI", f"{status.ui}{_ENTER if status.local else ''}"
    if status.trouble:
        yield "trouble", status.trouble
    if status.local:
        process = f"process {status.local.pid}, Prefect {status.local.prefect}"
        yield "since", f"{status.local.since}, {process}"
        yield "log", str(status.local.log)
    none = "none; `towpath up` starts one"
    yield "worker", _describe_worker(status.worker) if status.worker else none
    yield "runs", ", ".join(status.runs) or "none in progress"


def _print_standing(standing: ProjectStanding) -> None:
    _print_pairs(
        (place.stage, f"{place.model}@{place.version}{', ' if place.lag else ''}{place.lag}")
        for place in standing.stages
    )
    if standing.forge_unasked:
        _print_pairs([("forge", "not asked which promotions wait; `towpath status --online` asks")])
    for fault in standing.unread:
        terminal.echo_marked(Styled("warning", "yellow"), fault)
    if standing.tasks:
        terminal.echo()
        rows = [(task.words, task.command) for task in standing.tasks]
        terminal.show_table(("needs a person", "do, or look"), rows)


def _print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        terminal.echo(Styled(name.ljust(9), "cyan"), f" {value}")


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
    from towpath.backends.prefect import deployment_plan, write_deployments

    if acts and check:
        raise UsageError("--check changes nothing", hint="give --apply or --check")
    plans: list[DeploymentPlan] = []
    for prepared in deployment_plan.plan_deployments(session.workspace, environment):
        plans.append(prepared.plan)
        if not as_json:
            _print_plan(prepared.plan)
        if acts:
            tell_done = partial(_say_done, session, silent=as_json)
            write_deployments.apply_plan_at_api(prepared, tell_done)
    if as_json:
        print_json("deploy", [_plan_document(plan) for plan in plans], applied=acts)
    if acts or not _tell_pending(session, plans, silent=as_json):
        return int(ExitCode.DONE)
    return int(ExitCode.PENDING if check else ExitCode.DONE)


def _tell_pending(session: Session, plans: Iterable[DeploymentPlan], silent: bool) -> bool:
    is_pending = any(plan.changes for plan in plans)
    if is_pending and not silent:
        session.say("`towpath deploy --apply` makes it so")
    return is_pending


def _say_done(session: Session, change: object, silent: bool) -> None:
    if not silent:
        session.say(Styled("done", "green"), f": {change}")


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
    counted = f"{len(plan.changes)} to do" if plan.changes else ""
    return ", ".join(filter(None, [counted, kept])) if counted else f"nothing to do: {kept}"


def _plan_document(plan: DeploymentPlan) -> dict[str, Any]:
    changes = [
        {"change": change.kind, "what": change.what, "name": change.name, "fields": change.fields}
        for change in plan.changes
    ]
    return {"api": plan.api, "changes": changes, "kept": plan.kept}
