"""`towpath shell`, and `towpath step --pdb`: a step's real inputs at a prompt."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, pass_session
from towpath.control_characters import show_controls

if TYPE_CHECKING:
    from towpath.steps.work_order import Order


@click.command()
@click.argument("run")
@click.argument("step")
@pass_session
def shell(session: Session, run: str, step: str) -> None:
    """Open Python with what STEP of RUN took (`last`, or a run's name) as variables.

    They are the run's own bytes and parameters; the code is as it is now, and its function has its
    own name. Nothing is stored or recorded.
    """
    from towpath.backends.prefect.prefect_blocks import load_secret
    from towpath.execution import run_folders, step_prompt

    workspace = session.workspace
    recorded_run = run_folders.find_run(workspace.runs, run)
    order = step_prompt.order_from_run(workspace, recorded_run, step, load_secret)
    _begin_prompt()
    step_prompt.enter_project(order)
    variables = step_prompt.read_step_inputs(order)
    names = _add_function(order, variables)
    banner = f"step {order.name} of run {recorded_run.id}: {names}"
    try:
        _open_shell(show_controls(banner, "\n"), variables)
    finally:
        order.remove_bytes()


def _begin_prompt() -> None:
    from towpath.execution import step_prompt

    gc.enable()  # `cli.main` turned it off, for a call is short
    step_prompt.use_own_terminal()


def _add_function(order: Order, variables: dict[str, Any]) -> str:
    """Put the step's function beside its inputs; what there is, in words."""
    from towpath.config.pipeline_declaration import FunctionStep
    from towpath.steps import project_functions

    shown = ", ".join(f"{name} ({type(value).__name__})" for name, value in variables.items())
    if not isinstance(order.step, FunctionStep):
        return shown or "it takes nothing"
    function = project_functions.load_function(order.root, order.folder, order.step.run)
    name = order.step.run.rpartition(":")[2]
    call = f"{name}({', '.join(f'{n}={n}' for n in variables)})"
    variables.setdefault(name, function)
    return f"{shown or 'it takes nothing'}\ncall it: {call}"


def _open_shell(banner: str, variables: Mapping[str, Any]) -> None:
    if sys.stdin.isatty() and find_spec("IPython"):
        from IPython import start_ipython

        terminal.echo(banner, err=True)
        start_ipython(argv=["--no-banner"], user_ns=dict(variables))
        return
    import code

    if sys.stdin.isatty():
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(dict(variables)).complete)
        readline.parse_and_bind("tab: complete")
    code.interact(banner, local=dict(variables), exitmsg="")


def debug_step(session: Session, pipeline: str | None, step: str | None) -> int:
    """Call a step here: a named one from its first line on, on the files of the work tree; without
    a name the one that failed in the last run, with what it took there, up to where it fails."""
    from towpath.backends.prefect.prefect_blocks import load_secret
    from towpath.execution import run_folders, step_prompt

    workspace = session.workspace
    if step is None and pipeline is not None:  # `towpath step NAME --pdb`
        pipeline, step = workspace.pipeline_name(None), pipeline
    if step is None or pipeline is None:
        run = run_folders.find_run(workspace.runs, "last")
        failed = step_prompt.find_failed_step(run)
        order = step_prompt.order_from_run(workspace, run, failed, load_secret)
    else:
        order = step_prompt.order_from_tree(workspace, pipeline, step, load_secret)
    _begin_prompt()
    result = step_prompt.call_step_here(order, from_first_line=step is not None)
    if result.error is not None:
        words = f"{type(result.error).__name__}: {result.error}"
        terminal.echo_block(words, err=True)
        step_prompt.open_debugger(result)
        return 1
    if result.returned is None:
        session.say(f"{order.name} was left; nothing is stored")
    else:
        returned = ", ".join(result.returned) or "nothing"
        session.say(f"{order.name} ended well, and returned {returned}; nothing is stored")
    return 0
