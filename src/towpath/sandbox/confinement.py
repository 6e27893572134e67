"""The inside of a sandbox: fences first, then somebody's code, then whatever it left is ended.

``python -m towpath.sandbox.confinement ORDER ANSWER`` is started by ``confined_process``, or the
same is forked by ``fork_server``. Three processes: this one makes the namespaces; its child is the
first in them, keeps watch over memory and ends everything with the third, which works. What that
one answers goes through a pipe of its own: whatever is printed is only print.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import site
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from towpath.sandbox import kernel_fences as fences
from towpath.sandbox import process_tree

TOO_MUCH_MEMORY = 251
"""The exit code for it."""

_LOOK = 0.05  # seconds between two looks at memory
_HEADROOM = 8 << 30  # what libraries reserve without using it
_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"),
    *("/etc/alternatives", "/etc/fonts", "/etc/mime.types", "/etc/os-release", "/etc/ssl/certs"),
    *("/sys/devices/system", "/sys/fs/cgroup", "/dev/urandom", "/dev/random", "/dev/zero"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys", "/proc/filesystems"),
)
"""What libraries read. Not homes, `/var`, `/run`, nor the rest of `/etc`: keys lie there."""


def run_confinement(order_file: Path, answer: int) -> NoReturn:
    """Do what the order says, and answer into a pipe; the exit code is that of who works."""
    order = json.loads(order_file.read_bytes())
    missing: list[str] = []
    if sys.platform != "linux":
        _limit_resources(order, has_namespace=False)
        _work_inside(order, answer, ["namespaces", "file access", "system calls"])
    fences.die_with_parent(signal.SIGKILL)
    with suppress(OSError):  # where the machine's memory runs out, it is this that goes
        Path("/proc/self/oom_score_adj").write_text("1000")
    if not fences.enter_namespaces(order["network"]):
        missing.append("namespaces")
        _watch_memory(order, answer, missing, own_proc=False)
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        os._exit(_exit_code(status))
    fences.die_with_parent(signal.SIGKILL)
    _watch_memory(order, answer, missing, own_proc=fences.mount_own())


def _watch_memory(
    order: Mapping[str, Any], answer: int, missing: list[str], own_proc: bool
) -> NoReturn:
    """Start who works, look at the memory of all, and end all of it when that one has ended."""
    fences.become_subreaper()
    child = os.fork()
    if not child:
        fences.die_with_parent(signal.SIGKILL)
        _set_fences(order, missing, own_proc)
        _work_inside(order, answer, missing)
    os.close(answer)
    code = _wait_for_child(child, order["memory"])
    process_tree.end_descendants()
    os._exit(code)


def _wait_for_child(child: int, limit: int) -> int:
    """How the child ended; `TOO_MUCH_MEMORY` where it and what it started took more."""
    poll = select.poll()
    with suppress(OSError):  # without a handle, an end is seen at the next look
        poll.register(fences.open_process(child), select.POLLIN)
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if process_tree.measure_memory(os.getpid(), limit) > limit:
            return TOO_MUCH_MEMORY
        poll.poll(_LOOK * 1000)
    return _exit_code(ended[1])


def _exit_code(status: int) -> int:
    """An exit code for a status, as a shell gives it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _set_fences(order: Mapping[str, Any], missing: list[str], own_proc: bool) -> None:
    _limit_resources(order, has_namespace="namespaces" not in missing)
    if not own_proc and "namespaces" not in missing:
        missing.append("own /proc")
    fences.drop_capabilities()
    writes = [Path(order["folder"]), Path("/dev/null"), *map(Path, order["writes"])]
    reads = [*_readable_paths(), *map(Path, order["reads"])]
    if own_proc:
        reads.append(Path("/proc"))
        writes.append(Path("/dev/shm"))
    else:
        reads.append(Path("/proc/self"))
    if not fences.restrict_file_access(reads, writes, order["network"]):
        missing.append("file access")
    if not fences.forbid_calls(order["network"]):
        missing.append("system calls")


def _limit_resources(order: Mapping[str, Any], has_namespace: bool) -> None:
    seconds = int(order["seconds"]) * (os.cpu_count() or 1) + 5
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: order["memory"] + _HEADROOM,
        resource.RLIMIT_FSIZE: order["file_size"],
    }
    if has_namespace:  # else it counts all that this user runs
        limits[resource.RLIMIT_NPROC] = 2048
    for which, limit in limits.items():
        _, most = resource.getrlimit(which)
        bound = limit if most == resource.RLIM_INFINITY else min(limit, most)
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (bound, bound))


def _readable_paths() -> Iterator[Path]:
    """Where the system, Python, its packages and Towpath itself are."""
    yield from map(Path, _SYSTEM)
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix})
    yield from map(Path, sysconfig.get_paths().values())
    yield from map(Path, [*sys.path, *site.getsitepackages()])
    yield Path(__file__).parents[1]
    yield Path(sys.executable).resolve().parent
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV"):
        yield from map(Path, filter(None, os.environ.get(name, "").split(os.pathsep)))


def _work_inside(order: Mapping[str, Any], answer: int, missing: list[str]) -> NoReturn:
    """Say which fences are missing, then let the module answer, and end without tidying up: what
    somebody's library left behind may hang."""
    import faulthandler

    os.set_inheritable(answer, False)
    _write_answer(answer, {"missing": missing})
    faulthandler.enable()
    warnings.simplefilter("ignore")
    module_answer = importlib.import_module(order["module"]).answer(order["question"])
    _write_answer(answer, {"answer": module_answer})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _write_answer(answer: int, said: Mapping[str, Any]) -> None:
    content = json.dumps(said).encode() + b"\n"
    while content:
        content = content[os.write(answer, content) :]


if __name__ == "__main__":
    run_confinement(Path(sys.argv[1]), int(sys.argv[2]))
