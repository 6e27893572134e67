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
    copyable = output_copies.find_copyable(session.workspace, word, output)
    target = Path(to) if to else None
    if target and to and to.endswith("/") and not (session.working_folder / target).is_dir():
        target /= copyable.artifact.name  # in a folder that is not there yet
    copied = output_copies.place_copy(
        session.workspace, copyable, session.working_folder, target, force
    )
    if copied.rejected is not None:
        terminal.echo(f"warning: {copied.name} was rejected: {copied.rejected}", err=True)
    if as_json:
        return print_json("copy", copied)
    size = terminal.readable_size(copied.size)
    return session.say(f"{copied.name} is in {copied.path} ({size}, from {copied.source})")


def _list_outputs(session: Session, word: str, as_json: bool) -> None:
    """What a run made."""
    from towpath.execution import output_copies, run_folders

    run = run_folders.find_run(session.workspace.runs, word)
    outputs = output_copies.list_run_outputs(run)
    if as_json:
        return print_json("outputs", {"run": run.id, "outputs": outputs})
    if not outputs:
        return session.say(f"run {run.id} {run.state.in_words}, and made nothing that was kept")
    rows = [
        (name, artifact.name, terminal.readable_size(artifact.size), artifact.digest)
        for name, artifact in outputs.items()
    ]
    return terminal.show_table(("output", "file", "size", "md5"), rows, ("size",))
