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
from typing import Any, Literal, NoReturn

#: What decides at import, so that a command with another value needs a Python of its own; Prefect's
#: settings do where Prefect is imported, and what has it is forked for each API apart.
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
    around = {**os.environ, **environment}
    # What was applied is told to the API, if one is named.
    tells = "--apply" in words and "PREFECT_API_URL" in around
    imported = "runs" if tells or {"run", "reproduce", "deploy"} & {*words} else "towpath"
    api = around.get("PREFECT_API_URL") if imported == "runs" else None
    return _call(imported, folder, words, around, api, typed)


def call_dvc(folder: Path, *words: str, **environment: str) -> CompletedProcess[str]:
    """The same with stock DVC."""
    return _call("dvc", folder, words, {**os.environ, **environment})


def _call(
    imported: str,
    folder: Path,
    words: tuple[str, ...],
    around: Mapping[str, str],
    prefect_api: str | None = None,
    typed: str = "",
) -> CompletedProcess[str]:
    server = _fork_server(imported, prefect_api)
    if server.suits(around):
        return server.run(folder, words, around, typed=typed)
    module = "dvc" if imported == "dvc" else "towpath"
    call = [sys.executable, "-m", module, *words]
    return subprocess.run(call, cwd=folder, env=around, input=typed, capture_output=True, text=True)


def run_python(
    folder: Path,
    text: str,
    *words: str,
    imported: Literal["towpath", "functions", "steps"] = "towpath",
    **environment: str,
) -> CompletedProcess[str]:
    """A program in a process of its own, to its end; what commands or steps need is imported."""
    return _fork_server(imported, None).run(folder, words, {**os.environ, **environment}, text)


class ForkServer:
    """The process that forks, as a test sees it; it ends with this one."""

    def __init__(self, imported: str) -> None:
        self._prefixes = _AT_IMPORT_OF_PREFECT if imported == "runs" else _AT_IMPORT
        self._environment = dict(os.environ)
        self._lock = threading.Lock()  # tests call commands from several threads
        self._process = subprocess.Popen(
            [sys.executable, __file__, imported],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a command with this environment would have imported what was imported here."""
        mine, its = self._at_import(self._environment), self._at_import(environment)
        return mine == its and self._process.poll() is None

    def _at_import(self, environment: Mapping[str, str]) -> dict[str, str]:
        from towpath.backends.prefect.prefect_import import QUIET

        # Whoever has imported Prefect has these in its environment from then on.
        whole = {**QUIET, **environment}
        return {name: value for name, value in whole.items() if name.startswith(self._prefixes)}

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
                assert self._process.stdin and self._process.stdout
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                code = int(self._process.stdout.readline())
            out, err = (stream.read_text(encoding="utf-8") for stream in streams[1:])
        return CompletedProcess(words, code, out, err)


@cache
def _fork_server(imported: str, prefect_api: str | None) -> ForkServer:  # noqa: ARG001
    """This process's fork server that has this imported, one for each API."""
    return ForkServer(imported)


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


def _serve() -> None:
    """Fork for each line on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _carry_out(json.loads(line))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        answers.flush()


if __name__ == "__main__":
    if sys.argv[1] == "runs":
        import_module("towpath.backends.prefect.prefect_import").import_prefect()
    for name in _IMPORTED[sys.argv[1]]:
        import_module(name)
    gc.freeze()
    _serve()
