"""`towpath new`."""

from __future__ import annotations

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, is_interactive, parse_assignments, pass_session


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
        for known_template in projects.catalogue():
            terminal.echo(f"{known_template.name:12} {known_template.description}")
        return
    if "=" in template:
        template, answers = "tabular", (template, *answers)
    ask = not no_input and is_interactive()
    project = projects.make_from_template(
        template,
        session.working_folder / (output or "."),
        parse_assignments(answers, "answer"),
        ask,
    )
    commands = projects.next_commands(project, session.working_folder)
    session.say(f"made {commands[0].removeprefix('cd ')}")
    session.say()
    session.say("Next:")
    for command in commands:
        session.say(f"  {command}")
