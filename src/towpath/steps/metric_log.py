"""What a step logs of its numbers while it runs: written by its processes, read by its run."""

from __future__ import annotations

import atexit
import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from msgspec import Struct, field

from towpath.credentials import hide_known
from towpath.errors import UsageError
from towpath.regular_files import open_regular_file
from towpath.scratch import replace_text

METRIC_FILE = "metrics.jsonl"
"""In a step's folder, beside its log."""
_VARIABLE = "TOWPATH_METRICS"
"""Of a step's process, and so of each that it starts: where its numbers are written."""
_MANY = 1024  # values of a name that are written of each doubling of their number, from 2,048 on
_NAMES = 1000
_LONGEST = 200  # characters of a name
_MOST = 32 << 20  # bytes of the file
_READ = 1 << 20  # bytes of the file that a look takes in


class LoggedValue(Struct, frozen=True):
    """A value that a step logged under a name, at a step of its own counting."""

    name: str
    value: float
    step: float


class _Series(Struct):
    count: int = 0
    unwritten: LoggedValue | None = None


class _Writer(Struct):
    """Of one process: forked from another, it begins anew."""

    path: str
    process: int
    series: dict[str, _Series] = field(default_factory=dict)
    is_full: bool = False

    def take(self, logged: LoggedValue) -> None:
        """Write it, unless so many of its name are written that it waits to be the last."""
        series = self.series.get(logged.name)
        if series is None:
            if len(self.series) >= _NAMES:
                return self._tell_full(f"more than {_NAMES} names")
            series = self.series[logged.name] = _Series()
        number, series.count = series.count, series.count + 1
        if number % _thinning(number):
            series.unwritten = logged
            return None
        series.unwritten = None
        return self._write(logged)

    def settle(self) -> None:
        """Write the last value of each name."""
        for series in self.series.values():
            if series.unwritten:
                self._write(series.unwritten)
                series.unwritten = None

    def _write(self, logged: LoggedValue) -> None:
        line = json.dumps(
            {"name": logged.name, "value": logged.value, "step": logged.step,
             "time": round(time.time(), 3)}
        )  # fmt: skip
        try:
            # One write of a file that is appended to: other processes of the step write there too.
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                if os.fstat(file).st_size > _MOST:
                    return self._tell_full(f"more than {_MOST >> 20} MB of values")
                os.write(file, f"{line}\n".encode())
            finally:
                os.close(file)
        except OSError as refusal:  # a full disk is no reason to end a training
            self._tell_full(str(refusal))
        return None

    def _tell_full(self, why: str) -> None:
        if not self.is_full:
            print(f"log_metric: {why}: the rest is left out", file=sys.stderr)
        self.is_full = True


def _thinning(number: int) -> int:
    """Of the values from this one on, each how manyth is written: a power of two."""
    return 1 << max(0, (number // _MANY).bit_length() - 1)


_lock = Lock()
_writer: _Writer | None = None
_has_told = False


def log_metric(name: str, value: float, step: float | None = None) -> None:
    """Log a number while a step trains: ``towpath.log_metric("loss", 0.3)``.

    It is shown while the step runs, and kept with the run; the last value is a metric of the step.
    Outside of a run it does nothing. It may be called often, from threads, and from processes that
    the step starts: of many values of one name the file keeps each of the first 2,048, then
    1,024 of each doubling, and always the last.

    Args:
        name: What it is: any text of at most 200 characters that can be printed.
        value: A number, or what ``float`` makes one of (NumPy, torch); NaN and infinity too.
        step: Where it stands on the x axis; without one, how many came before it.

    Raises:
        UsageError: where the name is none, or the value no number.
    """
    _require_metric_name(name)
    name = hide_known(name)
    logged_value = _as_number(name, "value", value)
    place = None if step is None else _as_number(name, "step", step)
    if place is not None and not math.isfinite(place):
        raise UsageError(f"the step of metric `{name}` is {place}, which is no place on an axis")
    path = os.environ.get(_VARIABLE)
    if not path:
        return _tell_once()
    with _lock:
        writer = _own_writer(path)
        if place is None:
            place = writer.series[name].count if name in writer.series else 0
        # A whole number as one: `step 30`, not `step 30.0`.
        place = int(place) if float(place).is_integer() else place
        return writer.take(LoggedValue(name, logged_value, place))


def hide_secrets(folder: Path) -> None:
    """Take out what this process knows as secret of what a step logged: one of its programs, which
    knows of none, may have put it into a name."""
    with suppress(FileNotFoundError):
        text = (folder / METRIC_FILE).read_text(encoding="utf-8", errors="replace")
        if (hidden := hide_known(text)) != text:
            replace_text(folder / METRIC_FILE, hidden)


def _require_metric_name(name: object) -> None:
    if not isinstance(name, str):
        raise UsageError(
            f"the name of a metric is text, not {type(name).__name__}",
            hint='towpath.log_metric("loss", 0.3)',
        )
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        what = f"{name[:40]!a} cannot name a metric"
        raise UsageError(what, hint=f"1 to {_LONGEST} characters that can be printed")


def _as_number(name: str, role: str, value: Any) -> float:
    if not isinstance(value, str | bytes):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # torch raises the last
            pass
    raise UsageError(f"the {role} of metric `{name}` is no number, but {type(value).__name__}")


def _tell_once() -> None:
    global _has_told
    if not _has_told:
        _has_told = True
        logging.getLogger("towpath.metrics").debug("log_metric: no step of a run, nothing is kept")


def _own_writer(path: str) -> _Writer:
    global _writer
    if _writer is None or _writer.process != os.getpid() or _writer.path != path:
        _writer = _Writer(path, os.getpid())
        atexit.register(settle_metrics)
        # A process of a pool ends without what `atexit` holds.
        if pools := sys.modules.get("multiprocessing.util"):
            pools.Finalize(None, settle_metrics, exitpriority=10)
    return _writer


def _renew_lock() -> None:
    # Another thread may have held it as the process was forked.
    global _lock
    _lock = Lock()


os.register_at_fork(after_in_child=_renew_lock)


def settle_metrics() -> None:
    """Write what this process holds back: the last value of each name."""
    with _lock:
        if _writer is not None and _writer.process == os.getpid():
            _writer.settle()


def begin_metrics(folder: Path) -> None:
    """From now on what this process logs, and each that it starts, is kept in a step's folder."""
    path = folder / METRIC_FILE
    path.unlink(missing_ok=True)  # of an attempt before
    os.environ[_VARIABLE] = str(path)


class MetricTail:
    """Reads what a step logs, look by look."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / METRIC_FILE
        self._position = 0
        self._rest = b""

    def read_new(self) -> Iterator[LoggedValue]:
        """What has come since the last look; from the beginning where another attempt began."""
        while data := self._read_part():
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > _READ:  # no line of ours is as long
                self._rest = b""
            for line in lines:
                if logged := _parse_line(line):
                    yield logged

    def _read_part(self) -> bytes:
        try:
            size = self._path.stat().st_size
            if size < self._position:
                self._position, self._rest = 0, b""
            if size == self._position or self._position > _MOST + _READ:
                return b""
            with open_regular_file(self._path) as file:  # a step may have put a pipe there
                file.seek(self._position)
                data = file.read(_READ)
        except OSError:
            return b""
        self._position += len(data)
        return data


def _parse_line(line: bytes) -> LoggedValue | None:
    """A value; None for what is none, for the file stands where a step's code may write to it."""
    try:
        entry = json.loads(line)
        name, value, step = entry["name"], entry["value"], entry["step"]
        _require_metric_name(name)
        if isinstance(value, int | float) and isinstance(step, int | float):
            name = hide_known(name)
            return LoggedValue(name, float(value), step) if math.isfinite(step) else None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, UsageError):
        return None
    return None


def read_metrics(folder: Path) -> dict[str, list[LoggedValue]]:
    """All that a step logged, by name, in the order in which it came."""
    series: dict[str, list[LoggedValue]] = {}
    for logged in MetricTail(folder).read_new():
        if logged.name in series or len(series) < _NAMES:
            series.setdefault(logged.name, []).append(logged)
    return series


def last_metrics(folder: Path) -> Mapping[str, float]:
    """The last value of each name that a step logged."""
    return {name: values[-1].value for name, values in read_metrics(folder).items()}
