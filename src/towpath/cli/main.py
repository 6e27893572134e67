"""The command `towpath`: a table of verbs, and the one place where a fault becomes words."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from towpath.command_table import VERBS

_at_end: list[Callable[[], None]] = []

INTERRUPTED = 130
_EPILOG = (
    "Exit codes: 0 done, 1 a step failed, 2 a wrong call or declaration, 3 a check or a gate "
    "said no, 4 drift or something lacking, 70 our bug, 130 interrupted."
)


class Verbs(click.Group):
    """A group whose commands are imported when they are called."""

    # click names the arguments of these methods, used or not: hence each `noqa`.
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for verbs in VERBS.values() for name in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        import importlib

        family = next((verbs[cmd_name][0] for verbs in VERBS.values() if cmd_name in verbs), None)
        if family is None:
            return None
        module = importlib.import_module(f"towpath.cli.{family}_commands")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A mistyped verb is answered with the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from towpath.errors import UsageError, did_you_mean

            hint = did_you_mean(args[0], self.list_commands(ctx)) or "`towpath --help` lists them"
            raise UsageError(f"no command `{args[0]}`", hint=hint) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, verbs in VERBS.items():  # click's own would import each to ask for its help
            with formatter.section(title):
                formatter.write_dl([(name, word) for name, (_, word) in verbs.items()])


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from towpath import __version__
        from towpath.cli.render import terminal

        terminal.echo(f"towpath {__version__}")
        ctx.exit()


@click.command(cls=Verbs, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-C", "folder", metavar="DIR", default=None, help="Work as if started in DIR.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what was asked for.")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Say more; a fault of ours with its traceback. -vv: log each call to the outside.",
)
@click.option("--profile", is_flag=True, help="Say at the end where the time went.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
@click.pass_context
def towpath(
    ctx: click.Context, folder: str | None, quiet: bool, verbose: int, profile: bool
) -> None:
    """An ML platform in a Git repository: projects, pipelines, a model registry, promotion."""
    from towpath.cli.render import terminal
    from towpath.cli.session import Session

    if verbose > 1 or profile or os.environ.get("TOWPATH_LOG"):
        from towpath.cli.diagnostic_options import begin_diagnostics

        _at_end.append(begin_diagnostics(verbose > 1, profile))
    ctx.color = False if terminal.is_colour_refused() else None
    ctx.obj = Session(folder, quiet, verbose)


def main() -> None:
    """Run the command line and exit; the one `try` of the program."""
    from towpath.cli.render import terminal

    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a sign is no reason to fail
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Asked to end, a command ends as it does at Ctrl-C: with Git and whatever else it has started,
    # its scratch files removed, its run recorded as interrupted.
    signal.signal(signal.SIGTERM, _raise_interrupt)
    # A shell without job control has what runs in its background ignore Ctrl-C, and Python then
    # leaves it so: `towpath run --stop` could not end such a run.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    terminal.guard_streams()
    gc.disable()  # a call is short, and imports leave no garbage; a run turns it on
    code = _run_guarded(sys.argv[1:])
    for end in _at_end:  # after whatever was said of an error
        end()
    gc.freeze()  # at its end Python looks through all that was imported, to free it: 45 ms
    # A thread of the run that was interrupted may still wait for something, and `sys.exit` for it.
    if code == INTERRUPTED:
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run_guarded(arguments: list[str]) -> int:
    try:
        answer: Any = towpath.main(arguments, prog_name="towpath", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except click.exceptions.Abort:  # Ctrl-C at a question: click has ended the line itself
        return INTERRUPTED
    except KeyboardInterrupt:
        from towpath.cli.render import terminal

        terminal.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # `towpath runs | head`
        # At its end Python flushes stdout once more, and would complain that the pipe is gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from towpath.cli.render import fault_words

        return fault_words.report_error(error, arguments)
