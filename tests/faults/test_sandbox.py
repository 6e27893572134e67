"""What hostile code can do in a sandbox: the end state, whatever it tries."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from towpath.sandbox.foreign_code import Sandbox, SandboxEnded, SandboxTimeout

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="its fences are the kernel's")
SECRET = "towpath-test-secret-51b0"


@pytest.fixture(params=["forked", "started"])
def attack(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run hostile code, the body of ``answer(question)``; what it answered."""
    monkeypatch.setenv("TOWPATH_FORK", "1" if request.param == "forked" else "0")
    modules = tmp_path / "modules"
    modules.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("TOWPATH_HOME", SECRET)
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)

    def run(code: str, question: Any = None, **bounds: Any) -> Any:
        lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
        (modules / "hostile.py").write_text(f"import os, sys\ndef answer(question):\n{lines}")
        bounds.setdefault("seconds", 20)
        answer = Sandbox(tmp_path / "cell", **bounds).ask("hostile", {"asked": question})
        assert answer.missing == () or sys.platform != "linux" or _is_poor()
        return answer.said

    return run


def _is_poor() -> bool:
    """Whether this system forbids namespaces, as many containers do."""
    done = subprocess.run(["unshare", "-Urpn", "true"], capture_output=True, check=False)
    return done.returncode != 0


def test_it_has_a_bare_environment_and_a_home_of_its_own(
    attack: Callable[..., Any], tmp_path: Path
) -> None:
    found = attack("return {**os.environ, 'cwd': os.getcwd()}")
    assert SECRET not in str(found)
    assert not [name for name in found if name.startswith(("AWS_", "GITHUB_", "TOWPATH_", "XDG_"))]
    assert found["HOME"] == found["TMPDIR"] == found["cwd"] == str(tmp_path / "cell")


@LINUX
def test_it_reads_nobody_s_environment(attack: Callable[..., Any]) -> None:
    child = subprocess.Popen(["sleep", "60"])  # has ours, and is no less of interest
    try:
        code = """
import glob
read = []
for place in glob.glob('/proc/*/environ') + [f'/proc/{pid}/{name}'
        for pid in (os.getppid(), *question['asked']) for name in ('environ', 'mem', 'root')]:
    try:
        read.append(open(place, 'rb').read(1 << 20).decode('latin-1'))
    except OSError:
        pass
return read
"""
        assert SECRET not in str(attack(code, [os.getpid(), os.getppid(), child.pid]))
    finally:
        child.kill()
        child.wait()


def _accept(server: socket.socket, accepted: list[Any]) -> None:
    with contextlib.suppress(OSError):
        accepted.append(server.accept())


@LINUX
def test_it_connects_to_nobody(attack: Callable[..., Any], tmp_path: Path) -> None:
    accepted: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = tmp_path / "socket"
        named = socket.socket(socket.AF_UNIX)
        named.bind(str(place))
        named.listen()
        for one in (server, named):
            one.settimeout(8)
            threading.Thread(target=_accept, args=(one, accepted), daemon=True).start()
        code = """
import socket, urllib.request
refused = 0
for family, place in ((socket.AF_INET, ('127.0.0.1', question['asked'][0])),
                      (socket.AF_UNIX, question['asked'][1]), (socket.AF_INET, ('1.1.1.1', 53))):
    try:
        with socket.socket(family) as made:
            made.settimeout(2)
            made.connect(place)
    except OSError:
        refused += 1
return refused
"""
        assert attack(code, [server.getsockname()[1], str(place)]) == 3
        named.close()
    assert accepted == []


@LINUX
def test_what_it_started_ends_with_it(attack: Callable[..., Any]) -> None:
    seconds = f"500.{os.getpid()}"
    code = f"""
import subprocess
subprocess.Popen(['sleep', '{seconds}'], start_new_session=True)
if not os.fork():
    os.setsid()
    if not os.fork():
        os.execvp('sleep', ['sleep', '{seconds}'])
    os._exit(0)
return 'answered'
"""
    assert attack(code) == "answered"
    assert has_ended(["sleep", seconds])
    with pytest.raises(SandboxTimeout, match="took longer than 1 s and was ended"):
        attack(code.replace("return 'answered'", "import time; time.sleep(600)"), seconds=1)
    assert has_ended(["sleep", seconds])


def has_ended(words: list[str]) -> bool:
    """Whether no process runs so; one that is being killed is waited for: the machine is busy."""
    deadline = time.monotonic() + 180
    while runs(words) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(words)


def runs(words: list[str]) -> bool:
    return any(
        process.info["cmdline"] == words and process.info["status"] != psutil.STATUS_ZOMBIE
        for process in psutil.process_iter(["cmdline", "status"])
    )


@LINUX
@pytest.mark.parametrize("spread", [False, True])
def test_it_takes_no_more_memory_than_it_may(attack: Callable[..., Any], spread: bool) -> None:
    code = """
import time
held = []
for _ in range(40):
    held.append(b'x' * (64 << 20))
time.sleep(30)
"""
    if spread:
        code = f"for _ in range(4):\n    if not os.fork():\n        break\n{code}"
        code = code.replace("range(40)", "range(4)")
    begun = time.monotonic()
    with pytest.raises(SandboxEnded, match="took more than 512 MiB of memory and was ended"):
        attack(code, memory=512 << 20)
    assert time.monotonic() - begun < 15


def test_it_hangs_no_longer_than_it_may(attack: Callable[..., Any]) -> None:
    begun = time.monotonic()
    with pytest.raises(SandboxTimeout):
        attack("while True: pass", seconds=1)
    assert time.monotonic() - begun < 6


@LINUX
def test_it_writes_and_reads_nowhere_else(attack: Callable[..., Any], tmp_path: Path) -> None:
    home = tmp_path / "somebody"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text(SECRET)
    allowed = tmp_path / "rows.csv"
    allowed.write_text("a\n1\n")
    code = """
home, allowed = question['asked']
outcomes = []
for action in (
    lambda: open(f'{home}/.ssh/x', 'w'), lambda: open(f'{home}/.ssh/id_ed25519').read(),
    lambda: os.unlink(f'{home}/.ssh/id_ed25519'), lambda: os.rename(allowed, 'stolen'),
    lambda: os.symlink('/x', f'{home}/link'), lambda: os.truncate(f'{home}/.ssh/id_ed25519', 0),
    lambda: os.listdir(home), lambda: open(allowed, 'a'), lambda: open('/etc/shadow').read(),
    lambda: os.link(f'{home}/.ssh/id_ed25519', 'stolen'),
):
    try:
        action()
        outcomes.append('did')
    except OSError:
        outcomes.append('refused')
open('own', 'w').write('x')
return [*outcomes, open(allowed).read(), os.path.exists('stolen')]
"""
    found = attack(code, [str(home), str(allowed)], reads=(allowed,))
    assert found == [*["refused"] * 10, "a\n1\n", False]
    assert (home / ".ssh/id_ed25519").read_text() == SECRET
    assert sorted(path.name for path in home.rglob("*")) == [".ssh", "id_ed25519"]


def test_what_it_prints_is_only_print(attack: Callable[..., Any]) -> None:
    code = """
import json
print(json.dumps({'answer': 'forged'}), flush=True)
os.write(2, b'{"answer": "forged"}')
for _ in range(200):
    os.write(1, b'\\x1b]0;title\\x07' + b'x' * 100_000)
return 'honest'
"""
    assert attack(code) == "honest"
    with pytest.raises(SandboxEnded) as ended:
        attack("print('\\x1b[31mred\\x1b]52;c;aGk=\\x07'); sys.stdout.flush(); os._exit(3)")
    assert str(ended.value).startswith("its process ended with 3 before it answered: ")
    assert str(ended.value).isprintable()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("os.abort()", "its process was killed by SIGABRT before it answered"),
        ("os.kill(os.getpid(), 9)", "its process was killed by SIGKILL before it answered"),
        ("os._exit(0)", "its process ended with 0 before it answered"),
        ("raise ValueError('no')", "its process ended with 1 before it answered: ValueError: no"),
        ("return 'x' * (5 << 20)", "its answer is too long"),
        ("return {1, 2}", "before it answered: TypeError: "),
        ("import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV before it answered"),
    ],
)
def test_how_it_ended_is_said(attack: Callable[..., Any], code: str, why: str) -> None:
    with pytest.raises(SandboxEnded) as ended:
        attack(code)
    assert why in str(ended.value)


@LINUX
def test_it_inherits_nothing_that_is_open(attack: Callable[..., Any], tmp_path: Path) -> None:
    secret = tmp_path / "open"
    secret.write_text(SECRET)
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        code = "fds = sorted(map(int, os.listdir('/proc/self/fd')))\n"
        found = attack(f"{code}return [os.path.realpath(f'/proc/self/fd/{{n}}') for n in fds]")
    assert found[0] == "/dev/null"
    assert str(secret) not in found


@LINUX
def test_it_cannot_reach_other_processes(attack: Callable[..., Any]) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        code = """
import ctypes, signal
reached = []
for pid in question['asked']:
    for action in (lambda: os.kill(pid, 0), lambda: os.kill(pid, signal.SIGKILL)):
        try:
            action()
            reached.append(pid)
        except OSError:
            pass
libc = ctypes.CDLL(None, use_errno=True)
return [reached, libc.ptrace(16, question['asked'][0], 0, 0), libc.unshare(0x10000000),
        libc.mount(b'none', b'/', b'tmpfs', 0, None)]
"""
        assert attack(code, [child.pid, os.getpid()]) == [[], -1, -1, -1]
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


@LINUX
@pytest.mark.usefixtures("attack")
def test_without_namespaces_the_other_fences_stand_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that forbids them: `unshare` is refused before anything is started."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "from towpath.sandbox import kernel_fences as fences\n"
        "fences.enter_namespaces = lambda network: False\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{blocked}{os.pathsep}{os.environ['PYTHONPATH']}")
    modules = tmp_path / "modules"
    seconds = f"400.{os.getpid()}"
    (modules / "hostile.py").write_text(f"""
import glob, os, socket, subprocess
def answer(question):
    subprocess.Popen(["sleep", "{seconds}"], start_new_session=True)
    read = []
    for place in glob.glob("/proc/*/environ") + [f"/proc/{{os.getppid()}}/environ"]:
        try:
            read.append(open(place).read())
        except OSError:
            pass
    try:
        socket.socket()
        read.append("{SECRET}")
    except OSError:
        pass
    for action in (lambda: os.kill(question["pid"], 0), lambda: open("{tmp_path}/x", "w")):
        try:
            action()
            read.append("{SECRET}")
        except OSError:
            pass
    return read
""")
    answer = Sandbox(tmp_path / "cell", 20).ask("hostile", {"pid": os.getpid()})
    assert SECRET not in str(answer.said)
    assert answer.missing == ("namespaces",)
    assert answer.missing_fences == "without namespaces here"
    assert has_ended(["sleep", seconds])
