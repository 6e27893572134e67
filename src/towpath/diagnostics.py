"""The diagnostic log (`-vv`, `TOWPATH_LOG`) and the profile of a command (`--profile`).

Imported only where one of them is asked for. The log's lines go through the standard library's
``logging``, by the loggers ``towpath.git``, ``towpath.http``, ``towpath.store`` and
``towpath.process``; the warnings of ``towpath.*`` are among them.
"""

from __future__ import annotations

import logging
import os
import platform
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from importlib import machinery
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct, field

from towpath import call_log
from towpath.call_log import Call
from towpath.control_characters import show_controls
from towpath.credentials import hide_credentials, hide_words, remember_environment
from towpath.errors import UsageError

VARIABLE = "TOWPATH_LOG"
STDERR = "stderr"
_SWITCHES = ("0", "1", "2", "true", "false")  # what others take here, and nobody calls a file
_LONGEST = 2000  # characters of a line: a call of Git may name a thousand tags
_LONGEST_ANSWER = 200
_NONE = frozenset((None, "", b""))

_following = 0
"""The process that adds to its parent's log."""

WriteLine: TypeAlias = Callable[[str], object]
"""Takes a line of the log, in which nothing is secret and nothing acts on a terminal."""


def open_log(destination: str) -> WriteLine:
    """A file that lines are added to, by this process and its children at once.

    Raises ``UsageError`` for one that cannot be written.
    """
    if destination.lower() in _SWITCHES:
        raise UsageError(
            f"{VARIABLE}={destination} is neither `{STDERR}` nor a file",
            hint=f"{VARIABLE}={STDERR}, or the path of a file: {VARIABLE}=~/towpath.log",
        )
    try:
        # Without O_NONBLOCK a pipe that nobody reads would hold the command up for ever.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
        file = os.open(destination, flags, 0o600)
    except (OSError, ValueError) as refusal:
        reason = getattr(refusal, "strerror", None) or str(refusal)
        raise UsageError(
            f"the log {destination} cannot be written: {reason}",
            hint=f"{VARIABLE} names it: `{STDERR}`, or a file that you may write",
        ) from refusal
    # One write for a line: so those of several processes stand one below the other.
    return lambda line: os.write(file, f"{line}\n".encode("utf-8", "backslashreplace"))


def start_log(writers: Sequence[WriteLine], shows_warnings: bool) -> None:
    """Write a line for each call of this process, and for each warning, from now on.

    Where a writer ``shows_warnings`` to the person anyway, they are not said a second time.
    """
    remember_environment(os.environ)
    tree = logging.getLogger("towpath")
    for handler in [h for h in tree.handlers if isinstance(h, LogHandler)]:
        tree.removeHandler(handler)
    tree.addHandler(LogHandler(writers, shows_warnings))
    tree.setLevel(logging.INFO)
    tree.propagate = False  # Prefect's handler of the root would print each line once more


def log_command(version: str, arguments: Sequence[str]) -> None:
    """The first line of a command, by which a report says what it is about."""
    python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    words = shlex.join(["towpath", *hide_words(arguments)])
    logging.getLogger("towpath").info("towpath %s, %s: %s", version, python, words)


def follow_log() -> None:
    """In a child, whose parent has seen that the file can be written: add to the same log."""
    global _following
    destination = os.environ.get(VARIABLE, "")
    # A fork may have closed the file, and another may have its number: there it is opened anew.
    if destination in ("", STDERR) or _following == os.getpid():
        return
    _following = os.getpid()
    start_log([open_log(destination)], shows_warnings=False)
    call_log.set_listener(CallLog(None))


class LogHandler(logging.Handler):
    """Writes each record as one line: the time in UTC, the process, the logger, the message."""

    def __init__(self, writers: Sequence[WriteLine], shows_warnings: bool) -> None:
        super().__init__()
        self.writers = writers
        self.shows_warnings = shows_warnings
        form = "%(asctime)s.%(msecs)03dZ %(process)d %(name)s %(message)s"
        self.formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%S")
        self.formatter.converter = time.gmtime

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a full disk or a terminal that is gone is no reason to fail."""
        try:
            # Nothing secret, nothing that acts on a terminal, no second line.
            line = show_controls(hide_credentials(self.format(record)))
        except Exception:  # words that do not fit their format are the fault of who logs them
            return self.handleError(record)
        if len(line) > _LONGEST:
            line = f"{line[:_LONGEST]} ... ({len(line)} characters)"
        for write in self.writers:
            try:
                write(line)
            except (OSError, ValueError):
                continue
        if record.levelno >= logging.WARNING and not self.shows_warnings:
            _show_warning(record)
        return None


def _show_warning(record: logging.LogRecord) -> None:
    """Say a warning as it is said without a log: this handler keeps it from whoever else would."""
    root = logging.getLogger()
    if root.handlers:
        root.handle(record)
    elif logging.lastResort:
        logging.lastResort.handle(record)


class CallLog(Struct, frozen=True):
    """Tells of calls: to the loggers, where a log was started, and to a profile, where one is."""

    profile: Profile | None

    def begin_call(self, call: Call) -> None:
        """Note when a call begins."""
        if self.profile:
            self.profile.begin(call.kind)

    def end_call(self, call: Call, seconds: float) -> None:
        """Write the line of a call, which is over."""
        if self.profile:
            self.profile.end(call.kind)
        logger = logging.getLogger(f"towpath.{call.kind}")
        if logger.isEnabledFor(logging.INFO):
            words = [shown for word in call.words for shown in _word_texts(word)]
            shown = hide_credentials(shlex.join(hide_words(words)))
            logger.info("%.3fs %s%s", seconds, shown, _answer_text(call.details))


def _word_texts(word: object) -> list[str]:
    """A word; of many, the first and how many more there are; of bytes, how many they are."""
    if isinstance(word, bytes):
        return [f"({len(word)} bytes)"]
    if isinstance(word, tuple | list | Mapping | Set):
        texts = [str(part) for part in word]
        return texts if len(texts) <= 1 else [texts[0], f"(and {len(texts) - 1} more)"]
    return [str(word)]


def _answer_text(details: tuple[object, ...]) -> str:
    """The details of an answer; of what a program printed, the end of the last line."""
    texts = [
        detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        for detail in details
        if detail not in _NONE
    ]
    ends = (hide_credentials(text.strip().rpartition("\n")[2])[-_LONGEST_ANSWER:] for text in texts)
    return f" -> {': '.join(ends)}" if texts else ""


IMPORTS = "imports"
REST = "rest"


class Profile(Struct):
    """Where the time of a command goes. Threads are seen apart; what is nested counts alone, so an
    import within a call is an import. Of what two threads do at one time each gets that time."""

    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    _since: float = field(default_factory=time.monotonic)
    _under_way: dict[int, list[str]] = field(default_factory=dict)
    # Calls come from many threads; a finalizer that runs in here may import something.
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, kind: str) -> None:
        """Something of this kind begins in this thread."""
        with self._lock:
            self._settle()
            self._under_way.setdefault(threading.get_ident(), []).append(kind)
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def end(self, kind: str) -> None:
        """It has ended; not always what began last, where coroutines take turns."""
        with self._lock:
            self._settle()
            stack = self._under_way.get(threading.get_ident(), [])
            if kind in stack:
                del stack[len(stack) - 1 - stack[::-1].index(kind)]

    def close(self) -> float:
        """Account for the time until now; how many seconds that is in all."""
        with self._lock:
            self._settle()
        return self._since - self.begun

    def _settle(self) -> None:
        now = time.monotonic()
        for kind in {stack[-1] for stack in self._under_way.values() if stack} or {REST}:
            self.seconds[kind] = self.seconds.get(kind, 0.0) + now - self._since
        self._since = now


def time_imports(profile: Profile) -> None:
    """Have each module's execution counted, for as long as this process lives.

    The loaders' public method is replaced: ``-X importtime`` prints, and cannot be turned on in a
    process that runs. What a module imports in turn is within it, the search for files is not.
    """
    for loader in (machinery.SourceFileLoader, machinery.ExtensionFileLoader):
        _time_loader(loader, profile)


def _time_loader(loader: Any, profile: Profile) -> None:
    execute = loader.exec_module

    def exec_module(self: Any, module: Any) -> None:
        profile.begin(IMPORTS)
        try:
            execute(self, module)
        finally:
            profile.end(IMPORTS)

    loader.exec_module = exec_module


def absolute_destination(destination: str) -> str:
    """The same file for a child, which may work in another folder."""
    return destination if destination in ("", STDERR) else os.fspath(Path(destination).absolute())
