"""Runs a program of any language on files: its command filled in, its outputs taken and stored."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath import documents
from towpath.backends.dvc import Store
from towpath.call_log import log_call
from towpath.config.artifact import Artifact, Json, Made
from towpath.config.command_line import parse_command
from towpath.config.source_folders import module_folders
from towpath.control_characters import show_controls
from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.sandbox import log_mask, process_tree
from towpath.steps import step_results
from towpath.steps.program_watch import ProgramWatch
from towpath.steps.project_functions import hint_missing_module
from towpath.steps.work_order import Order, Value

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import CommandStep

SHELL = ("bash", "-e", "-o", "pipefail", "-c")
"""What reads a script: it ends at the first command that fails, at the left of a pipe too."""

_LAST_LINES = 3
_TAIL = 8 << 10  # bytes of the log in which the last lines are looked for
_LONGEST_LINE = 300


def execute(order: Order) -> Made:
    """Run the command, store what it wrote.

    The facts name the files of the project that its Python programs read without the step having
    declared them.

    Raises:
        StepFailed: where the program is not there, ends with another code than 0, or does not
            write an output.
    """
    step, store = _declared_step(order), Store(order.root)
    try:
        folder = _lay_out(order, step, store) if _is_alone(step) else order.root
        arguments = _fill_arguments(order, step, store, folder)
        directory = _enter_folder(folder, step)
        undeclared = _run_program(order, arguments, directory, folder)
        paths = {name: _output_path(order, step, folder, name) for name in order.outputs}
        outputs, values = step_results.take_outputs(order, store, paths, "command", step.places)
    finally:
        os.chdir(order.root)
        order.remove_bytes()
    return Made(outputs, values, {"undeclared": undeclared} if undeclared else {})


def _declared_step(order: Order) -> CommandStep:
    return order.step  # type: ignore[return-value] # only this kind comes here


def _is_alone(step: CommandStep) -> bool:
    """Whether it runs in a folder of its own, which holds what it declares and nothing else."""
    return bool(step.places or step.settings)


def _lay_out(order: Order, step: CommandStep, store: Store) -> Path:
    """A folder with what the step declares and nothing else: code, inputs, settings."""
    folder = order.directory / "inputs" / "work"
    folder.mkdir(parents=True)
    for name in order.code:
        if not Path(name).is_absolute():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(order.root / name, target)
    for name, path in step.places.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        argument = order.arguments.get(name)
        if isinstance(argument, Artifact):
            store.copy_to(argument.digest, folder / path)
    for name, keys in step.settings.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_settings_text(order, name, keys), encoding="utf-8")
    return folder


def _settings_text(order: Order, file: str, keys: Mapping[str, str]) -> str:
    """A file of parameters that holds these keys, with the values of this run."""
    from towpath.config.parameter_declaration import nest_values  # with it comes pydantic

    values: dict[str, Any] = {}
    for key, name in keys.items():
        argument = order.arguments[name]
        values[key] = argument.value if isinstance(argument, Value) else argument.name
    whole, is_json = nest_values(values), file.endswith(".json")
    return json.dumps(whole, indent=2) + "\n" if is_json else documents.dump_yaml(whole)


def _fill_arguments(order: Order, step: CommandStep, store: Store, folder: Path) -> list[str]:
    line = parse_command(step.command, step.shell)
    values: dict[str, Any] = {}
    for name in line.names:
        argument = order.arguments.get(name)
        if name in order.absent:  # the command has a word for it all the same
            values[name] = ""
        elif isinstance(argument, Value):
            values[name] = argument.value
        elif name in step.places:
            values[name] = step.places[name].rstrip("/")
        elif isinstance(argument, Artifact):
            values[name] = str(order.place_input(store, name, argument))
        else:
            values[name] = str(_output_path(order, step, folder, name))
    words = line.fill(values)
    return [*SHELL, *words] if step.shell else words


def _output_path(order: Order, step: CommandStep, folder: Path, output: str) -> Path:
    """Where the command writes an output; the folder around it is there."""
    if output not in step.places:
        return order.place_output(output)
    path = folder / step.places[output]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _enter_folder(folder: Path, step: CommandStep) -> Path:
    directory = folder / (step.workdir or "")
    if _is_alone(step):
        directory.mkdir(parents=True, exist_ok=True)
    elif not directory.is_dir():
        raise StepFailed(f"there is no folder {step.workdir} to run the command in")
    os.chdir(directory)  # the watch over this process reads words that are paths from here
    return directory


def _run_program(order: Order, arguments: list[str], directory: Path, folder: Path) -> list[Json]:
    """Run the program to its end; the files of the project that it read undeclared."""
    watch = ProgramWatch.begin(order)
    print("$", show_controls(_shown_command(order, arguments), kept="\n"))
    sys.stdout.flush()
    log_mask.settle_log()
    begin = order.log.stat().st_size if order.log.exists() else 0
    environment = watch.program_environment(module_folders(folder))
    program = shutil.which(arguments[0], path=environment["PATH"])
    try:
        if program is None:
            raise FileNotFoundError
        with log_call("process", *arguments) as logged:
            ended = subprocess.run(
                arguments, executable=str(Path(program).absolute()), cwd=directory,
                env=environment, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            logged.answer(ended.returncode)
    except FileNotFoundError:
        raise StepFailed(_no_program(arguments[0], directory, environment["PATH"])) from None
    except (OSError, ValueError) as error:  # too long a command, a NUL in a value, no right to
        words = getattr(error, "strerror", None) or str(error)
        raise StepFailed(f"the command cannot be run: {words}") from None
    if ended.returncode:
        names = ("CommandFailed", f"Exit{ended.returncode}")
        raise StepFailed(_ending_fault(order, ended.returncode, begin), causes=names)
    return list(watch.undeclared_files())


def _shown_command(order: Order, arguments: list[str]) -> str:
    """The command as it is run, with the paths of its files from the step's own folder."""
    is_script = tuple(arguments[: len(SHELL)]) == SHELL
    words = [arguments[-1].rstrip()] if is_script else arguments
    for folder in (order.directory, order.root):
        words = [word.replace(f"{folder}/", "") for word in words]
    return words[0] if is_script else shlex.join(words)


def _no_program(name: str, directory: Path, path: str) -> Fault:
    if "/" in name and (directory / name).is_file():
        return Fault(f"{name} may not be executed", hint=f"`chmod +x {name}`")
    hint = did_you_mean(name, _list_programs(path)) if "/" not in name else None
    around = "it is looked for in the environment of Towpath and on PATH"
    return Fault(f"there is no program `{name}`", hint=hint or around)


def _list_programs(path: str) -> Iterator[str]:
    for folder in dict.fromkeys(path.split(os.pathsep)):
        with contextlib.suppress(OSError):
            yield from (entry.name for entry in os.scandir(folder or "."))


def _ending_fault(order: Order, code: int, begin: int) -> Fault:
    """How the program ended, with the last lines that it printed."""
    log_mask.settle_log()
    words = _last_words(order.log, begin)
    if number := process_tree.find_signal(code):
        hint = process_tree.explain_exit(code) if number is signal.SIGKILL else None
        return Fault(f"the command {process_tree.describe_exit(code)}{words}", hint=hint)
    hint = hint_missing_module(order.root, words)
    if hint and _is_alone(_declared_step(order)):
        hint = "it has the files that `code:` names and what they import; or it is not installed"
    return Fault(f"the command ended with {code}{words}", hint=hint)


def _last_words(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(max(begin, file.seek(0, os.SEEK_END) - _TAIL))
        text = file.read().decode("utf-8", "replace")
    lines = [show_controls(line.rstrip())[:_LONGEST_LINE] for line in text.splitlines()]
    lines = [line for line in lines if line.strip()][-_LAST_LINES:]
    return f": {' | '.join(lines)}" if lines else ", and printed nothing"
