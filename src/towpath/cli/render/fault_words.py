"""A fault in words: on stderr for a person, or as a document on stdout with ``--json``."""

from __future__ import annotations

import os
import platform
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

import towpath
from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_faults_as_json
from towpath.cli.render.terminal import Styled
from towpath.credentials import hide_credentials, hide_words
from towpath.errors import ExitCode, Fault, TowpathError, UsageError


def report_error(error: Exception, arguments: Sequence[str]) -> int:
    expected_error = _as_towpath_error(error)
    if expected_error is None:
        return _report_bug(error, arguments)
    if "--json" in arguments:
        print_faults_as_json(expected_error.faults, expected_error.exit_code)
    else:
        _print_faults(expected_error.faults)
    return int(expected_error.exit_code)


def _print_faults(faults: Sequence[Fault]) -> None:
    # Each once: two rooms may have come upon the same one.
    for fault in {str(fault): fault for fault in faults}.values():
        where = (Styled(f"{fault.place}: ", "bold"),) if fault.place else ()
        terminal.echo_marked(Styled("error", "bold red"), *where, fault.what)
        if fault.hint:
            terminal.echo_marked(Styled("  hint", "cyan"), fault.hint)


def _as_towpath_error(error: Exception) -> TowpathError | None:
    if isinstance(error, TowpathError):
        return error
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f"`{context.command_path} --help`" if context else None
        return UsageError(error.format_message(), hint=_place_before(error) or hint)
    if not isinstance(error, OSError):
        return None
    from towpath.storage.copy_files import explain_refusal

    try:
        current_folder = Path.cwd()
    except FileNotFoundError:  # whatever failed, it failed for that
        return UsageError("the working folder was deleted", hint="cd to one that is there")
    if refusal := explain_refusal(error, current_folder, Path(tempfile.gettempdir())):
        return refusal
    return UsageError(f"{error.filename}: {error.strerror}") if error.filename else None


def _place_before(error: click.ClickException) -> str | None:
    """Of an option that stands behind the command and belongs before it: where it goes."""
    if not isinstance(error, click.NoSuchOption) or not error.ctx or not error.ctx.parent:
        return None
    context, whole = error.ctx, error.ctx.parent
    for param in whole.command.params:
        if error.option_name in param.opts:
            option = " ".join(filter(None, (error.option_name, param.metavar)))
            words = f"{whole.command_path} {option} {context.info_name}"
            return f"it goes before the command: `{words}`"
    return None


def _report_bug(error: Exception, arguments: Sequence[str]) -> int:
    what = f"{type(error).__name__}: {error}"
    if "--json" in arguments:
        print_faults_as_json([Fault(what)], ExitCode.BUG)
        return int(ExitCode.BUG)
    _print_faults([Fault(f"a fault of Towpath itself: {what}")])
    shows_traceback = any(word in ("-v", "-vv", "--verbose") for word in arguments)
    if shows_traceback or os.environ.get("TOWPATH_TRACEBACK"):
        traceback_text = "".join(traceback.format_exception(error)).rstrip()
        # It quotes lines and values of anybody's: an address with a password may be among them.
        terminal.echo_block(hide_credentials(traceback_text), err=True)
    else:
        python = f"Python {platform.python_version()}, {platform.system()}"
        where = f"towpath {towpath.__version__}, {python}"
        words = " ".join(hide_words(arguments))  # it is copied to where others read it
        request = f"Please report it with the output of `towpath -vv {words}` ({where})."
        terminal.echo(f"  {request}", err=True)
    return int(ExitCode.BUG)
