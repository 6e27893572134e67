"""What a person can do on a page: each action is a command of the command line, and nothing else.

So a page cannot do what the policy forbids there, leaves the same commits under the same identity,
and can always show the words that would do the same.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from towpath.control_characters import is_visible
from towpath.delivery.promotion.propose import PROMOTION_PREFIX
from towpath.errors import UsageError
from towpath.execution import run_folders

if TYPE_CHECKING:
    from towpath.studio.acting_person import ActingPerson

Form: TypeAlias = Mapping[str, str]

_PATIENCE = 300.0  # seconds that a command may take, but for a run
_BEGIN = 30.0  # seconds in which a run shows that it began
_LONGEST = 4000  # characters of a value


@dataclass(frozen=True)
class StudioAction:
    """A command with its arguments (without ``towpath``); ``goes_on`` is a run, which outlives the
    answer."""

    arguments: tuple[str, ...]
    goes_on: bool = False

    @property
    def words(self) -> str:
        return shlex.join(["towpath", *self.arguments])


@dataclass(frozen=True)
class ActionOutcome:
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
    for field, value in form.items():
        if len(value) > _LONGEST or not (is_visible(value) and is_visible(field)):
            raise UsageError(f"`{field}` is not one line of text")
    return _ACTIONS[name](form)


def _write_run(form: Form) -> StudioAction:
    words = ["run", _take_field(form, "pipeline")]
    for field, value in form.items():
        kind, _, name = field.partition(".")
        if kind in ("param", "input") and name and value != form.get(f"was.{field}"):
            words += [f"--{kind}", f"{name}={value}"]
    if environment := form.get("for"):
        words += ["--for", environment]
    words += [f"--{flag}" for flag in ("register", "force") if form.get(flag)]
    return StudioAction(tuple(words), goes_on=True)


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
    if action.goes_on:
        return _begin_run(root, words, environment)
    try:
        ended = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ActionOutcome(1, f"it was ended after {_PATIENCE:.0f} seconds")
    return ActionOutcome(ended.returncode, (ended.stdout + ended.stderr).strip())


def _begin_run(root: Path, words: list[str], environment: Mapping[str, str]) -> ActionOutcome:
    runs = root / ".towpath" / "runs"
    before = set(run_folders.list_run_names(runs))
    (root / ".towpath").mkdir(exist_ok=True)
    output_file = root / ".towpath" / "studio-run.txt"
    with output_file.open("wb") as output:
        # A session of its own: the run goes on when Studio ends.
        process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + _BEGIN
    while time.monotonic() < end:
        if new := [name for name in run_folders.list_run_names(runs) if name not in before]:
            return ActionOutcome(0, "", new[-1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    return ActionOutcome(process.poll() or 0, output_file.read_text("utf-8", "replace").strip())
