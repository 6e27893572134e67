"""`towpath check` and `towpath schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from towpath.cli.render import terminal
from towpath.cli.session import (
    Session,
    json_option,
    pass_session,
    print_json,
    refuse_without,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath.errors import Fault
    from towpath.workspace import Workspace


@click.command()
@click.argument("pipelines", nargs=-1)
@click.option("--promotion", is_flag=True, help="Check a branch as a promotion instead.")
@click.option("--base", metavar="COMMIT", help="Whose policy judges it (default: main).")
@click.option("--head", metavar="COMMIT", help="What is checked (default: what is checked out).")
@click.option(
    "--format", "form", type=click.Choice(["text", "md"]), default="text", help="md for a page."
)
@json_option
@pass_session
def check(
    session: Session,
    pipelines: tuple[str, ...],
    promotion: bool,
    base: str | None,
    head: str | None,
    form: str,
    as_json: bool,
) -> None:
    """Say all that is wrong with the declarations of PIPELINES (default: all, and the stages'
    gates), with its places.

    Nothing of the project is imported or run.
    """
    from towpath.errors import DeclarationError, UsageError

    if promotion:
        from towpath.cli.render import promotion_views

        if pipelines:
            raise UsageError(
                f"--promotion checks a branch, and not `{pipelines[0]}`",
                hint="--head COMMIT says which; without it, what is checked out",
            )
        return promotion_views.run_promotion_check(session, base, head, form, as_json)
    refuse_without("--promotion", {"--base": base, "--head": head, "--format": form != "text"})
    from towpath.pipeline import pipeline_order
    from towpath.planning import pipeline_check

    workspace = session.workspace
    _ = workspace.project
    names = [workspace.pipeline_name(name) for name in pipelines] or list(workspace.pipelines)
    declaration_faults = [
        fault for name in names for fault in pipeline_check.find_pipeline_faults(workspace, name)
    ]
    declaration_faults += pipeline_order.circle_faults(pipeline_check.read_pipelines(workspace))
    declaration_faults += () if pipelines else _gate_faults(workspace)
    if declaration_faults:
        raise DeclarationError(*dict.fromkeys(declaration_faults))
    if as_json:
        return print_json("check", {"pipelines": names, "faults": []})
    counts = {name: len(workspace.pipeline(name).pipeline.steps) for name in names}
    return session.say(_summarise_check(counts))


def _summarise_check(counts: Mapping[str, int]) -> str:
    """What was checked: the pipelines with their steps, where there are any."""
    if not counts:
        sound = "towpath.yaml is sound"
        return f"{sound}; no pipeline yet: flows/<name>/pipeline.yaml would be one"
    if not sum(counts.values()):
        return f"{', '.join(counts)}: no steps yet, nothing wrong"
    return f"{', '.join(counts)}: {sum(counts.values())} steps, nothing wrong"


def _gate_faults(workspace: Workspace) -> tuple[Fault, ...]:
    """What is wrong with the gates of the stages."""
    project = workspace.project
    if not any(stage.gates for stage in project.stages.values()):
        return ()
    from towpath.delivery.gates import gate_files

    return gate_files.gate_faults(workspace.root, project)


@click.command()
@click.argument("of", type=click.Choice(["pipeline", "project"]), default="pipeline")
def schema(of: Literal["pipeline", "project"]) -> None:
    """Print the JSON Schema of a pipeline's (or the project's) declaration."""
    from towpath.config.schema import read_schema

    terminal.echo_json(read_schema(of).removesuffix("\n"))
