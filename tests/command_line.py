"""The command line in processes that are forked from one which has everything imported.

A new Python imports for half a second before a command begins, and for two where it runs a
pipeline: more than most commands take. ``python command_line.py towpath`` has one thread, and
forks a child for each request: pytest's own process has more threads, and must not fork. All else
is as a person calls it: folder, environment, both streams, exit code, and how the interpreter ends.
``python command_line.py dvc`` is the same for stock DVC, and has nothing of Towpath in it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Literal, NoReturn, TypeAlias

#: What decides at import, so that commands with other values are forked from another process;
#: Prefect's settings do where Prefect is imported.
_AT_IMPORT = ("PYTHON", "LC_", "LANG")
_AT_IMPORT_OF_PREFECT = ("PREFECT_", *_AT_IMPORT)

#: What is imported once, DVC's parts and Prefect's as well, which take longest. Prefect sets up
#: logging when it is imported: only commands that run a pipeline are forked from what has it.
_COMMANDS = (
    "dvc.repo", "dvc_http", "towpath.execution.pipeline_run", "towpath.versions.push_and_pull",
    "towpath.delivery.promotion", "towpath.backends.dvc.byte_transfer",
    *(f"towpath.cli.{name}_commands" for name in ("audit", "promotion", "reconcile", "record")),
    *(f"towpath.cli.{name}_commands" for name in ("registry", "run", "version")),
    "towpath.cli.render.run_views",
)  # fmt: skip
_IMPORTED = {
    "towpath": _COMMANDS,
    "runs": (
        *_COMMANDS, "towpath.backends.prefect.flow_entrypoint",
        "towpath.backends.prefect.pipeline_flow",
        "prefect.engine", "prefect.flow_engine", "prefect.task_engine",
        "anyio._backends._asyncio", "pydantic.v1",
    ),
    "dvc": ("dvc.cli.parser",),
    # Without the libraries, a fork copies a third of the memory and takes a third of the time.
    "functions": ("towpath.steps.project_functions",),
    "steps": ("towpath.steps.project_functions", "pandas", "sklearn.linear_model"),
}  # fmt: skip


def call_towpath(
    folder: Path, *words: str, typed: str = "", **environment: str
) -> CompletedProcess[str]:
    """What a person types in a folder, to its end; ``environment`` is added to this process's.
    ``typed`` is what the command then reads on stdin."""
    return call_towpath_in({**os.environ, **environment}, folder, *words, typed=typed)


def call_towpath_in(
    environment: Mapping[str, str], folder: Path, *words: str, typed: str = ""
) -> CompletedProcess[str]:
    """The same in an environment that has nothing of this process's."""
    return _towpath_server(words, environment).run(folder, words, environment, typed=typed)


def begin_towpath(folder: Path, *words: str, **environment: str) -> BegunCommand:
    """The same, of which a test sees how it goes on, and which it may end by a signal."""
    around = {**os.environ, **environment}
    return _towpath_server(words, around).begin(folder, words, around)


def _towpath_server(words: tuple[str, ...], around: Mapping[str, str]) -> ForkServer:
    # What was applied is told to the API, if one is named.
    tells = "--apply" in words and "PREFECT_API_URL" in around
    imported = "runs" if tells or {"run", "reproduce", "deploy"} & {*words} else "towpath"
    return _fork_server(imported, _at_import(imported, around))


def call_dvc(folder: Path, *words: str, **environment: str) -> CompletedProcess[str]:
    """The same with stock DVC."""
    around = {**os.environ, **environment}
    return _fork_server("dvc", _at_import("dvc", around)).run(folder, words, around)


def run_python(
    folder: Path,
    text: str,
    *words: str,
    imported: Literal["towpath", "functions", "steps"] = "towpath",
    **environment: str,
) -> CompletedProcess[str]:
    """A program in a process of its own, to its end; what commands or steps need is imported."""
    around = {**os.environ, **environment}
    return _fork_server(imported, _at_import(imported, around)).run(folder, words, around, text)


_Variables: TypeAlias = tuple[tuple[str, str], ...]


def _at_import(imported: str, environment: Mapping[str, str]) -> _Variables:
    """The variables that decide as these modules are imported."""
    from towpath.backends.prefect.prefect_import import QUIET

    # Whoever has imported Prefect has these in its environment from then on.
    whole = {**QUIET, **environment}
    prefixes = _AT_IMPORT_OF_PREFECT if imported == "runs" else _AT_IMPORT
    return tuple(sorted(item for item in whole.items() if item[0].startswith(prefixes)))


class BegunCommand:
    """A command's process, the first of a session of its own, and its streams once it ended."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._life = (scratch / "life").open("rb", buffering=0)
        self.pid = int(self._life.readline())
        #: Negative for a signal; None until it was waited for.
        self.returncode: int | None = None
        self._written = ("", "")

    def send_signal(self, number: int) -> None:
        """To the command alone; not to whoever has its number once it ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has written, once it ended."""
        if self.returncode is None:
            if not select.select([self._life], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("towpath", timeout or 0)
            self.returncode = int(self._life.readline())
            self._life.close()
            out, err = (self._scratch / name for name in ("out", "err"))
            self._written = out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
            shutil.rmtree(self._scratch)
        return self._written


class ForkServer:
    """The process that forks, as a test sees it; it ends with this one."""

    def __init__(self, imported: str, variables: _Variables) -> None:
        others = {n: v for n, v in os.environ.items() if not n.startswith(_AT_IMPORT_OF_PREFECT)}
        self._lock = threading.Lock()  # tests call commands from several threads
        self._process = subprocess.Popen(
            [sys.executable, __file__, imported],
            env=others | dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        folder: Path,
        words: tuple[str, ...],
        environment: Mapping[str, str],
        program: str | None = None,
        typed: str = "",
    ) -> CompletedProcess[str]:
        """A command to its end, or a ``program``'s text."""
        with tempfile.TemporaryDirectory() as scratch:
            streams = [Path(scratch, name) for name in ("in", "out", "err")]
            streams[0].write_text(typed, encoding="utf-8")
            request = {
                "words": words,
                "program": program,
                "folder": str(folder),
                "environment": dict(environment),
                "streams": list(map(str, streams)),
            }
            with self._lock:
                self._ask(request)
                assert self._process.stdout
                code = int(self._process.stdout.readline())
            out, err = (stream.read_text(encoding="utf-8") for stream in streams[1:])
        return CompletedProcess(words, code, out, err)

    def begin(
        self, folder: Path, words: tuple[str, ...], environment: Mapping[str, str]
    ) -> BegunCommand:
        """A command that goes on."""
        scratch = Path(tempfile.mkdtemp(prefix="begun-"))
        os.mkfifo(scratch / "life")
        request = {
            "words": words,
            "program": None,
            "folder": str(folder),
            "environment": dict(environment),
            "streams": [os.devnull, str(scratch / "out"), str(scratch / "err")],
            "life": str(scratch / "life"),
        }
        with self._lock:
            self._ask(request)
        return BegunCommand(scratch)

    def _ask(self, request: Mapping[str, object]) -> None:
        from forked_supervisors import chosen_addresses

        # A run of it gets its supervisor as the runs of this process do.
        asked = json.dumps({**request, "supervisors": str(chosen_addresses() or "")})
        assert self._process.stdin
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()


@cache
def _fork_server(imported: str, variables: _Variables) -> ForkServer:
    """This process's fork server that has this imported, with these variables."""
    return ForkServer(imported, variables)


def _carry_out(request: dict[str, Any]) -> NoReturn:
    """Be the process of a command."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    for number, path in enumerate(request["streams"]):
        stream = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(stream, number)
        os.close(stream)
    # What a Python asks or draws once, at its start.
    sys.path[0] = request["folder"]
    tempfile.tempdir = None
    random.seed()
    if request["supervisors"] and (forked := sys.modules.get("forked_supervisors")):
        forked.choose_start(Path(request["supervisors"]))
    code: object = 0
    try:
        _be(request["program"], request["words"])
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    # As an interpreter ends, up to where it takes down module after module: that would copy all
    # the memory that this process shares.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


def _be(program: str | None, words: list[str]) -> None:
    module = "dvc" if sys.argv[1] == "dvc" else "towpath"
    if program:
        sys.argv = ["-c", *words]
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
        return
    sys.argv = [str(Path(str(import_module(module).__file__)).with_name("__main__.py")), *words]
    if module == "dvc":
        sys.exit(import_module("dvc.cli").main())
    import_module("towpath.cli.main").main()


def _keep(request: dict[str, Any]) -> NoReturn:
    """Fork a command, and tell its number and how it ended."""
    with Path(request["life"]).open("w") as life:
        child = os.fork()
        if child == 0:
            os.setsid()
            _carry_out(request)
        print(child, file=life, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=life, flush=True)
    os._exit(0)


def _serve() -> None:
    """Fork for each line on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    keepers: set[int] = set()
    for line in sys.stdin:
        keepers = {keeper for keeper in keepers if not os.waitpid(keeper, os.WNOHANG)[0]}
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            (_keep if "life" in request else _carry_out)(request)
        if "life" in request:
            keepers.add(child)
            continue
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        answers.flush()


if __name__ == "__main__":
    if sys.argv[1] == "runs":
        import_module("towpath.backends.prefect.prefect_import").import_prefect()
    if sys.argv[1] in ("towpath", "runs"):
        import_module("forked_supervisors")
    for name in _IMPORTED[sys.argv[1]]:
        import_module(name)
    gc.freeze()
    _serve()
