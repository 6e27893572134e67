"""`towpath reproduce`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, is_interactive, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.audit.reproduction import RecordDifference, ReproducedVersion


@click.command()
@click.argument("reference")
@click.option("--keep", metavar="DIR", help="Do it in this new folder, and leave it there.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-9,
    show_default=True,
    help="By which share a metric may differ.",
)
@json_option
@pass_session
def reproduce(
    session: Session, reference: str, keep: str | None, tolerance: float, as_json: bool
) -> int:
    """Make a version again: its commit, data and parameters, in a scratch work tree.

    Says whether the model is equal to the last byte, equal in its metrics, or in what it differs.
    """
    from towpath.audit.reproduction import reproduce_version

    folder = (session.working_folder / keep) if keep else None
    if as_json or session.quiet:
        reproduction = reproduce_version(session.workspace, reference, tolerance, folder)
    else:
        from towpath.cli.render.run_progress import LiveProgress, PlainProgress

        with LiveProgress() if is_interactive() else PlainProgress() as progress:
            reproduction = reproduce_version(
                session.workspace, reference, tolerance, folder, [progress]
            )
    if as_json:
        print_json("reproduction", reproduction)
    else:
        _say_reproduced(session, reproduction)
    return 3 if reproduction.verdict == "different" else 0


def _say_reproduced(session: Session, reproduced: ReproducedVersion) -> None:
    verdict_words = {
        "bytes": ("green", "byte for byte the same", f"sha256 {reproduced.sha256}"),
        "metrics": ("green", "the same metrics", f"within {reproduced.tolerance:g}, other bytes"),
        "different": ("red", "not the same", "other bytes, other metrics"),
    }
    colour, words, detail = verdict_words[reproduced.verdict]
    verdict = terminal.Styled(words, f"bold {colour}")
    terminal.echo(f"{reproduced.version}: ", verdict, f" ({detail})")
    differences = [
        *_difference_rows("metric", reproduced.differences),
        *_difference_rows("", reproduced.environment),
    ]
    if differences:
        terminal.show_table(("", "name", "recorded", "now"), differences)
    if reproduced.folder:
        session.say(f"kept in {reproduced.folder}; `git worktree remove --force` takes it away")


def _difference_rows(
    section: str, differences: tuple[RecordDifference, ...]
) -> list[tuple[str, ...]]:
    def shown(value: object) -> str:
        return repr(value) if isinstance(value, float) else terminal.brief_value(value)

    return [(section or "package", d.name, shown(d.recorded), shown(d.now)) for d in differences]
