"""The one door to the Git command line: a call, what it answered, and what it complained of."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from msgspec import Struct

from towpath.call_log import log_call
from towpath.errors import RegistryError, UserError

# What Git reads and a hook, a front end (Magit, Neogit) or a script around us may have set for a
# call of its own: with these Git would answer for another repository, or otherwise than we asked.
# What a person says who they are, and how to reach and unlock a remote, stays; so does the
# configuration that is given by variables, which SETTINGS overrule as they do a file's.
_FOREIGN_NAMES = (
    # another repository, or another part of it
    "GIT_DIR GIT_WORK_TREE GIT_IMPLICIT_WORK_TREE GIT_COMMON_DIR GIT_INDEX_FILE GIT_INDEX_VERSION "
    "GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_QUARANTINE_PATH GIT_NAMESPACE "
    "GIT_PREFIX GIT_INTERNAL_SUPER_PREFIX GIT_CONFIG "
    # another history
    "GIT_SHALLOW_FILE GIT_GRAFT_FILE GIT_REPLACE_REF_BASE GIT_NO_REPLACE_OBJECTS GIT_REF_PARANOIA "
    "GIT_NO_LAZY_FETCH "
    # other files for the same words
    "GIT_LITERAL_PATHSPECS GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS "
    "GIT_ATTR_SOURCE GIT_ATTR_NOSYSTEM GIT_DISABLE_UNTRACKED_CACHE GIT_FORCE_UNTRACKED_CACHE "
    # other words for the same files
    "GIT_EXTERNAL_DIFF GIT_DIFF_OPTS GIT_PRINT_SHA1_ELLIPSIS GIT_NOTES_REF GIT_NOTES_DISPLAY_REF "
    "GIT_NOTES_REWRITE_REF GIT_NOTES_REWRITE_MODE GIT_PAGER GIT_PAGER_IN_USE GIT_FLUSH GIT_ADVICE "
    "GIT_CURL_VERBOSE "
    # what is made is made otherwise
    "GIT_DEFAULT_HASH GIT_DEFAULT_REF_FORMAT GIT_DEFAULT_BRANCH GIT_TEMPLATE_DIR GIT_AUTHOR_DATE "
    "GIT_COMMITTER_DATE GIT_REFLOG_ACTION GIT_MERGE_AUTOEDIT GIT_MERGE_VERBOSITY GIT_EDITOR "
    "GIT_SEQUENCE_EDITOR GIT_PUSH_OPTION_COUNT GIT_OPTIONAL_LOCKS "
)
FOREIGN = frozenset(_FOREIGN_NAMES.split())
OWN = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    # `git replace` and grafts show another history than the one that was signed and merged.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
}
_COLOURED = ("ui", "diff", "status", "branch", "remote", "push", "transport")
# A user's settings that change what plumbing prints, keeps, refuses or leaves running behind us.
SETTINGS = {
    "core.quotePath": "false", "core.splitIndex": "false", "core.fsmonitor": "false",
    "core.ignoreStat": "false", "core.checkStat": "default", "core.trustctime": "true",
    "core.safecrlf": "false", "gc.auto": "0", "maintenance.auto": "false",
    "advice.detachedHead": "false", "advice.graftFileDeprecated": "false", "log.follow": "false",
    "log.showSignature": "false", "log.mailmap": "false", "log.showRoot": "true",
    "diff.ignoreSubmodules": "none", "diff.orderFile": os.devnull, "diff.renames": "false",
    "diff.relative": "false", "i18n.commitEncoding": "UTF-8", "i18n.logOutputEncoding": "UTF-8",
    "trailer.separators": ":", "grep.patternType": "basic", "grep.extendedRegexp": "false",
    "gpg.minTrustLevel": "undefined", "submodule.recurse": "false",
    **dict.fromkeys(
        # A colour that is set for one command counts for more than `color.ui`.
        (f"color.{command}" for command in _COLOURED), "false",
    ),
}  # fmt: skip
# For files that are laid out beside the work tree: their bytes are the commit's on every machine,
# and no hook of the user's takes the folder for a checkout of theirs.
AS_COMMITTED = (
    "-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", f"core.hooksPath={os.devnull}",
)  # fmt: skip
# How long a server may say nothing: after that it is an error, and not a hang.
_HTTP = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "30"}
_SSH = "ssh -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=2"
# Seconds for any transport: what neither of the two above can see, and git:// itself.
SILENCE = 60.0
_FAREWELL = 5.0  # seconds for Git to take its lock files away before it is killed
_AT_ONCE = 65536
_LOCKED = re.compile(r"Unable to create '([^'\n]+\.lock)': File exists")


class GitOutcome(Struct, frozen=True):
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")

    @property
    def said(self) -> list[str]:
        """The lines of the complaint; each step of a progress, which goes over the last, is one."""
        return [line.strip() for line in split_lines(self.err.replace("\r", "\n")) if line.strip()]

    @property
    def last_complaint(self) -> str:
        """The last line in which Git says what is wrong, without its own prefix."""
        begins = ("fatal:", "error:", "remote: error")
        grave = [line for line in self.said if line.startswith(begins)]
        last = (grave or self.said or [f"exit code {self.code}"])[-1]
        return last.removeprefix("fatal: ").removeprefix("error: ")

    @property
    def way_past_lock(self) -> str | None:
        """What to type where Git did not go on for a lock's file; None where it was not that."""
        held = _LOCKED.search(self.err)
        wait = "wait for the git that runs here; if none does, one left it"
        return f"{wait}: rm {shlex.quote(held[1])}" if held else None


def attempt_git(
    root: Path,
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    alone: bool = False,
    silence: float | None = None,
) -> GitOutcome:
    """Call Git in ``root`` and say how it went, whatever it answers. ``alone`` takes the terminal
    away, so that ssh cannot stop a run to ask for a password. ``silence`` is for a call of a remote
    that says how far it is (``--progress``): it is ended, with all that it started, once it has
    said nothing for so many seconds. Raises ``UserError`` where there is no Git."""
    words, environment = _make_call(root, arguments, env, alone)
    try:
        with log_call("git", "git", "-C", root, *arguments) as logged:
            if silence is None:
                completed = subprocess.run(
                    words, input=stdin, capture_output=True, env=environment,
                    start_new_session=alone, check=False,
                )  # fmt: skip
            else:
                completed = _run_listening(words, environment, silence)
            logged.answer(completed.returncode, completed.stderr if completed.returncode else b"")
    except FileNotFoundError as missing:
        raise _no_git() from missing
    return GitOutcome(
        completed.returncode, completed.stdout, completed.stderr.decode("utf-8", "replace")
    )


def begin_git(
    root: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A Git in ``root`` that answers again and again what it is asked at its stdin; what it
    complains of is not heard. Raises ``UserError`` where there is no Git."""
    words, environment = _make_call(root, arguments, env, alone=False)
    try:
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment,
        )  # fmt: skip
    except FileNotFoundError as missing:
        raise _no_git() from missing


def call_git(root: Path, *arguments: str) -> GitOutcome:
    """Call Git where it must succeed; ``RegistryError`` in Git's own words where it does not."""
    return require_success(attempt_git(root, *arguments), arguments[0])


def require_success(outcome: GitOutcome, verb: str) -> GitOutcome:
    if outcome.code:
        what = f"git {verb}: {outcome.last_complaint}"
        raise RegistryError(what, hint=outcome.way_past_lock)
    return outcome


def split_lines(text: str) -> list[str]:
    """The lines of what Git printed, without empty ones."""
    # They end at a line feed and nowhere else: ``str.splitlines`` and ``str.split`` also cut at
    # what a name or a message may hold (U+2028, U+0085, a blank that does not break).
    return [line for line in text.split("\n") if line]


def _make_call(
    root: Path, arguments: Sequence[str], env: Mapping[str, str] | None, alone: bool
) -> tuple[list[str], dict[str, str]]:
    """The words of a call, and its whole environment."""
    variables = os.environ.items()
    environment = {name: value for name, value in variables if not _is_foreign(name, value)}
    environment |= OWN | (_ssh_environment(root) if alone else {}) | dict(env or {})
    return ["git", "-C", str(root), *_setting_words(alone), *arguments], environment


def _no_git() -> UserError:
    return UserError("Git is not installed", hint="install git 2.31 or later")


@cache
def _setting_words(alone: bool) -> tuple[str, ...]:
    chosen = SETTINGS | (_HTTP if alone else {})
    return tuple(word for key, value in chosen.items() for word in ("-c", f"{key}={value}"))


def _ssh_environment(root: Path) -> dict[str, str]:
    if "GIT_SSH_COMMAND" in os.environ or "GIT_SSH" in os.environ:
        return {}
    if attempt_git(root, "config", "--get", "core.sshCommand").code == 0:
        return {}
    return {"GIT_SSH_COMMAND": _SSH}


def _is_foreign(name: str, value: str) -> bool:
    # A trace may go to a file, not into what Git answers.
    if name.startswith("GIT_TRACE"):
        return not value.startswith(("/", "af_unix:"))
    return name in FOREIGN


def _run_listening(
    words: Sequence[str], environment: Mapping[str, str], silence: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that shows its progress; end it after ``silence`` s without any."""
    out, err = bytearray(), bytearray()
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            if not _read_output(process, out, err, silence):
                _end_program(process)
                err += f"\nfatal: no answer for {silence:.0f} seconds".encode()
        except BaseException:  # also Ctrl-C: a fetch must not go on behind our back
            _end_program(process)
            raise
    return subprocess.CompletedProcess(words, process.returncode, bytes(out), bytes(err))


def _read_output(
    process: subprocess.Popen[bytes], out: bytearray, err: bytearray, silence: float
) -> bool:
    """Read what a program prints until it prints no more; False where it goes on in silence."""
    assert process.stdout and process.stderr
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ, out)
        waiting.register(process.stderr, selectors.EVENT_READ, err)
        while waiting.get_map():
            ready = waiting.select(silence)
            if not ready:  # what it left running, an agent say, may hold its output open
                return process.poll() is not None
            for key, _ in ready:
                part = os.read(key.fd, _AT_ONCE)
                key.data.extend(part)
                if not part:
                    waiting.unregister(key.fileobj)
    return True


def _end_program(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it may have ended itself
        # Git is asked first, for it takes its locks away.
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):  # then it is killed
        process.wait(_FAREWELL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
