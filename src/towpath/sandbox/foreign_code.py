"""The one way to run somebody's code: in a child process with a bare environment, its own folder,
bounds of time and memory, and as many fences as the system has.

What runs in it is a module with ``answer(question)``, both of JSON's types. Nothing that a model's
file or somebody's function does there reaches this process but that answer, the last line that was
printed, and an exit code.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from towpath.call_log import log_call
from towpath.config.foreign_values import Fields, list_of, parse_json, read_json, read_text
from towpath.errors import Malformed
from towpath.sandbox import kernel_fences, process_tree
from towpath.sandbox.confined_process import Confinement, start_confined
from towpath.sandbox.confinement import TOO_MUCH_MEMORY

_ORDER = "order.json"
_LONGEST_ANSWER = 4 << 20
_LAST_WORDS = 8 << 10
_PATIENCE = 5.0  # seconds that what has closed its pipes, or was killed, gets to be gone

_KEPT = frozenset(
    {
        *("PATH", "TZ", "LANG", "LANGUAGE", "VIRTUAL_ENV", "CONDA_PREFIX"),
        *("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    }
)
_KEPT_FAMILIES = ("LC_", "OMP_", "MKL_", "OPENBLAS_")


class SandboxEnded(Exception):  # the code in a sandbox did not answer; these words say why
    """The code in a sandbox did not answer: it took too long or too much, crashed, or lied."""


def _memory_share() -> int:
    """Three quarters of the machine's, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4


class SandboxTimeout(SandboxEnded):
    """It took longer than it may."""


class Sandbox(Struct, frozen=True):
    """What somebody's code may do.

    ``folder`` is an empty one of its own: its home, where it works, and, besides ``writes``, the
    only place that it may write to. Besides the system's and Python's files it may read ``reads``
    alone. ``environment`` are variables that it has besides the bare ones. ``seconds`` are those
    of a clock, ``memory`` and ``file_size`` bytes: of all its processes, and of each file.
    """

    folder: Path
    seconds: float
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    memory: int = field(default_factory=_memory_share)
    file_size: int = 1 << 30

    def ask(
        self, module: str, question: Mapping[str, Any], needs: tuple[str, ...] = ()
    ) -> SandboxAnswer:
        """What a module answers. ``needs`` are modules of Towpath and of installed packages, which
        it is known to import: where processes are forked, they are imported once for all.

        :raises SandboxEnded: where it raised, crashed, took longer or more than it may, or does
            not answer in JSON.
        """
        folder = self.folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        order = {
            "module": module,
            "question": question,
            "folder": str(folder),
            "reads": [str(path.absolute()) for path in self.reads],
            "writes": [str(path.absolute()) for path in self.writes],
            "seconds": self.seconds,
            "memory": self.memory,
            "file_size": self.file_size,
            "network": self.network,
        }
        (folder / _ORDER).write_text(json.dumps(order), encoding="utf-8")
        with log_call("process", "sandbox", module):
            return _run_sandbox(self, folder, needs)

    def bare_environment(self) -> dict[str, str]:
        """The environment of what runs: nothing of this process's but what finds programs."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT or name.startswith(_KEPT_FAMILIES)
        }
        folder = str(self.folder.absolute())
        own = {"HOME": folder, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        return {**kept, **process_tree.CALM, **own, **self.environment}


class SandboxAnswer(Struct, frozen=True):
    """What was answered, and which fences this system does not have."""

    said: Any
    missing: tuple[str, ...]

    @property
    def missing_fences(self) -> str:
        """``without namespaces here``; empty where all fences stood."""
        return f"without {' and '.join(self.missing)} here" if self.missing else ""


def _run_sandbox(sandbox: Sandbox, folder: Path, needs: tuple[str, ...]) -> SandboxAnswer:
    # This process's environment, where keys are, is kept from whoever runs as the same user.
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            kernel_fences.set_visibility(False)
    deadline = time.monotonic() + sandbox.seconds
    inside, outside = os.pipe()
    try:
        environment = sandbox.bare_environment()
        confinement = Confinement(folder / _ORDER, outside, folder, environment, needs)
        # Variables that are for this code alone are told to nobody who forks other code.
        process = start_confined(confinement, deadline, forks=not sandbox.environment)
    except subprocess.TimeoutExpired:
        os.close(inside)
        raise _timeout(sandbox) from None
    except BaseException:
        os.close(inside)
        raise
    finally:
        os.close(outside)
    try:
        answer, printed = _collect_output(sandbox, process.printed, inside, deadline)
        status = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        raise SandboxEnded("its process does not end") from None
    finally:
        process.end()
        os.close(inside)
        _await_silence(process.printed)
        os.close(process.printed)
    return _parse_answer(sandbox, answer, printed, status)


def _timeout(sandbox: Sandbox) -> SandboxTimeout:
    return SandboxTimeout(f"it took longer than {sandbox.seconds:g} s and was ended")


def _await_silence(printed: int) -> None:
    """Until nobody can print any more: the kernel ends what is in a namespace a moment after the
    first process there, and whoever asked may look for it, or remove its folder."""
    deadline = time.monotonic() + _PATIENCE
    while select.select([printed], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not os.read(printed, 1 << 16):
            return


def _collect_output(
    sandbox: Sandbox, prints: int, inside: int, deadline: float
) -> tuple[bytes, bytes]:
    """All of the answer and the end of what was printed, which may be without end."""
    answer, printed = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(inside, selectors.EVENT_READ, answer)
        selector.register(prints, selectors.EVENT_READ, printed)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise _timeout(sandbox)
            for key, _ in selector.select(left):
                part = os.read(key.fd, 1 << 16)
                key.data.extend(part)
                if not part:
                    selector.unregister(key.fd)
            del printed[:-_LAST_WORDS]
            if len(answer) > _LONGEST_ANSWER:
                raise SandboxEnded("its answer is too long")
    return bytes(answer), bytes(printed)


def _parse_answer(sandbox: Sandbox, answer: bytes, printed: bytes, status: int) -> SandboxAnswer:
    first, _, second = answer.partition(b"\n")
    if not second:
        raise SandboxEnded(_describe_ending(sandbox, printed, status))
    try:
        return read_answer(first, second)
    except Malformed as wrong:
        raise SandboxEnded(f"it does not answer as it must: {wrong.faults[0].what}") from None


def read_answer(first: bytes, second: bytes) -> SandboxAnswer:
    """The two lines that a child writes: which fences are missing, and the answer, which whoever
    asked for it reads on. ``Malformed`` for what is none: the code in there may write them, too."""
    missing = Fields(parse_json(first)).get("missing", list_of(read_text))
    return SandboxAnswer(Fields(parse_json(second)).get("answer", read_json), missing)


def _describe_ending(sandbox: Sandbox, printed: bytes, status: int) -> str:
    """How it ended, and the last line that it printed, with nothing that a terminal obeys."""
    if status == TOO_MUCH_MEMORY:
        return f"it took more than {sandbox.memory / (1 << 20):,.0f} MiB of memory and was ended"
    how = process_tree.describe_exit(status)
    line = (printed.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:300]
    last = "".join(letter if letter.isprintable() else " " for letter in line)
    return f"its process {how} before it answered" + (f": {last}" if last else "")
