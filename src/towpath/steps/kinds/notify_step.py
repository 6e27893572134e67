"""Tells a message by a program: it is the program's input, and a variable of its environment."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from towpath.config.artifact import Made
from towpath.config.command_line import parse_command
from towpath.control_characters import show_controls
from towpath.errors import StepFailed
from towpath.steps.program_watch import program_path
from towpath.steps.work_order import Order, Value

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Notify

MESSAGE = "TOWPATH_MESSAGE"


def execute(order: Order) -> Made:
    """Run the command in the project's root; what it prints is in the log.

    Raises:
        StepFailed: where the program is not there, or ends with another code than 0.
    """
    step: Notify = order.step  # type: ignore[assignment] # only this kind comes here
    message = order.arguments["message"]
    assert isinstance(message, Value) and isinstance(message.value, str) and step.command
    words = parse_command(step.command).fill({})
    print("$", show_controls(shlex.join(words)))
    sys.stdout.flush()
    environment = {
        **os.environ, "PATH": program_path(), MESSAGE: message.value,
        "TOWPATH_PIPELINE": order.pipeline, "TOWPATH_STEP": order.name,
        "TOWPATH_RUN": order.run.name,
    }  # fmt: skip
    program = shutil.which(words[0], path=environment["PATH"])
    if program is None:
        raise StepFailed(f"there is no program `{words[0]}`")
    ended = subprocess.run(
        words, executable=program, cwd=order.root, env=environment, check=False,
        input=message.value.encode(),
    )  # fmt: skip
    if ended.returncode:
        what = f"the command that tells it ended with {ended.returncode}"
        raise StepFailed(what, causes=("CommandFailed", f"Exit{ended.returncode}"))
    return Made(facts={"told": message.value})
