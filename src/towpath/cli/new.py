"""`towpath new`."""

from __future__ import annotations

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, assignments, interactive, pass_session


@click.command()
@click.argument("template", default="tabular")
@click.argument("answers", nargs=-1, metavar="[NAME=ANSWER]...")
@click.option("--no-input", is_flag=True, help="Take the defaults, ask nothing.")
@click.option("--list", "catalogue", is_flag=True, help="List the templates.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False),
    help="The folder to make it in (default: here).",
)
@pass_session
def new(
    session: Session, template: str, answers: tuple[str, ...], no_input: bool, catalogue: bool,
    output: str | None,
) -> None:  # fmt: skip
    """Make a project from TEMPLATE (default: tabular), a Git repository that runs at once."""
    from towpath import projects

    if catalogue:
        for found in projects.catalogue():
            terminal.echo(f"{found.name:12} {found.description}")
        return
    if "=" in template:
        template, answers = "tabular", (template, *answers)
    ask = not no_input and interactive()
    made = projects.new(
        template, session.here / (output or "."), assignments(answers, "answer"), ask
    )
    commands = projects.next_commands(made, session.here)
    session.say(f"made {commands[0].removeprefix('cd ')}")
    session.say()
    session.say("Next:")
    for command in commands:
        session.say(f"  {command}")
