"""What a forge, or a registry elsewhere, is asked beside the pages: a page shows what was heard
last, with its age, and waits for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from towpath.errors import TowpathError

_FRESH = 60.0  # seconds for which an answer is not asked for again
_PATIENCE = 0.15  # seconds that a page waits for a first or a newer answer
_MOST_ANSWERS = 200
_AFTER_ACTION = 4.0  # the same for the page that shows what a person has just done


@dataclass(frozen=True)
class HeardAnswer:
    """What was heard last: ``value`` is None before the first answer. ``age`` counts seconds since,
    ``fault`` says why the last question had none."""

    value: Any = None
    moment: float = 0.0
    asked: float = 0.0
    fault: str = ""

    @property
    def age(self) -> float:
        return time.monotonic() - self.moment


@dataclass
class BesideAnswers:
    """Questions by their names, each asked by one thread at a time."""

    patience: float = _PATIENCE
    _heard: dict[str, HeardAnswer] = field(default_factory=dict)
    _asking: dict[str, threading.Thread] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _old: set[str] = field(default_factory=set)

    def ask(
        self, name: str, question: Callable[[], Any], fresh: float = _FRESH, waits: bool = True
    ) -> HeardAnswer:
        """The newest answer to ``question``, which may raise a TowpathError; without ``waits``
        that of a moment ago, where a newer one takes its time."""
        with self._lock:  # two pages at once ask once
            heard = self._heard.get(name, HeardAnswer())
            has_acted = name in self._old
            is_due = has_acted or not heard.asked or time.monotonic() - heard.asked > fresh
            thread = self._asking.get(name)
            if is_due and not (thread and thread.is_alive()):
                self._old.discard(name)
                thread = threading.Thread(target=self._hear, args=(name, question), daemon=True)
                self._asking[name] = thread
                thread.start()
        if is_due and waits and thread:
            thread.join(_AFTER_ACTION if has_acted else self.patience)
        return self._heard.get(name, heard)

    def note_action(self) -> None:
        """A person did something: what was heard before is old."""
        with self._lock:
            self._old.update(self._heard)

    def _hear(self, name: str, question: Callable[[], Any]) -> None:
        before = self._heard.get(name, HeardAnswer())
        try:
            value = question()
        except TowpathError as refused:
            fault = "; ".join(fault.what for fault in refused.faults)
            self._heard[name] = replace(before, fault=fault, asked=time.monotonic())
        else:
            self._heard[name] = HeardAnswer(value, time.monotonic(), time.monotonic())
        with self._lock:  # of each deployed run that somebody looks at there is one
            for oldest in list(self._heard)[:-_MOST_ANSWERS]:
                del self._heard[oldest]
                self._asking.pop(oldest, None)
