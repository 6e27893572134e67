"""`towpath studio`: the project as pages, served on this machine or written as files."""

from __future__ import annotations

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, pass_session


@click.group(invoke_without_command=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.option("--open/--no-open", "opens", default=True, help="Open a browser at it.")
@click.pass_context
def studio(context: click.Context, port: int, opens: bool) -> None:
    """Look at pipelines, runs, models and stages in a browser.

    It is served on this machine alone, and ends with Ctrl-C. `towpath studio build DIR` writes the
    same pages as files.
    """
    if context.invoked_subcommand:
        return
    session: Session = context.obj
    from towpath.studio.studio_server import serve_studio

    root = session.workspace.root

    def announce(address: str) -> None:
        terminal.echo(address)
        session.say("Ctrl-C ends it")
        if opens:
            click.launch(address)

    serve_studio(root, port, announce)


@studio.command()
@click.argument("folder", type=click.Path(file_okay=False))
@pass_session
def build(session: Session, folder: str) -> None:
    """Write the pages as files that work from a folder, below a path, and on GitHub Pages."""
    from towpath.studio.static_site import build_site

    target = session.working_folder / folder
    changed = build_site(session.workspace.root, target)
    session.say(f"{changed} files written in {target}: open {target}/index.html")
