"""Keeps one local Prefect API: starts it anew when it dies, stops it after a while of rest.

Run by path, `python -I -S keeper.py FOLDER REST FD COMMAND...`, with the standard library alone,
so that what stays in the background for hours is small. FOLDER is a `api_home.ApiHome`, REST is in
seconds, FD is the socket that the server listens on, so that the address outlives a server that
crashes, and COMMAND is the server's.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LONGEST_SLEEP = 30.0
GRACE = 4.0
RESTARTS = 3


class Keeper:
    def __init__(self, folder: Path, rest: float, fd: int, command: list[str]) -> None:
        self.folder, self.rest, self.fd, self.command = folder, rest, fd, command
        self.told_to_stop = False
        self.restarts = 0
        heard, bell = os.pipe()
        os.set_blocking(bell, False)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._tell_to_stop)
        signal.signal(signal.SIGINT, self._tell_to_stop)
        self.bell = heard
        self.server = self._start_server()

    def keep_alive(self) -> None:
        """Until told to stop, or nobody needs the API, or it cannot live."""
        with suppress(FileNotFoundError):  # somebody removed the home: it is over as well
            while not self.told_to_stop and self._is_alive():
                if self._seconds_left() <= 0 and self._try_to_retire():
                    return
                seconds = min(max(self._seconds_left(), 0.05), LONGEST_SLEEP)
                if select.select([self.bell], [], [], seconds)[0]:
                    os.read(self.bell, 512)
        self._end_server()
        self._state_file.unlink(missing_ok=True)

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.json"

    def _tell_to_stop(self, *_: object) -> None:
        self.told_to_stop = True

    def _start_server(self) -> subprocess.Popen[bytes]:
        (self.folder / "ready").unlink(missing_ok=True)
        return subprocess.Popen(self.command, pass_fds=[self.fd])

    def _is_alive(self) -> bool:
        if self.server.poll() is None:
            return True
        # One that never answered would not answer the next time either.
        if not (self.folder / "ready").exists() or self.restarts == RESTARTS:
            return False
        self.restarts += 1
        # Said in the server's log: clients see no more of it than that they wait.
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f"{now} the server ended with {self.server.returncode}, and is started anew"
        print(line, file=sys.stderr, flush=True)
        self.server = self._start_server()
        return True

    def _seconds_left(self) -> float:
        used = self.folder / "used"
        starting = not (self.folder / "ready").exists()
        if starting or (self.folder / "up.json").exists() or any(self._lease_states()):
            os.utime(used)
        return used.stat().st_mtime + self.rest - time.time()

    def _lease_states(self) -> Iterator[bool]:
        """Whether each lease is held. One that is not stays: by it the next run tells of a killed
        one."""
        for lease in (self.folder / "leases").iterdir():
            with suppress(FileNotFoundError), lease.open() as file:
                is_held = False
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    is_held = True
                yield is_held

    def _try_to_retire(self) -> bool:
        """Stop, unless somebody began to use the API while its state was being taken away. Users
        touch `used` and then read the state; this removes the state and then reads `used`."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = self._state_file.read_bytes()
            self._state_file.unlink()
            if self._seconds_left() > 0:
                self._state_file.write_bytes(state)
                return False
            self._end_server()
            return True

    def _end_server(self) -> None:
        self.server.terminate()
        try:
            self.server.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()


if __name__ == "__main__":
    os.umask(0o077)  # what it and its server write holds the API's secret, or what it keeps
    Keeper(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]).keep_alive()
