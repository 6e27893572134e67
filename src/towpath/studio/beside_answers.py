"""What a forge, or a registry elsewhere, is asked beside the pages: a page shows what was heard
last, with its age, and waits for nobody."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.credentials import hide_credentials
from towpath.errors import TowpathError

_FRESH = 60.0  # seconds for which an answer is not asked for again
_PATIENCE = 0.15  # seconds that a page waits for a first or a newer answer
_AFTER_ACTION = 4.0  # the same for the page that shows what a person has just done
_MOST_KEPT = 200  # answers: a run of a deployment is one


class HeardAnswer(Struct, frozen=True):
    """What was heard last: ``value`` is None before the first answer. ``age`` counts seconds since,
    ``fault`` says why the last question had none, ``silence`` how many seconds one waits already
    for the answer that is due; 0 for none that is."""

    value: Any = None
    moment: float = 0.0
    asked: float = 0.0
    fault: str = ""
    silence: float = 0.0

    @property
    def age(self) -> float:
        return time.monotonic() - self.moment


class BesideAnswers(Struct):
    """Questions by their names, each asked by one thread at a time."""

    patience: float = _PATIENCE
    _heard: dict[str, HeardAnswer] = field(default_factory=dict)
    _asking: dict[str, tuple[threading.Thread, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _old: set[str] = field(default_factory=set)

    def ask(
        self, name: str, question: Callable[[], Any], fresh: float = _FRESH,
        patience: float | None = None,
    ) -> HeardAnswer:  # fmt: skip
        """The newest answer to ``question``, which may raise a TowpathError. All that ask wait
        ``patience`` seconds together for a newer one: who comes later does not wait again."""
        with self._lock:  # two pages at once ask once
            heard = self._heard.get(name, HeardAnswer())
            has_acted = name in self._old
            is_due = has_acted or not heard.asked or time.monotonic() - heard.asked > fresh
            thread, begun = self._asking.get(name, (None, 0.0))
            if is_due and not (thread and thread.is_alive()):
                self._old.discard(name)
                thread = threading.Thread(target=self._hear, args=(name, question), daemon=True)
                begun = time.monotonic()
                self._asking[name] = thread, begun
                thread.start()
        if not (is_due and thread):
            return heard
        longest = self.patience if patience is None else patience
        longest = max(longest, _AFTER_ACTION) if has_acted and longest else longest
        thread.join(max(0.0, begun + longest - time.monotonic()))
        heard = self._heard.get(name, heard)
        return replace(heard, silence=time.monotonic() - begun) if thread.is_alive() else heard

    def note_action(self) -> None:
        """A person did something: what was heard before is old."""
        with self._lock:
            self._old.update(self._heard)

    def _hear(self, name: str, question: Callable[[], Any]) -> None:
        before = self._heard.get(name, HeardAnswer())
        try:
            value = question()
        except TowpathError as refused:
            self._keep(name, replace(before, fault="; ".join(f.what for f in refused.faults)))
        except Exception as broken:  # a library's own: the question is not asked with each page
            _LOG.exception("nobody could answer: %s", name)
            words = hide_credentials(f"{type(broken).__name__}: {broken}")
            self._keep(name, replace(before, fault=words))
        else:
            self._keep(name, HeardAnswer(value, time.monotonic()))

    def _keep(self, name: str, heard: HeardAnswer) -> None:
        with self._lock:
            self._heard.pop(name, None)
            while len(self._heard) >= _MOST_KEPT:  # the one that was asked longest ago
                oldest = next(iter(self._heard))
                del self._heard[oldest]
                self._asking.pop(oldest, None)
            self._heard[name] = replace(heard, asked=time.monotonic())


_LOG = logging.getLogger(__name__)
