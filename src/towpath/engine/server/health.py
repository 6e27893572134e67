"""Whether a Prefect API answers at an address."""

from __future__ import annotations

import threading
from http.client import HTTPConnection, HTTPException

from towpath.call_log import log_call


def answers(port: int, seconds: float) -> bool:
    """Ask a local API, waiting at its socket until it serves.

    Raises OSError or HTTPException where nobody listens or the server went while starting,
    TimeoutError where `seconds` were not enough.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=max(seconds, 0.1))
    try:
        with log_call("http", "GET", f"http://127.0.0.1:{port}/api/health") as logged:
            connection.request("GET", "/api/health")
            answer = connection.getresponse()
            logged.answer(answer.status)
            return answer.read().strip() == b"true"
    finally:
        connection.close()


def trouble(url: str, seconds: float) -> str | None:
    """What is wrong with the API at an address of any kind; None where it answers in time.

    It is asked from a thread, for a name that does not resolve cannot be interrupted.
    """
    found = [f"does not answer within {seconds:g} s"]

    def ask() -> None:
        found[:] = _ask(url, seconds)  # it waits a little longer, so that the words are ours

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None


def _ask(url: str, seconds: float) -> list[str]:
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        address = f"{url.rstrip('/')}/health"
        with (
            log_call("http", "GET", address),
            urlopen(address, timeout=seconds + 1) as answer,
        ):
            return [] if answer.status == 200 else [f"answers {answer.status}"]
    except HTTPError as error:
        # An API that wants a key first is there; the key is Prefect's business.
        return [] if error.code in (401, 403) else [f"answers {error.code} {error.reason}"]
    except URLError as error:
        return [f"does not answer: {error.reason}"]
    except (OSError, HTTPException, ValueError) as error:
        return [f"does not answer: {error}"]
