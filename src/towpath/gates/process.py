"""Work of a gate in a process of its own: it is ended when it takes too long, and a crash of it is
a failed gate.

Asked and answered in JSON: nothing that a model's file or somebody's function did to that process
reaches this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.gates import text
from towpath.gates.finding import Unjudged

if TYPE_CHECKING:
    from towpath.gates.context import Context
    from towpath.spec.gates import Timed

ASKED, ANSWER, LOG = "asked.json", "answer.json", "log.txt"
_LONGEST_ANSWER = 4 << 20
_KEPT = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "USER", "VIRTUAL_ENV", "TOWPATH_HOME")
_KEPT_FAMILIES = ("LC_", "XDG_", "PYTHON", "OMP_", "MKL_", "OPENBLAS_", "LD_", "DYLD_")
_OURS = {
    "GX_ANALYTICS_ENABLED": "false",
    "MPLBACKEND": "Agg",
    "GOMP_SPINCOUNT": "1000",
    "PYTHONHASHSEED": "0",
}


def ask(
    gate: Timed, context: Context, asked: Mapping[str, Any], secrets: bool = False
) -> dict[str, Any]:
    """What the kind's ``work`` answers.

    :param secrets: let it have the whole environment, which may hold credentials.
    :raises Unjudged: where it raised, crashed, or took longer than the gate's ``timeout``.
    """
    scratch = context.scratch.absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{gate.kind}-", dir=scratch) as room:
        folder = Path(room)
        (folder / ASKED).write_text(json.dumps({"kind": gate.kind, "asked": asked}))
        status = _run(folder, gate.timeout, dict(os.environ) if secrets else _environment())
        return _answer(folder, status)


def _run(folder: Path, timeout: float, environment: Mapping[str, str]) -> int:
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "towpath.gates.work", str(folder)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment, **_OURS},
            start_new_session=True,
        )
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        said = text.duration(timeout)
        raise Unjudged(f"it took longer than its timeout of {said} and was ended") from None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # and what it started
        process.wait()


def _answer(folder: Path, status: int) -> dict[str, Any]:
    file = folder / ANSWER
    if not file.is_file():
        raise Unjudged(_crashed(folder, status))
    if file.stat().st_size > _LONGEST_ANSWER:
        raise Unjudged("its answer is too long")
    said: dict[str, Any] = json.loads(file.read_bytes())
    if why := said.get("why"):
        raise Unjudged(str(why))
    answer: dict[str, Any] = said["answer"]
    return answer


def _crashed(folder: Path, status: int) -> str:
    """How it ended, and the last thing that it printed."""
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    printed = (folder / LOG).read_bytes()[-2000:].decode("utf-8", "replace").strip()
    last = f": {printed.splitlines()[-1]}" if printed else ""
    return f"its process {how} before it answered{last}"


def _environment() -> dict[str, str]:
    """Without credentials: what works on a model's file needs none."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_FAMILIES)
    }
