"""`towpath get`."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, json_option, pass_session, print_json


@click.command()
@click.argument("word", metavar="RUN|MODEL@V|MODEL#STAGE")
@click.argument("name", metavar="[OUTPUT]", required=False)
@click.option("--output", metavar="OUTPUT", help="Which output, such as evaluate.metrics.")
@click.option(
    "-o", "--file", "to", type=click.Path(), metavar="FILE",
    help="Where it goes (default: here, under its own name).",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what stands there.")
@json_option
@pass_session
def get(
    session: Session, word: str, name: str | None, output: str | None,
    to: str | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Copy what a run or a version made to a file of your own, its bytes checked.

    `towpath get last` lists what the last run made, `towpath get last fit.model -o model.skops`
    copies one of it, also of a run that failed or was only tried. `towpath get abalone#prod` copies
    a version's model, `towpath get abalone@v1.0.0 --output metrics` what was made beside it.
    """
    from towpath.errors import UsageError
    from towpath.execution import output_copies

    if name and output and name != output:
        raise UsageError(f"two outputs are named: {name} and {output}", hint="name one")
    output = name or output
    if output is None and not output_copies.is_version(word):
        return _list_outputs(session, word, as_json)
    wanted = output_copies.find_copyable(session.workspace, word, output)
    target = Path(to) if to else None
    if target and to and to.endswith("/") and not (session.here / target).is_dir():
        target /= wanted.artifact.name  # in a folder that is not there yet
    done = output_copies.copy(session.workspace, wanted, session.here, target, force)
    if done.rejected is not None:
        terminal.echo(f"warning: {done.name} was rejected: {done.rejected}", err=True)
    if as_json:
        return print_json("copy", done)
    size = terminal.size(done.size)
    return session.say(f"{done.name} is in {done.path} ({size}, from {done.source})")


def _list_outputs(session: Session, word: str, as_json: bool) -> None:
    """What a run made."""
    from towpath.execution import output_copies, run_folders

    run = run_folders.find(session.workspace.runs, word)
    made = output_copies.outputs(run)
    if as_json:
        return print_json("outputs", {"run": run.id, "outputs": made})
    if not made:
        return session.say(f"run {run.id} {run.state.in_words}, and made nothing that was kept")
    rows = [(name, one.name, terminal.size(one.size), one.digest) for name, one in made.items()]
    return terminal.show(("output", "file", "size", "md5"), rows, ("size",))
