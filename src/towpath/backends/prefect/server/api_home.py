"""Where a local Prefect API keeps what is its own: database, log, state, leases."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from towpath.errors import EngineError

SHARED = "shared"


@dataclass(frozen=True)
class ApiHome:
    """The folder of one local API. `keeper.py`, which loads none of this, knows the same names.

    `project` is the project's root; None for an API that belongs to none.
    """

    folder: Path
    project: Path | None = None

    @property
    def state(self) -> Path:
        """What runs: JSON, written when an API starts and removed when it stops."""
        return self.folder / "state.json"

    @property
    def port_file(self) -> Path:
        """The port of last time, taken again where it is free, so that bookmarks stay true."""
        return self.folder / "port"

    @property
    def used_file(self) -> Path:
        """A file whose modification time is that of the last use."""
        return self.folder / "used"

    @property
    def up_file(self) -> Path:
        """There between `towpath up` and `towpath down`: the worker, and no rest for the API."""
        return self.folder / "up.json"

    @property
    def ready_file(self) -> Path:
        """The process id of the server that last began to answer."""
        return self.folder / "ready"

    @property
    def leases_folder(self) -> Path:
        """One locked file for each run in progress."""
        return self.folder / "leases"

    @property
    def log(self) -> Path:
        """What the server wrote since it was last started."""
        return self.folder / "server.log"

    @property
    def worker_log(self) -> Path:
        """What the worker wrote since it was last started."""
        return self.folder / "worker.log"

    @property
    def database_file(self) -> Path:
        """Prefect's own."""
        return self.folder / "prefect.db"

    @property
    def prepared_file(self) -> Path:
        """The version of Prefect whose tables and kinds of block the database has."""
        return self.folder / "prepared"

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
                _close_folder(folder)
            if self.project and not (self.folder / "project").exists():
                (self.folder / "project").write_bytes(os.fsencode(self.project))
        except OSError as error:
            what = f"cannot keep a local Prefect API in {self.folder}: {error.strerror}"
            raise EngineError(what, hint="name another folder in TOWPATH_HOME") from None

    def project_root(self) -> Path | None:
        """The root of the project that this home was made for, as it was written down."""
        try:
            return Path(os.fsdecode((self.folder / "project").read_bytes()))
        except FileNotFoundError:
            return None

    def touch(self) -> None:
        """Say that the API is in use, so that its rest begins anew."""
        self.used_file.touch()
        os.utime(self.used_file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While one process starts or stops the API, others wait here."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _close_folder(folder: Path) -> None:
    """Make a folder that is ours alone. EngineError for one that somebody else has made there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid():  # its owner could put a state of his own there
        what = f"cannot keep a local Prefect API in {folder}: it belongs to another user"
        raise EngineError(what, hint="name another folder in TOWPATH_HOME")
    if stat.S_IMODE(status.st_mode) & 0o077:  # an older Towpath's, or a copied one
        folder.chmod(0o700)


def base_folder() -> Path:
    """Where every local API of this user lives: `TOWPATH_HOME`, or the user's data folder."""
    if chosen := os.environ.get("TOWPATH_HOME"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("towpath")


def home_of_project(project: Path | None) -> ApiHome:
    """The home of a project's API.

    Each project has its own, because names in Prefect have no project in front: on one API the
    `training/dev` of two projects would be one deployment, and the later would win in silence.
    """
    if project is None:
        return ApiHome(base_folder() / "prefect" / SHARED)
    root = project.resolve()
    return ApiHome(base_folder() / "prefect" / _folder_name(root), root)


def _folder_name(root: Path) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-") or "project"
    return f"{plain[:32]}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:10]}"


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
            home.touch()
            path.unlink(missing_ok=True)


def find_runs(home: ApiHome) -> tuple[str, ...]:
    """The runs in progress, by id."""
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
            yield path.name, _is_locked(file)


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
