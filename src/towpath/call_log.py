"""Where the doors tell of their calls: to Git, to servers, to stores, and to other programs.

A door puts each call into :func:`log_call`. While nobody listens that is one comparison: nothing is
formatted or imported. ``diagnostics`` is who listens.
"""

from __future__ import annotations

import time
from functools import wraps
from typing import TYPE_CHECKING

# Each command imports this module, and making a Protocol and an Enum would double its cost.
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

    CallKind: TypeAlias = Literal["git", "http", "store", "process"]
    """What is called: the end of the logger's name, ``towpath.git``."""

    class CallListener(Protocol):
        """Who is told of calls, from any thread."""

        def begin_call(self, call: Call) -> None:
            """A call begins."""

        def end_call(self, call: Call, seconds: float) -> None:
            """A call has ended."""


class UnheardCall:
    """A call that nobody wants to hear of."""

    __slots__ = ()

    def __enter__(self) -> UnheardCall:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is told."""

    def answer(self, *details: object) -> None:
        """Say what came of the call: an exit code or status, then what there is to add."""


class Call(UnheardCall):
    """A call under way: of what kind, its words, when it began (``time.monotonic``), its answer."""

    __slots__ = ("begun", "details", "kind", "listener", "words")

    def __init__(self, listener: CallListener, kind: CallKind, words: tuple[object, ...]) -> None:
        self.listener, self.kind, self.words = listener, kind, words
        self.details: tuple[object, ...] = ()
        self.begun = time.monotonic()

    def __enter__(self) -> Call:
        self.listener.begin_call(self)
        return self

    def __exit__(self, *error: object) -> None:
        # A call that was interrupted is told of too: where a command hangs, that is the one.
        if isinstance(error[0], type):
            status = getattr(getattr(error[1], "response", None), "status_code", None)
            self.details = (error[0].__name__, status, *self.details)
        self.listener.end_call(self, time.monotonic() - self.begun)

    def answer(self, *details: object) -> None:
        """Say what came of the call: an exit code or status, then what there is to add."""
        self.details = details


_UNHEARD = UnheardCall()
_listener: CallListener | None = None


def set_listener(listener: CallListener | None) -> None:
    """Tell this listener of each call of this process from now on; nobody, for None."""
    global _listener
    _listener = listener


def is_heard() -> bool:
    """Whether somebody listens."""
    return _listener is not None


def log_call(kind: CallKind, *words: object) -> UnheardCall:
    """A call to put into ``with``. The words are texts, paths, or many of these; they are formatted
    only where somebody listens, and what is secret in them is hidden then."""
    return _UNHEARD if _listener is None else Call(_listener, kind, words)


def log_store_call(address: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Tell of the calls of a store's method; ``address`` names the store's attribute that says
    where it is."""

    def decorate(method: Callable[_P, _T]) -> Callable[_P, _T]:
        @wraps(method)
        def call(*arguments: _P.args, **options: _P.kwargs) -> _T:
            if _listener is None:
                return method(*arguments, **options)
            store, *words = arguments
            with log_call("store", method.__name__, getattr(store, address), *words):
                return method(*arguments, **options)

        return call

    return decorate


def log_requests(client: Any) -> None:
    """Tell of each request that this class of httpx's clients sends, if somebody listens.

    ``send`` is httpx's public door for one request; its own log says no times. What is sent and
    answered but the address and the status stays untold.
    """
    if _listener is None or getattr(client.send, "is_logged", False):
        return
    import inspect

    send = client.send

    def call(self: Any, request: Any, **options: Any) -> Any:
        with log_call("http", request.method, str(request.url)) as logged:
            response = send(self, request, **options)
            logged.answer(response.status_code)
        return response

    async def call_later(self: Any, request: Any, **options: Any) -> Any:
        with log_call("http", request.method, str(request.url)) as logged:
            response = await send(self, request, **options)
            logged.answer(response.status_code)
        return response

    client.send = call_later if inspect.iscoroutinefunction(send) else call
    client.send.is_logged = True
