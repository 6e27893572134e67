"""The one door to the Git command line: a call, what it answered, and what it complained of."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from towpath.errors import RegistryError, UserError
from towpath.git import patience

# A hook of another repository sets these; with them Git would work there and not here.
FOREIGN = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
)
OWN = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
# A user's settings that change what plumbing prints, keeps or leaves running behind us.
SETTINGS = {
    "core.quotePath": "false",
    "core.splitIndex": "false",
    "core.fsmonitor": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "color.ui": "false",
}


@dataclass(frozen=True)
class Outcome:
    """What one call of Git came to: its exit code, its output, and its complaint."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """The output, without the last line's end."""
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")

    @property
    def said(self) -> list[str]:
        """The lines of the complaint; each step of a progress, which goes over the last, is one."""
        return [line.strip() for line in lines(self.err.replace("\r", "\n")) if line.strip()]

    @property
    def complaint(self) -> str:
        """The last line in which Git says what is wrong, without its own prefix."""
        grave = [
            line for line in self.said if line.startswith(("fatal:", "error:", "remote: error"))
        ]
        last = (grave or self.said or [f"exit code {self.code}"])[-1]
        return last.removeprefix("fatal: ").removeprefix("error: ")


def attempt(
    root: Path,
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    alone: bool = False,
    silence: float | None = None,
) -> Outcome:
    """Call Git in ``root`` and say how it went, whatever it answers.

    ``alone`` takes the terminal away, so that ssh cannot stop a run to ask for a password.
    ``silence`` is for a call of a remote that says how far it is (``--progress``): it is ended,
    with all that it started, once it has said nothing for so many seconds. Raises ``UserError``
    where there is no Git.
    """
    words = ["git", "-C", str(root), *_settings(alone), *arguments]
    whole = _environment() | (_ssh(root) if alone else {}) | dict(env or {})
    try:
        if silence is None:
            done = subprocess.run(
                words,
                input=stdin,
                capture_output=True,
                env=whole,
                start_new_session=alone,
                check=False,
            )
        else:
            done = patience.listen(words, whole, silence)
    except FileNotFoundError as missing:
        raise UserError("Git is not installed", hint="install git 2.31 or later") from missing
    return Outcome(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def call(
    root: Path, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Outcome:
    """Call Git where it must succeed; ``RegistryError`` in Git's own words where it does not."""
    outcome = attempt(root, *arguments, stdin=stdin, env=env)
    if outcome.code:
        raise RegistryError(f"git {arguments[0]}: {outcome.complaint}")
    return outcome


def lines(text: str) -> list[str]:
    """The lines of what Git printed, without empty ones.

    They end at a line feed and nowhere else: ``str.splitlines`` and ``str.split`` also cut at
    what a name or a message may hold (U+2028, U+0085, a blank that does not break).
    """
    return [line for line in text.split("\n") if line]


@cache
def _settings(alone: bool) -> tuple[str, ...]:
    chosen = SETTINGS | (patience.HTTP if alone else {})
    return tuple(word for key, value in chosen.items() for word in ("-c", f"{key}={value}"))


def _ssh(root: Path) -> dict[str, str]:
    """How ssh is called; as the user says it, where the user says it."""
    if "GIT_SSH_COMMAND" in os.environ or "GIT_SSH" in os.environ:
        return {}
    if attempt(root, "config", "--get", "core.sshCommand").code == 0:
        return {}
    return {"GIT_SSH_COMMAND": patience.SSH}


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return kept | OWN
