"""The home of a local Prefect API: its files, the leases of runs, and its processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from towpath.call_log import log_call
from towpath.errors import EngineError, Fault, Place
from towpath.scratch import hold_file

SHARED = "shared"
LOG_LINES = 12
# A process is found by these words of its command line, whatever folder Towpath is installed in.
_BESIDE = ("prefect", "server")
KEEPER, SERVER = "keeper.py", "serve.py"
WORKER = "towpath.backends.prefect.server.worker"


class HomeFile(Struct, frozen=True):
    name: str

    def __get__(self, home: ApiHome, _: object) -> Path:
        return home.folder / self.name


class ApiHome(Struct, frozen=True):
    """The folder of one local API. `keeper.py`, which loads none of this, knows the same names.
    `project` is the project's root; None for an API that belongs to none."""

    folder: Path
    project: Path | None = None

    # What runs, as JSON: written when an API starts, removed when it stops.
    state = HomeFile("state.json")
    # The port of last time, taken again where it is free, so that bookmarks stay true.
    port_file = HomeFile("port")
    # Its modification time is that of the last use; the keeper counts the rest from there.
    used_file = HomeFile("used")
    # There between `towpath up` and `towpath down`: the worker, and no rest for the API.
    up_file = HomeFile("up.json")
    # The process id of the server that last began to answer.
    ready_file = HomeFile("ready")
    # One locked file for each run in progress.
    leases_folder = HomeFile("leases")
    # What the server and the worker wrote since they were last started.
    log = HomeFile("server.log")
    worker_log = HomeFile("worker.log")
    database_file = HomeFile("prefect.db")
    # The version of Prefect whose tables and kinds of block the database has.
    prepared_file = HomeFile("prepared")
    root_file = HomeFile("project")

    def is_prepared(self, prefect: str) -> bool:
        """Whether the database needs no migration for this version of Prefect."""
        try:
            return self.database_file.exists() and self.prepared_file.read_text() == prefect
        except FileNotFoundError:
            return False

    def make(self) -> None:
        """Make the folders; only their owner may look inside. EngineError where that fails."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder.parent, self.folder, self.leases_folder):
                folder.mkdir(mode=0o700, exist_ok=True)
                status = folder.stat()
                if status.st_uid != os.geteuid():  # its owner could put a state of his own there
                    raise _home_error(folder, "it belongs to another user")
                if stat.S_IMODE(status.st_mode) & 0o077:  # a copied one
                    folder.chmod(0o700)
            if self.project and not self.root_file.exists():
                self.root_file.write_bytes(os.fsencode(self.project))
        except OSError as error:
            raise _home_error(self.folder, error.strerror) from None

    def project_root(self) -> Path | None:
        """The root of the project that this home was made for, as it was written down."""
        try:
            return Path(os.fsdecode(self.root_file.read_bytes()))
        except FileNotFoundError:
            return None

    def touch(self) -> None:
        """Say that the API is in use, so that its rest begins anew."""
        self.used_file.touch()

    def locked(self) -> AbstractContextManager[None]:
        """While one process starts or stops the API, others wait here."""
        return hold_file(self.folder / "lock")


def _home_error(folder: Path, why: object) -> EngineError:
    what = f"cannot keep a local Prefect API in {folder}: {why}"
    return EngineError(what, hint="name another folder in TOWPATH_HOME")


def base_folder() -> Path:
    """Where every local API of this user lives: `TOWPATH_HOME`, or the user's data folder."""
    if chosen := os.environ.get("TOWPATH_HOME"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("towpath")


def home_of_project(project: Path | None) -> ApiHome:
    """The home of a project's API; the shared one where there is no project."""
    # Names in Prefect have no project in front: on one API the `training/dev` of two projects
    # would be one deployment, and the later would win in silence. So each project has its own.
    if project is None:
        return ApiHome(base_folder() / "prefect" / SHARED)
    root = project.resolve()
    plain = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-") or "project"
    # Two projects may have folders of one name; the digest of the whole path tells them apart.
    name = f"{plain[:32]}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:10]}"
    return ApiHome(base_folder() / "prefect" / name, root)


@contextmanager
def hold_lease(home: ApiHome, run_id: str) -> Iterator[None]:
    """Hold the lease of a run: a locked file, which the system unlocks when its holder dies."""
    home.make()
    path = home.leases_folder / run_id
    new = home.folder / f"lease.{run_id}"
    with new.open("w") as file:
        # Locked before it is there: who finds a lease unlocked takes its run for a killed one.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str(os.getpid()))
        file.flush()
        new.replace(path)
        try:
            yield
        finally:
            # The rest begins now, before the lease goes: between the two the API would be unneeded.
            home.touch()
            path.unlink(missing_ok=True)


def find_runs(home: ApiHome) -> tuple[str, ...]:
    return tuple(sorted(run_id for run_id, held in _read_leases(home) if held))


def find_killed_runs(home: ApiHome) -> tuple[str, ...]:
    """Runs whose process was killed: their leases are there, and nobody holds them."""
    return tuple(sorted(run_id for run_id, held in _read_leases(home) if not held))


def _read_leases(home: ApiHome) -> Iterator[tuple[str, bool]]:
    """Each run that has a lease, and whether its process lives."""
    if not home.leases_folder.is_dir():
        return
    for path in home.leases_folder.iterdir():
        with suppress(FileNotFoundError), path.open() as file:  # a run may end meanwhile
            is_held = False
            try:
                # Shared, so that two who look at once do not take each other for the run.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                is_held = True
            yield path.name, is_held


def start_process(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    pass_fds: Sequence[int] = (),
) -> int:
    """Start a process that outlives this one and that its terminal's Ctrl-C does not reach."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    logged = log_call("process", "start", *command)
    with os.fdopen(output, "wb") as log_file, logged:
        started = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log_file,
            stderr=log_file, pass_fds=pass_fds, start_new_session=True,
        )  # fmt: skip
        logged.answer(f"process {started.pid}")
    # It is meant to be left running: no warning of that when the object is collected.
    started.returncode = 0
    return started.pid


def creation_time(pid: int) -> float:
    """When a process was created, in seconds since 1970; 0 where there is none that runs."""
    import psutil

    try:
        process = psutil.Process(pid)
        # A zombie has ended; only its parent has not heard of it.
        gone = process.status() == psutil.STATUS_ZOMBIE
        return 0.0 if gone else float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0


def is_our_process(pid: int, since: float) -> bool:
    """Whether `pid` is this user's process that was created at `since`, and not a later one."""
    import psutil

    try:
        created = creation_time(pid)
        # psutil adds to the boot time, which Linux reckons anew when the clock is set: not the same
        # to the last digit.
        same = created > 0 and abs(created - since) < 1
        return same and psutil.Process(pid).uids().effective == os.geteuid()
    except psutil.NoSuchProcess:
        return False


def is_listening(pid: int, port: int) -> bool:
    """Whether a process of this user holds the socket that listens at a loopback port."""
    import psutil

    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp4")
    except psutil.Error:
        return False
    local = ("127.0.0.1", port)
    return any(s.status == psutil.CONN_LISTEN and tuple(s.laddr) == local for s in sockets)


def end_process(pid: int, seconds: float = 20.0) -> None:
    """End a process and those below it: asked first, killed when that does not help."""
    import psutil

    try:
        process = psutil.Process(pid)
        # Listed before it is asked: children of a process that has ended are another's.
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs(family, timeout=seconds)
    for stubborn in left:
        stubborn.kill()
    psutil.wait_procs(left, timeout=seconds)


def written_time() -> str:
    """The time, as Towpath writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def process_failure(what: str, log: Path, hint: str) -> EngineError:
    """The error of a process that did not do its duty, with the end of what it said."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = "".join(f"{os.linesep}  {line}" for line in lines[-LOG_LINES:] if line.strip())
    what_and_tail = f"{what}; the end of its log:{tail}" if tail else what
    return EngineError(Fault(what_and_tail, Place(str(log)), hint))


# `state.json` and `up.json` may be lost or altered, and what they told of would go on beside a new
# API, on the same database: so these look at the command lines as well.
def find_keepers(home: ApiHome) -> list[int]:
    """The keepers of the API of `home`."""
    folder = str(home.folder)
    return [pid for pid, words in _own_commands() if _word_after(words, KEEPER, 1) == folder]


def find_servers(home: ApiHome) -> list[int]:
    """The servers of `home`; without a keeper they end by themselves, two seconds later."""
    ready = str(home.ready_file)
    return [pid for pid, words in _own_commands() if _word_after(words, SERVER, 2) == ready]


def find_workers(home: ApiHome) -> list[int]:
    expected = [WORKER, str(home.folder)]
    return [pid for pid, words in _own_commands() if expected == list(words[3:5])]


def _own_commands() -> Iterator[tuple[int, Sequence[str]]]:
    """This user's processes: what another user runs under such a name is not ours to believe."""
    import psutil

    me = os.geteuid()
    for process in psutil.process_iter():
        try:
            if process.uids().effective == me and process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid, process.cmdline()
        except psutil.Error:  # gone meanwhile, or not for our eyes
            continue


def _word_after(words: Sequence[str], script: str, distance: int) -> str | None:
    """The word so many places after that script of ours."""
    for number, word in enumerate(words[:5]):
        path = Path(word)
        if path.name == script and path.parts[-3:-1] == _BESIDE:
            return words[number + distance] if number + distance < len(words) else None
    return None
