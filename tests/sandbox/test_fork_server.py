"""What sandboxes that are forked from one server share, and what becomes of them without it."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from towpath.sandbox import confined_process, confinement, kernel_fences
from towpath.sandbox.foreign_code import Sandbox, SandboxTimeout

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What the body of ``answer(question)`` returns, in a sandbox whose modules are ``tmp_path``'s;
    ``needs`` are imported ahead."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(code: str, needs: tuple[str, ...] = (), **bounds: Any) -> Any:
        lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
        (tmp_path / "foreign.py").write_text(f"import os, sys\ndef answer(question):\n{lines}")
        bounds.setdefault("seconds", 20)
        return Sandbox(tmp_path / "cell", **bounds).ask("foreign", {}, needs).said

    return run


def server_number() -> int:
    return confined_process._servers[0].process.pid


def test_they_share_what_is_imported_ahead_and_nothing_that_one_of_them_does(
    ask: Callable[..., Any],
) -> None:
    look = """
import decimal, random
state = ["decimal" in before, hasattr(decimal, "planted"), os.environ.get("PLANTED"), os.getcwd()]
decimal.planted = True
os.environ["PLANTED"] = "x"
os.chdir("/usr")
return [*state, random.random()]
"""
    look = f"before = set(sys.modules)\n{look}"
    *first, drawn = ask(look, ("decimal",))
    server = server_number()
    *second, drawn_again = ask(look, ("decimal",))
    assert first == second == [True, False, None, first[3]]
    assert first[3].endswith("/cell")
    assert drawn != drawn_again
    assert server_number() == server


def test_a_variable_that_is_for_one_is_told_to_no_server(ask: Callable[..., Any]) -> None:
    look = "return [os.environ.get('TOKEN'), 'decimal' in sys.modules]"
    ask(look)
    server = server_number()
    assert ask(look, ("decimal",), environment={"TOKEN": "secret"}) == ["secret", False]
    assert ask(look, ("decimal",)) == [None, True]
    assert server_number() == server


def test_a_server_that_was_killed_is_replaced_and_one_of_other_variables_too(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask("return 1") == 1
    confined_process._servers[0].process.kill()
    assert ask("return 2") == 2
    server = server_number()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # read when a package is imported
    assert ask("return os.environ['OMP_NUM_THREADS']") == "1"
    assert server_number() != server


@pytest.mark.parametrize(
    "package",
    [
        "import threading; threading.Timer(60, print).start()",
        "import os; os._exit(3)",
        "raise ImportError('half installed')",
    ],
    ids=["begins a thread", "ends the process", "fails"],
)
def test_a_package_that_no_fork_can_follow_is_no_hindrance(
    ask: Callable[..., Any], tmp_path: Path, package: str
) -> None:
    (tmp_path / "odd.py").write_text(package)
    assert ask("return 'answered'", ("odd",)) == "answered"


def test_a_package_that_hangs_takes_no_longer_than_the_sandbox_may(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined_process, "_PATIENCE", 0.1)
    (tmp_path / "hangs.py").write_text("import time; time.sleep(600)")
    begun = time.monotonic()
    with pytest.raises(SandboxTimeout, match="took longer than 1 s and was ended"):
        ask("return 1", ("hangs",), seconds=1)
    assert time.monotonic() - begun < 6
    assert ask("return 2") == 2


def test_a_sandbox_whose_time_is_up_before_it_was_forked_is_ended_as_any(
    ask: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(1.4)")
    ask("return 1")
    server = server_number()
    with pytest.raises(SandboxTimeout, match="took longer than 1 s and was ended"):
        ask("import time\ntime.sleep(60)", ("slow",), seconds=1)
    assert ask("return 2") == 2
    assert server_number() == server


def test_a_server_without_room_for_another_fork_keeps_those_it_has(
    ask: Callable[..., Any], tmp_path: Path
) -> None:
    ask("return 1")
    server, code = server_number(), "def answer(question):\n    __import__('time').sleep(0.3)\n"
    resource.prlimit(server, resource.RLIMIT_NOFILE, (9, 9))  # a fork takes two, a request three
    (tmp_path / "slow.py").write_text(f"{code}    return question['place']\n")

    def ask_slowly(place: int) -> Any:
        return Sandbox(tmp_path / f"cell-{place}", 20).ask("slow", {"place": place}).said

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask_slowly, range(6))) == list(range(6))
    assert server_number() == server


def test_an_end_is_seen_where_the_kernel_has_no_handles_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: int) -> int:
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(kernel_fences, "open_process", refuse)
    ended = os.fork()
    if not ended:
        os._exit(7)
    assert confinement._wait_for_child(ended, 1 << 40) == 7
