"""Environments of steps with packages of their own: made once of a file of requirements.

Such an environment is a layer: what the file names goes first, and behind it stands all that the
environment of Towpath has, so that a step in it reads and writes files as any other.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.call_log import log_call
from towpath.control_characters import show_controls
from towpath.credentials import hide_credentials, strip_credentials
from towpath.errors import Fault, StepFailed
from towpath.scratch import take_lock

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Step

FOLDER = ".towpath/environments"
_WHOLE = "towpath-whole"
"""The file that is written last: without it an environment is a torso, and made anew."""
_LAYER = "zz_towpath_layer.pth"
_INCLUDED = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]*(\S+)")
_LOOK = 0.2  # seconds between two looks at whether the run was interrupted
_PATIENCE = 3600.0  # seconds that another run may take to make the same environment
_LAST_LINES = 3
# A run's own variables of Python would lead pip to the packages of another environment.
_LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
_OFFLINE = re.compile(
    r"connection|name resolution|network|dns|timed? ?out|failed to fetch|could not fetch|proxy",
    re.IGNORECASE,
)


def find_requirements(root: Path, folder: str, step: Step) -> str | None:
    """The file, from the root, of the packages that a step has for itself: beside the pipeline's,
    else from the root."""
    if step.environment is None:
        return None
    beside = f"{folder}/{step.environment}"
    return beside if (root / beside).is_file() else step.environment


def read_requirements(file: Path, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
    """The lines of a file of requirements and of those that it names, without comments."""
    if file.resolve() in seen:
        return
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        plain = re.sub(r"(^|\s)#.*", "", line).strip()
        if named := _INCLUDED.match(plain):
            yield plain[: named.start(1)].strip(" =")
            yield from read_requirements(file.parent / named[1], seen | {file.resolve()})
        elif plain:
            yield plain


def digest_requirements(file: Path) -> str:
    """32 hexadecimal digits of what a file of requirements asks for."""
    text = "\n".join(strip_credentials(line) for line in read_requirements(file))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def make_environment(
    root: Path, file: Path, say: Callable[[str], object], is_stopped: Callable[[], bool]
) -> Path:
    """The Python of the environment that a file of requirements asks for; it is made where it is
    not there yet, of all runs of this machine by one.

    Raises:
        StepFailed: where a package cannot be had, with the last words of what installs it.
    """
    minor = sysconfig.get_python_version().replace(".", "")
    folder = root / FOLDER / f"{digest_requirements(file)[:16]}-py{minor}"
    python = folder / "bin" / "python"
    if (folder / _WHOLE).exists():
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Others may want the same at once: one makes it, and the kernel frees the lock of one killed.
    with folder.with_suffix(".lock").open("w") as lock:
        end = time.monotonic() + _PATIENCE
        while not take_lock(lock, _LOOK):  # in short turns, so that an interrupt is heard
            if is_stopped():
                raise StepFailed("the run was interrupted", causes=("Interrupted",))
            if time.monotonic() < end:
                continue
            raise StepFailed(f"another run has made the environment of {file.name} for an hour")
        if not (folder / _WHOLE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            say(f"making the environment of {file.name}")
            try:
                for command in _list_commands(folder, file):
                    _run_installer(command, file, say, is_stopped)
                _lay_over(folder)
                (folder / _WHOLE).touch()
            finally:
                if not (folder / _WHOLE).exists():
                    shutil.rmtree(folder, ignore_errors=True)
    return python


def _list_commands(folder: Path, file: Path) -> Iterator[list[str]]:
    """What makes an environment and installs into it: uv where there is one, which is quicker."""
    python = folder / "bin" / "python"
    beside = Path(sys.executable).parent / "uv"
    if uv := str(beside) if beside.is_file() else shutil.which("uv"):
        yield [uv, "venv", "--quiet", "--python", sys.executable, str(folder)]
        yield [uv, "pip", "install", "--python", str(python), "-r", str(file)]
    else:
        # The pip at hand serves another Python too: to put one into each takes four seconds.
        is_bare = find_spec("pip") is not None
        yield [sys.executable, "-m", "venv", *(["--without-pip"] if is_bare else []), str(folder)]
        at_hand = [sys.executable, "-m", "pip", "--python", str(python)]
        pip = at_hand if is_bare else [str(python), "-m", "pip"]
        yield [*pip, "--disable-pip-version-check", "--no-input", "install", "-r", str(file)]


def _run_installer(
    command: list[str], file: Path, say: Callable[[str], object], is_stopped: Callable[[], bool]
) -> None:
    variables = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    with tempfile.TemporaryFile() as output, log_call("process", *command) as logged:
        installer = subprocess.Popen(
            command, cwd=file.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, env=variables,
        )  # fmt: skip
        try:
            while installer.poll() is None:
                if is_stopped():
                    raise StepFailed("the run was interrupted", causes=("Interrupted",))
                time.sleep(_LOOK)
        finally:
            if installer.poll() is None:
                installer.kill()
                installer.wait()
        logged.answer(installer.returncode)
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").splitlines()
    lines = [hide_credentials(show_controls(line.strip())) for line in lines if line.strip()]
    if installer.returncode:
        for line in lines:
            say(line)
        raise StepFailed(_installing_fault(file, lines), causes=("EnvironmentFailed",))


def _installing_fault(file: Path, lines: list[str]) -> Fault:
    said = " | ".join(lines[-_LAST_LINES:]) or "nothing is said of why"
    hint = f"look at {file.name}, and at the step's log"
    if _OFFLINE.search(" ".join(lines)):
        hint = "is there a network? `UV_INDEX_URL` or `PIP_INDEX_URL` names another index"
    return Fault(f"the environment of {file.name} cannot be made: {said}", hint=hint)


def _lay_over(folder: Path) -> None:
    """Put the packages of this Python's environment behind those of a new one."""
    purelib = next(folder.glob("lib/python*/site-packages"))
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    lines = [f"import site; site.addsitedir({path!r})" for path in paths]
    (purelib / _LAYER).write_text("\n".join(lines) + "\n", encoding="utf-8")
