"""`towpath check` and `towpath schema`."""

from __future__ import annotations

import json
from typing import Literal

import click

from towpath.cli.session import Session, json_option, pass_session, print_json


@click.command()
@click.argument("pipelines", nargs=-1)
@json_option
@pass_session
def check(session: Session, pipelines: tuple[str, ...], as_json: bool) -> None:
    """Say all that is wrong with the declarations of PIPELINES (default: all), with its places.

    Nothing of the project is imported or run.
    """
    from towpath.engine import checking
    from towpath.errors import DeclarationError

    workspace = session.workspace
    _ = workspace.project
    names = [workspace.pipeline_name(name) for name in pipelines] or list(workspace.pipelines)
    found = [fault for name in names for fault in checking.faults(workspace, name)]
    if found:
        raise DeclarationError(*dict.fromkeys(found))
    if as_json:
        return print_json("check", {"pipelines": names, "faults": []})
    steps = sum(len(workspace.pipeline(name).pipeline.steps) for name in names)
    return session.say(f"{', '.join(names) or 'no pipeline'}: {steps} steps, nothing wrong")


@click.command()
@click.argument("of", type=click.Choice(["pipeline", "project"]), default="pipeline")
def schema(of: Literal["pipeline", "project"]) -> None:
    """Print the JSON Schema of a pipeline's (or the project's) declaration."""
    from towpath.spec.schema import json_schema

    click.echo(json.dumps(json_schema(of), indent=2))
