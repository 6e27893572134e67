"""`towpath up`, `towpath down` and `towpath status`."""

from __future__ import annotations

import click

from towpath.cli.session import Session, json_option, pass_session, print_json


@click.command()
@json_option
@pass_session
def up(session: Session, as_json: bool) -> None:
    """Start the local Prefect API and a worker, and point stock `prefect` at them."""
    from towpath.engine import server

    started = server.up(session.workspace.root)
    if as_json:
        return print_json("up", started)
    session.say(f"Prefect API  {started.api.url}")
    session.say(f"UI           {started.ui}")
    session.say(f"worker       of pool `{started.pool}`")
    session.say("\nNext:  prefect deploy --all  &&  prefect deployment run 'training/dev'")
    return None


@click.command()
@json_option
@pass_session
def down(session: Session, as_json: bool) -> None:
    """Stop the local Prefect API and its worker."""
    from towpath.engine import server

    stopped = server.down(session.workspace.root)
    if as_json:
        return print_json("down", stopped)
    return session.say(stopped.message)


@click.command()
@json_option
@pass_session
def status(session: Session, as_json: bool) -> None:
    """Say what runs: the Prefect API, the worker, runs in progress."""
    from towpath.engine import server

    found = server.status(session.workspace.root)
    if as_json:
        return print_json("status", found)
    return click.echo(found.text())
