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

#: Each verb, the family whose module holds it (`run`: cli/run_commands.py), and its word in
#: `towpath --help`. A module is imported when its verb is called, so that the help costs nothing.
VERBS: dict[str, dict[str, tuple[str, str]]] = {
    "Begin": {
        "new": ("project", "Make a project from a template."),
        "init": ("project", "Make a project of the repository that you have."),
        "check": ("project", "Say all that is wrong with the project's declarations."),
        "graph": ("project", "Draw a pipeline: text, Mermaid or SVG."),
        "schema": ("project", "Print the JSON Schema of a declaration, for editors."),
        "doctor": ("project", "Say what stands in the way: Git, stages, stores, the forge."),
    },
    "Look": {
        "studio": ("studio", "See pipelines, runs, models and stages in a browser."),
    },
    "Run": {
        "plan": ("run", "Say for each step whether it would run, and why."),
        "run": ("run", "Run a pipeline."),
        "answer": ("run", "Answer a step that waits for it; list those that do."),
        "runs": ("record", "List the runs."),
        "logs": ("record", "Show the log of a run, or of one of its steps."),
        "diff": ("record", "Show in what two runs differ."),
        "report": ("report", "Write a page about a run or a version: graph, curves, logs."),
        "get": ("record", "Copy what a run or a version made to a file of your own."),
        "step": ("run", "Run one step on the files of the work tree, as DVC does."),
        "shell": ("debug", "Open Python with what a step of a run took."),
    },
    "Registry": {
        "models": ("version", "List the models and their versions."),
        "show": ("version", "Show a version: its metrics, data, code and signature."),
        "compare": ("version", "Lay versions side by side."),
        "search": ("version", "Find versions by metric, parameter, label, stage, author or date."),
        "transform": ("version", "Score a table with a registered model."),
        "register": ("registry", "Register what a run made, without running anything."),
        "claim": ("registry", "Write down that a model is of this project."),
        "restore": ("registry", "Put a tag right: make a lost one again, set a false aside."),
        "reject": ("version", "Mark a version as bad, or put a promotion away, with the reason."),
    },
    "Promotion": {
        "promote": ("promotion", "Propose that a version enter a stage: a pull request."),
        "approve": ("promotion", "Approve a promotion and merge it; list those that wait."),
        "rollback": ("promotion", "Propose that a stage go back to the version before."),
        "demote": ("promotion", "Propose that a model leave a stage."),
        "reconcile": ("reconcile", "Make each stage run what the main branch says."),
        "forge": ("promotion", "Say or set what the forge must enforce."),
    },
    "Audit": {
        "history": ("audit", "Say what each stage ran, when, and who let it in."),
        "lineage": ("audit", "Draw where a version came from, and where it went."),
        "verify": ("audit", "Find what was forged, altered or lost."),
        "reproduce": ("audit", "Make a version again, and say whether it is the same."),
    },
    "Store": {
        "push": ("registry", "Push data, models and versions, which get their numbers."),
        "pull": ("registry", "Bring versions, data, models, and what a run need not do again."),
        "fetch": ("registry", "Bring the registry's tags."),
        "update": ("run", "Look again at where inputs come from, and pin what is there now."),
    },
    "Prefect": {
        "deploy": ("deploy", "Make the deployments that prefect.yaml declares."),
        "up": ("server", "Start the local Prefect API and a worker."),
        "down": ("server", "Stop them."),
        "status": ("server", "Say what runs."),
    },
}

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
    from towpath.cli.session import Session, is_colour_refused

    if verbose > 1 or profile or os.environ.get("TOWPATH_LOG"):
        from towpath.cli.diagnostic_options import begin_diagnostics

        _at_end.append(begin_diagnostics(verbose > 1, profile))
    ctx.color = False if is_colour_refused() else None
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
