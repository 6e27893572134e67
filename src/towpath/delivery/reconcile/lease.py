"""One reconcile at a time for each stage: a small file in its store that is held and renewed.

The file says who holds it and until when. It changes by a conditional write only, so that of two
who want it one gets it. Whoever dies without giving it back loses it when it expires; on the
same machine at once, since its process can be seen to be gone.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.git.commit_history import CLOCK_SKEW
from towpath.config import foreign_values as foreign
from towpath.config.foreign_values import Fields, format_second
from towpath.errors import Malformed, StoreError
from towpath.plain_data import list_fields
from towpath.storage.stage_store import StageStore

PATH = "towpath/lease.json"
# Seconds. Renewed four times in that time, a lease outlives a store that is down for a minute; a
# runner that was killed holds the stage up for no longer.
LASTS = 120.0
PATIENCE = 15.0  # for a reconcile that is about to end; one that goes on is told by its name
_PAUSE = 0.5  # between two looks at a lease that another holds


class Lease(Struct, frozen=True):
    """Who holds a stage. Times are seconds since 1970, by the holder's clock. ``process`` and
    ``began`` name a process of ``machine``; ``nonce`` tells two leases apart."""

    owner: str
    since: float
    expires: float
    nonce: str
    machine: str
    process: int
    began: float

    def ends_at(self, now: float) -> float:
        # No holder may ask for more than LASTS from now. One that says so was written by hand, or
        # by a clock that is wrong: it counts as long as one that was never renewed.
        if self.expires <= now + LASTS + CLOCK_SKEW:
            return self.expires
        return self.since + LASTS if self.since <= now + CLOCK_SKEW else now

    def __str__(self) -> str:
        since, until = format_second(self.since), format_second(self.ends_at(time.time()))
        return f"{self.owner} since {since} (until {until} unless renewed)"


class HeldLease(Struct):
    """A lease while it is ours."""

    store: StageStore
    lease: Lease
    mark: str
    ended: threading.Event = field(default_factory=threading.Event)
    lost: bool = False

    def check(self) -> None:
        """Raise ``StoreError`` where the lease could not be renewed: another may act now."""
        if self.lost or time.time() > self.lease.expires:
            what = f"the lease of {self.store.name} ended while it was being reconciled"
            raise StoreError(what, hint="run again: what is done stays done")

    def keep_renewing(self) -> None:
        """Renew it until it is given back; for a thread beside the work."""
        while not self.lost and not self.ended.wait(LASTS / 4):
            with suppress(StoreError):  # a store that is down for a moment: the lease still runs
                self.lost = not self.write_until(time.time() + LASTS)

    def write_until(self, moment: float) -> bool:
        """Let it run until a moment; False where another wrote there meanwhile."""
        renewed = replace(self.lease, expires=moment)
        mark = self.store.write(PATH, _dump_lease(renewed), self.mark)
        if mark is not None:
            self.lease, self.mark = renewed, mark
        return mark is not None


@contextmanager
def hold_stage_lease(store: StageStore, patience: float | None = None) -> Iterator[HeldLease]:
    """Hold a stage's lease; wait ``patience`` seconds for whoever has it. Raises ``StoreError``
    that names the holder where it is not given back in time."""
    mine = _take_lease(store, PATIENCE if patience is None else patience)
    # A thread, since a step may take longer than the lease: it waits for stores and for programs.
    keeper = threading.Thread(target=mine.keep_renewing, daemon=True, name="lease")
    keeper.start()
    try:
        yield mine
    finally:
        mine.ended.set()
        keeper.join()  # else it might renew, with the mark of before, what is given back here
        with suppress(StoreError):  # it expires by itself
            mine.write_until(0.0)


def find_holder(store: StageStore) -> Lease | None:
    lease_file = store.read(PATH)
    lease = _find_lease(lease_file)
    return lease if lease and not _is_free(lease) else None


def _take_lease(store: StageStore, patience: float) -> HeldLease:
    end = time.monotonic() + patience
    while True:
        lease_file = store.read(PATH)
        current_lease = _find_lease(lease_file)
        if current_lease is None or _is_free(current_lease):
            lease = _new_lease()
            mark = store.write(PATH, _dump_lease(lease), lease_file[1] if lease_file else None)
            if mark is not None:  # else another took it between our look and our write
                return HeldLease(store, lease, mark)
        elif time.monotonic() > end:
            hint = "wait for it; if it died, the lease ends by itself, or at once when you delete "
            hint += f"{PATH} in {store.backend.shown}"
            raise StoreError(f"{store.name} is being reconciled by {current_lease}", hint=hint)
        time.sleep(_PAUSE)


def _is_free(lease: Lease) -> bool:
    current_time = time.time()
    return current_time >= lease.ends_at(current_time) or _is_dead(lease)


def _is_dead(lease: Lease) -> bool:
    if lease.machine != _machine_name():
        return False
    import psutil

    try:
        # By when it began as well: the number of a process that is gone is given to another. A
        # second apart, since the kernel counts ticks and the clock may be set meanwhile.
        return abs(float(psutil.Process(lease.process).create_time()) - lease.began) > 1.0
    except psutil.NoSuchProcess:
        return True


def _new_lease() -> Lease:
    import psutil

    current_time, run = time.time(), os.environ.get("GITHUB_RUN_ID")
    try:
        user = f"{getpass.getuser()} (run {run})" if run else getpass.getuser()
    except (KeyError, OSError):  # a container's user that has no name
        user = str(os.getuid())
    return Lease(
        owner=f"{user}@{socket.gethostname()}, process {os.getpid()}",
        since=current_time,
        expires=current_time + LASTS,
        nonce=os.urandom(8).hex(),
        machine=_machine_name(),
        process=os.getpid(),
        began=psutil.Process().create_time(),
    )


def _machine_name() -> str:
    # Since it was started, and this container in it: only there do process numbers mean the same.
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            link = Path(path)
            parts.append(str(link.readlink()) if link.is_symlink() else link.read_text().strip())
    return " ".join(parts)


def _dump_lease(lease: Lease) -> bytes:
    return json.dumps(list_fields(lease), indent=1).encode()


def _find_lease(file: tuple[bytes, str] | None) -> Lease | None:
    try:
        return read_lease(file[0]) if file else None
    except Malformed:  # what is no lease, nobody can hold
        return None


def read_lease(content: bytes) -> Lease:
    fields = Fields(foreign.parse_json(content))
    fields.refuse_others("owner", "since", "expires", "nonce", "machine", "process", "began")
    return Lease(
        owner=fields.get("owner", foreign.read_text),
        since=fields.get("since", foreign.read_second),
        expires=fields.get("expires", foreign.read_second),
        nonce=fields.get("nonce", foreign.read_text),
        machine=fields.get("machine", foreign.read_text),
        process=fields.get("process", foreign.read_process),
        began=fields.get("began", foreign.read_second),
    )
