"""What a person can do on a page: each action is a command of the command line, and nothing else.

So a page cannot do what the policy forbids there, leaves the same commits under the same identity,
and can always show the words that would do the same.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from msgspec import Struct

from towpath.config import foreign_values as foreign
from towpath.config.foreign_values import Fields, parse_json
from towpath.control_characters import is_visible
from towpath.credentials import hide_credentials
from towpath.delivery.promotion.propose import PROMOTION_PREFIX
from towpath.errors import Malformed, UsageError
from towpath.execution import run_folders, run_record
from towpath.studio.pages.step_log import plain_text

if TYPE_CHECKING:
    from towpath.studio.access_guard import ActingPerson

Form: TypeAlias = Mapping[str, str]

_PATIENCE = 300.0  # seconds that a command may take, but for a run
_BEGIN = 30.0  # seconds in which a run shows that it began
_LONGEST = 4000  # characters of a value
_LONGEST_OUTPUT = 64 << 10  # bytes that are shown of what a command prints
_FAREWELL = 5.0  # seconds for a command to end what it is at
_VALUES = foreign.table_of(foreign.read_json)
_BLOCKS, _LONGEST_BLOCK = ("param.", "answer."), 64 << 10  # values of several lines


class StudioAction(Struct, frozen=True):
    """A command with its arguments (without ``towpath``); ``goes_on`` is a run, which outlives the
    answer."""

    arguments: tuple[str, ...]
    goes_on: bool = False

    @property
    def words(self) -> str:
        return shlex.join(["towpath", *self.arguments])


class ActionOutcome(Struct, frozen=True):
    """How a command ended; ``run`` is the run that it began."""

    code: int
    text: str
    run: str = ""


def read_action(name: str, form: Form) -> StudioAction:
    """The command that a form asks for.

    Raises UsageError for no such action, and for a value that a command line would take for
    something else.
    """
    if name not in _ACTIONS:
        raise UsageError(f"there is no action `{name}`")
    # A browser ends the lines of a field as the Internet's mail does.
    sent = {field: value.replace("\r\n", "\n") for field, value in form.items()}
    # But those that stand as they were, whatever their text: nobody wrote it here.
    fields = {
        field: value
        for field, value in sent.items()
        if not field.startswith("was.") and value != sent.get(f"was.{field}")
    }
    for field, value in fields.items():
        _refuse_unseen(field, value)
    return _ACTIONS[name](fields)


def _refuse_unseen(field: str, value: str) -> None:
    """UsageError for a value that a person cannot see as it is, or that is too long."""
    is_block = field.startswith(_BLOCKS)
    seen_part = value.replace("\n", "").replace("\t", "") if is_block else value
    is_long = len(value) > (_LONGEST_BLOCK if is_block else _LONGEST)
    if is_long or not (is_visible(seen_part) and is_visible(field)):
        is_text = is_block and is_visible(field)
        what = "text that can be seen, or too long" if is_text else "one line of text"
        raise UsageError(f"`{field}` is not {what}")


def _write_run(form: Form) -> StudioAction:
    words = ["run", _take_field(form, "pipeline")]
    for field, value in form.items():
        kind, _, name = field.partition(".")
        if kind in ("param", "input") and name:
            words += [f"--{kind}", f"{name}={value}"]
    if environment := form.get("for"):
        words += ["--for", environment]
    words += [f"--{flag}" for flag in ("register", "force") if form.get(flag)]
    return StudioAction(tuple(words), goes_on=True)


def _write_answer(form: Form) -> StudioAction:
    words = ["answer", _take_field(form, "token")]
    for field, value in form.items():
        name = field.removeprefix("answer.")
        if name == field or not value:  # an empty one is not given
            continue
        if name.startswith("-"):
            raise UsageError(f"`{name}` begins with a dash")
        words.append(f"{name}={value}")
    return StudioAction(tuple(words))


def _take_field(form: Form, field: str) -> str:
    """A value that names something; UsageError where it is missing, or would be an option."""
    value = form.get(field, "").strip()
    if not value:
        raise UsageError(f"`{field}` is missing")
    if value.startswith("-"):
        raise UsageError(f"`{field}` begins with a dash")
    return value


def _name_branch(form: Form) -> str:
    name = _take_field(form, "promotion")
    is_whole = name.startswith(PROMOTION_PREFIX) or name.isdigit()
    return name if is_whole else PROMOTION_PREFIX + name


_ACTIONS: Mapping[str, Callable[[Form], StudioAction]] = {
    "run": _write_run,
    "retry": lambda form: StudioAction(
        ("run", f"--retry={_take_field(form, 'run')}"), goes_on=True
    ),
    "stop": lambda form: StudioAction(("run", f"--stop={_take_field(form, 'run')}")),
    "answer": _write_answer,
    "register": lambda form: StudioAction(("register", _take_field(form, "run"))),
    "promote": lambda form: StudioAction(
        ("promote", _take_field(form, "version"), "--to", _take_field(form, "stage"),
         *([f"--description={form['why']}"] if form.get("why") else []))
    ),
    "rollback": lambda form: StudioAction(
        ("rollback", _take_field(form, "model"), "--stage", _take_field(form, "stage"))
    ),
    "reconcile": lambda form: StudioAction(("reconcile", _take_field(form, "stage"), "--apply")),
    "approve": lambda form: StudioAction(("approve", _name_branch(form))),
    "reject": lambda form: StudioAction(
        ("reject", _name_branch(form), f"--reason={_take_field(form, 'reason')}")
    ),
}  # fmt: skip


def carry_out_action(
    root: Path, action: StudioAction, person: ActingPerson | None = None
) -> ActionOutcome:
    """Run the command in the project, as ``person`` where that is not whom the server runs as; of a
    run, until it shows that it began."""
    words = [sys.executable, "-m", "towpath", "-C", str(root), *action.arguments]
    # No terminal, so no prompt: what would ask a person there is refused here.
    environment = {**os.environ, "NO_COLOR": "1"}
    if person:
        environment = person.dress_environment(environment)
    try:
        if action.goes_on:
            return _begin_run(root, words, environment)
        return _await_command(words, environment)
    except OSError as refused:
        where = f"{refused.filename}: " if refused.filename else ""
        return ActionOutcome(1, f"nothing was begun: {where}{refused.strerror}")


def _await_command(words: list[str], environment: Mapping[str, str]) -> ActionOutcome:
    with _open_output() as output:
        process = _start_command(words, environment, output)
        try:
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            _end_group(process)
            text = f"{_read_output(output)}\nit was ended after {_PATIENCE:.0f} seconds"
            return ActionOutcome(1, text.strip())
        text = _read_output(output)
    if code < 0:  # by a signal, of which it could not say anything
        text += f"\nit was ended from outside, by signal {-code}: look at what it has done"
    return ActionOutcome(code, text.strip())


def _open_output() -> BinaryIO:
    """Where a command prints: no pipe, which breaks when Studio ends before it; and no disk, which
    may be what is full."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("towpath-action"), "w+b")
    return tempfile.TemporaryFile()


def _start_command(
    words: list[str], environment: Mapping[str, str], output: BinaryIO
) -> subprocess.Popen[bytes]:
    # A session of its own: what was begun is carried out when Studio ends, or is interrupted.
    return subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        start_new_session=True,
    )  # fmt: skip


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command with all that it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_FAREWELL)


def _read_output(output: BinaryIO) -> str:
    """What was printed, without the colours of a terminal; of much the begin and the end."""
    size = output.seek(0, os.SEEK_END)
    output.seek(0)
    if size <= _LONGEST_OUTPUT:
        content = output.read(_LONGEST_OUTPUT)
    else:
        begin = output.read(_LONGEST_OUTPUT // 2)
        output.seek(size - _LONGEST_OUTPUT // 2)
        left_out = f"\n[{size - _LONGEST_OUTPUT} bytes are left out here]\n".encode()
        content = begin + left_out + output.read(_LONGEST_OUTPUT // 2)
    lines = map(plain_text, content.decode("utf-8", "replace").split("\n"))
    return hide_credentials("\n".join(lines)).strip()


def _begin_run(root: Path, words: list[str], environment: Mapping[str, str]) -> ActionOutcome:
    runs = root / ".towpath" / "runs"
    known_runs = set(run_folders.list_run_names(runs))
    # What it prints is read until it has begun, or was refused: from then on its record tells.
    with _open_output() as output:
        process = _start_command(words, environment, output)
        end = time.monotonic() + _BEGIN
        has_ended = False
        while time.monotonic() < end and not has_ended:
            # Asked before the runs are: one that is over at once has left its record by then.
            has_ended = process.poll() is not None
            if run := find_begun_run(runs, known_runs, process.pid):
                return ActionOutcome(0, "", run)
            time.sleep(0.0 if has_ended else 0.05)
        text = _read_output(output)
    if not has_ended:
        text += f"\nIt has not begun after {_BEGIN:.0f} seconds, and goes on: see the runs."
    return ActionOutcome(process.returncode or 0, text.strip())


def find_begun_run(runs: Path, known_runs: Collection[str], process: int) -> str:
    """The run that a process of this machine has begun, and no other's that began meanwhile; ""
    where it has begun none that is not in ``known_runs``."""
    for name in reversed(run_folders.list_run_names(runs)):
        if name in known_runs:
            continue
        try:
            with (runs / name / run_record.EVENTS).open("rb") as file:
                origin = Fields(parse_json(file.readline(1 << 20))).get("origin", _VALUES)
        except (OSError, Malformed):  # it is being written
            continue
        if (origin.get("pid"), origin.get("host")) == (process, os.uname().nodename):
            return name
    return ""
